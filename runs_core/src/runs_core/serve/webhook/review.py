"""AdmissionReview in, AdmissionReview out. Judges by the code that judges manifests on the command line.

Source: Kubernetes documentation, "Dynamic Admission Control".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from http import HTTPStatus

import attrs

from runs_core.cluster.kube.podmake import FINALIZER
from runs_core.errors import InvalidInput, Problem, RunsError
from runs_core.schema.changes import changes_refused
from runs_core.schema.convert import Object, from_object
from runs_core.schema.defaults import flavor_of
from runs_core.schema.manifest import validate
from runs_core.schema.say import got
from runs_core.values.budget import Namespace
from runs_core.values.section import Section

DEFAULT_PATH, VALIDATE_PATH = "/default", "/validate"
_API_VERSION, _KIND = "admission.k8s.io/v1", "AdmissionReview"
_FLAVOR, _FINALIZERS = "/spec/resources/flavor", "/metadata/finalizers"
_PLACEHOLDER = "00000"
Flavors = Callable[[], Sequence[str]]


class Garbage(RunsError):
    """A request that no API server sends."""


@attrs.frozen(kw_only=True)
class Admission:
    """Answers reviews; from any thread. flavors: those of the fleet as it is now, sorted."""

    flavors: Flavors
    sections: tuple[Section, ...] = ()

    def answer(self, path: str, body: bytes) -> tuple[HTTPStatus, Object]:
        """What to send back. A refusal is an answer, too; an error is only what is no question."""
        if path not in (DEFAULT_PATH, VALIDATE_PATH):
            return _error(HTTPStatus.NOT_FOUND, f"path: got {got(path)}, want {DEFAULT_PATH} or {VALIDATE_PATH}")
        try:
            request = _request(body)
        except Garbage as error:
            return _error(HTTPStatus.BAD_REQUEST, str(error))
        judge = self.defaulted if path == DEFAULT_PATH else self.validated
        return HTTPStatus.OK, {"apiVersion": _API_VERSION, "kind": _KIND, "response": judge(request)}

    def defaulted(self, request: Object) -> Object:
        """What the command line would have filled in, and the finalizer of a run, as a patch.

        It refuses as `validated` does: the API server holds an object against its CRD between the two questions, and
        would otherwise be the first to speak, in words that suggest nothing.
        """
        new, old = request["object"], request.get("oldObject") or None
        flavor = self._missing_flavor(new, old)
        if isinstance(flavor, Problem):
            return _refusal(request, [flavor])
        filled = new if flavor is None else _with_flavor(new, flavor)
        problems = self._problems(filled, old)
        patch = [*_flavored(flavor), *_kept(new)]
        if problems or not patch:
            return _refusal(request, problems)
        encoded = base64.b64encode(json.dumps(patch).encode()).decode()
        return {"uid": request["uid"], "allowed": True, "patchType": "JSONPatch", "patch": encoded}

    def validated(self, request: Object) -> Object:
        """Whether it may be stored."""
        new, old = request["object"], request.get("oldObject") or None
        flavor = self._missing_flavor(new, old)
        ambiguous = [flavor] if isinstance(flavor, Problem) else []
        return _refusal(request, [*self._problems(new, old), *ambiguous])

    def _problems(self, new: Object, old: Object | None) -> list[Problem]:
        """What was wrong before this change and is still so, is not held against it."""
        new = _as_stored(new, old)
        found = validate(new, self.sections)
        if old is None:
            return found
        known = validate(old, self.sections)
        if found or known:
            return [problem for problem in found if problem not in known]
        before, after = from_object(old, self.sections), from_object(new, self.sections)
        if isinstance(before, Namespace) or isinstance(after, Namespace):
            raise TypeError("a namespace that was found to be valid as an object of ours")
        return changes_refused(before, after)

    def _missing_flavor(self, new: Object, old: Object | None) -> str | Problem | None:
        """None: it is there, or nobody can say it yet."""
        if new.get("kind") != "Run" or (asked := _resources(new)) is None or asked.get("flavor"):
            return None
        known = (_resources(old) or {}).get("flavor") if old else None
        if old and not known:
            return None
        try:
            return flavor_of(known, self.flavors())
        except InvalidInput as error:
            return error.problems[0]


def _request(body: bytes) -> Object:
    """Its `request`, which has a uid and an object."""
    try:
        review = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Garbage(f"body: got no JSON ({error}), want an {_KIND}") from error
    if not isinstance(review, dict) or (review.get("apiVersion"), review.get("kind")) != (_API_VERSION, _KIND):
        raise Garbage(f"body: want an {_KIND} of {_API_VERSION}")
    request = review.get("request")
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str):
        raise Garbage("request: want a map with a uid")
    if not isinstance(request.get("object"), dict):
        raise Garbage(f"request.object: got {got(request.get('object'))}, want an object")
    old = request.get("oldObject")
    if old is not None and not isinstance(old, dict):
        raise Garbage(f"request.oldObject: got {got(old)}, want an object")
    return request


def _error(status: HTTPStatus, message: str) -> tuple[HTTPStatus, Object]:
    return status, {"message": message}


def _refusal(request: Object, problems: Sequence[Problem]) -> Object:
    """Without problems: a yes."""
    if not problems:
        return {"uid": request["uid"], "allowed": True}
    return {
        "uid": request["uid"],
        "allowed": False,
        "status": {
            "status": "Failure",
            "code": HTTPStatus.UNPROCESSABLE_ENTITY.value,
            "reason": "Invalid",
            "message": "; ".join(str(problem) for problem in problems),
        },
    }


def _resources(body: Object) -> Object | None:
    spec = body.get("spec")
    resources = spec.get("resources") if isinstance(spec, dict) else None
    return resources if isinstance(resources, dict) else None


def _flavored(flavor: str | None) -> list[Object]:
    return [] if flavor is None else [{"op": "add", "path": _FLAVOR, "value": flavor}]


def _kept(new: Object) -> list[Object]:
    """So that the scheduler need not write it. What is on its way out takes no finalizer any more."""
    metadata = new.get("metadata")
    if new.get("kind") != "Run" or not isinstance(metadata, dict) or metadata.get("deletionTimestamp"):
        return []
    known = metadata.get("finalizers") or []
    if FINALIZER in known:
        return []
    if known:
        return [{"op": "add", "path": f"{_FINALIZERS}/-", "value": FINALIZER}]
    return [{"op": "add", "path": _FINALIZERS, "value": [FINALIZER]}]


def _with_flavor(body: Object, flavor: str) -> Object:
    spec = body["spec"]
    return {**body, "spec": {**spec, "resources": {**spec["resources"], "flavor": flavor}}}


def _as_stored(body: Object, old: Object | None) -> Object:
    """The API server keeps the old status, whatever comes with it, and ends a generateName after this question."""
    found = {name: part for name, part in body.items() if name != "status"}
    if old is not None and "status" in old:
        found["status"] = old["status"]
    metadata = body.get("metadata")
    if isinstance(metadata, dict) and not metadata.get("name") and isinstance(metadata.get("generateName"), str):
        found["metadata"] = {**metadata, "name": f"{metadata['generateName']}{_PLACEHOLDER}"}
    return found

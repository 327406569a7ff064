"""What a diagnosis is made of, read from the API server at one time, with whatever rights the reader has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import attrs

from runs_core.cluster.kube import rights
from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.cluster.kube.paths import LISTS, OURS
from runs_core.cluster.kube.reflect import as_it_is, everything
from runs_core.cluster.kube.trouble import lacks
from runs_core.schema.names import GROUP, KINDS
from runs_core.serve.doctor.probe import Shown, probe
from runs_core.serve.manifests.installation import Installation
from runs_core.settings import Settings
from runs_core.values.permission import Permission
from runs_core.values.quantity import parse_time
from runs_core.values.section import Section

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404
ACCOUNTS = "/api/v1/serviceaccounts"
THREADS = 16


@attrs.frozen(kw_only=True)
class Right:
    """One thing that the scheduler's account must be allowed. namespace "": everywhere."""

    verb: str
    group: str
    resource: str
    name: str
    namespace: str

    def __str__(self) -> str:
        what = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {what}{'/' + self.name if self.name else ''}"


@attrs.frozen(kw_only=True)
class Evidence:
    """found: objects by topic; a topic that could not be read is in `unread` instead, with the reason.

    versions: of our group that are served; resources: of ours. skew: how far the server's clock is ahead of this one.
    denied: rights that the scheduler's account lacks. shown: by webhook, what answers where it points.
    """

    installation: Installation
    settings: Settings
    sections: tuple[Section, ...] = ()
    now: datetime
    server: tuple[int, int]
    versions: tuple[str, ...] = ()
    resources: frozenset[str] = frozenset()
    skew: timedelta = timedelta()
    found: Mapping[str, Sequence[Object]] = attrs.field(factory=dict)
    unread: Mapping[str, str] = attrs.field(factory=dict)
    denied: Sequence[Right] = ()
    shown: Mapping[str, Shown] = attrs.field(factory=dict)

    def of(self, topic: str) -> Sequence[Object]:
        """Empty as well where it could not be read: ask `knows` before concluding from absence."""
        return self.found.get(topic, ())

    def knows(self, *topics: str) -> bool:
        """Whether all of these were read."""
        return all(topic in self.found for topic in topics)


def lists() -> dict[str, str]:
    """Topic → path of a list."""
    return {
        "nodes": LISTS["Node"],
        "namespaces": LISTS["Namespace"],
        "pods": LISTS["Pod"],
        "runs": LISTS["Run"],
        "budgets": LISTS["Budget"],
        "policies": f"{ADMISSION}/validatingadmissionpolicies",
        "bindings": f"{ADMISSION}/validatingadmissionpolicybindings",
    }


def singles(installation: Installation) -> dict[str, tuple[str, ...]]:
    """Topic → paths of single objects."""
    home = installation.namespace
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    return {
        "crds": tuple(f"{crds}/{kind.plural}.{GROUP}" for kind in KINDS.values()),
        "leader": (f"/apis/coordination.k8s.io/v1/namespaces/{home}/leases/{rights.LEADER}",),
        "journal": (f"/api/v1/namespaces/{home}/configmaps/{rights.JOURNAL}",),
        "unread": (f"/api/v1/namespaces/{home}/configmaps/{rights.UNREAD}",),
        "webhooks": tuple(
            f"{ADMISSION}/{kind}webhookconfigurations/{rights.WEBHOOKS}" for kind in ("mutating", "validating")
        ),
    }


class _Reader:
    def __init__(self, api: Api) -> None:
        self._api = api
        self.found: dict[str, Sequence[Object]] = {}
        self.unread: dict[str, str] = {}

    def _take(self, topic: str, read: Callable[[], Sequence[Object]]) -> None:
        """A refusal leaves the topic unread; what is not there is an empty list. Refused 401 is no topic's matter."""
        try:
            self.found[topic] = read()
        except Refused as refusal:
            if refusal.status == UNAUTHORIZED:
                raise
            if refusal.status == NOT_FOUND:
                self.found[topic] = ()
            else:
                self.unread[topic] = lacks(refusal) if refusal.status == FORBIDDEN else refusal.message

    def list(self, topic: str, path: str, query: Mapping[str, str] | None = None) -> None:
        """All below a path."""
        self._take(topic, lambda: everything(self._api, "", path, as_it_is, query=query).items)

    def singles(self, topic: str, paths: Sequence[str]) -> None:
        """Those of them that are there."""
        self._take(topic, lambda: self._some(paths))

    def _some(self, paths: Sequence[str]) -> Sequence[Object]:
        found: list[Object] = []
        for path in paths:
            try:
                found.append(self._api.call("GET", path)[1])
            except Refused as refusal:
                if refusal.status != NOT_FOUND:
                    raise
        return found


def gather(
    api: Api,
    installation: Installation,
    settings: Settings,
    sections: Sequence[Section] = (),
    plugins: Sequence[Permission] = (),
) -> Evidence:
    """Reads, asks about rights, and knocks at the webhooks; writes nothing.

    Unavailable: no answer. Refused: not even the credentials are accepted.
    """
    reader = _Reader(api)
    version = api.call("GET", "/version")[1]
    skew = _skew(api)
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        jobs = [pool.submit(reader.list, topic, path) for topic, path in lists().items()]
        jobs += [pool.submit(reader.singles, topic, paths) for topic, paths in singles(installation).items()]
        jobs.append(pool.submit(reader.list, "accounts", ACCOUNTS, {"fieldSelector": "metadata.name=default"}))
        for job in jobs:
            job.result()
        denied = _denied(api, pool, reader, installation.user, required(installation, plugins))
        shown = _shown(api, pool, reader)
    return Evidence(
        installation=installation,
        settings=settings,
        sections=tuple(sections),
        now=datetime.now(UTC),
        server=(_number(version.get("major")), _number(version.get("minor"))),
        versions=_versions(api),
        resources=_resources(api),
        skew=skew,
        found=reader.found,
        unread=reader.unread,
        denied=denied,
        shown=shown,
    )


def required(installation: Installation, plugins: Sequence[Permission] = ()) -> list[Right]:
    """All that the scheduler's account must be allowed."""
    wanted = [(one, "") for one in (*rights.CLUSTER, *plugins)] + [(one, installation.namespace) for one in rights.HOME]
    return [
        Right(verb=verb, group=one.api_group, resource=one.resource, name=name, namespace=namespace)
        for one, namespace in wanted
        for name in (one.names or ("",))
        for verb in one.verbs
    ]


def _denied(api: Api, pool: ThreadPoolExecutor, reader: _Reader, user: str, wanted: Sequence[Right]) -> Sequence[Right]:
    """Asked one by one: there is no question about many. Whoever may not ask leaves the topic `rights` unread."""
    try:
        answers = list(pool.map(lambda right: _allowed(api, user, right), wanted))
    except Refused as refusal:
        reader.unread["rights"] = lacks(refusal) if refusal.status == FORBIDDEN else refusal.message
        return ()
    reader.found["rights"] = ()
    return [right for right, allowed in zip(wanted, answers, strict=True) if not allowed]


def _allowed(api: Api, user: str, right: Right) -> bool:
    resource, _, sub = right.resource.partition("/")
    namespace = user.split(":")[2]
    asked = {
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": sub,
        "name": right.name,
        "namespace": right.namespace,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": user,
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
            "resourceAttributes": {name: value for name, value in asked.items() if value},
        },
    }
    _, answer = api.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
    return bool((answer.get("status") or {}).get("allowed"))


def _shown(api: Api, pool: ThreadPoolExecutor, reader: _Reader) -> dict[str, Shown]:
    """By configuration and webhook."""
    hooks = [
        (f"{config['kind']}/{hook['name']}", hook["clientConfig"])
        for config in reader.found.get("webhooks", ())
        for hook in config.get("webhooks") or []
    ]
    answers = pool.map(lambda one: probe(api, one[1]), hooks)
    return {name: answer for (name, _), answer in zip(hooks, answers, strict=True)}


def _number(text: object) -> int:
    """`37+` is 37."""
    digits = "".join(character for character in str(text) if character.isdigit())
    return int(digits or 0)


def _skew(api: Api) -> timedelta:
    """The server stamps what it creates, also a review of oneself, to the second."""
    before = datetime.now(UTC)
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    _, answer = api.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
    after = datetime.now(UTC)
    stamped = parse_time(answer["metadata"]["creationTimestamp"])
    if before - timedelta(seconds=1) <= stamped <= after:
        return timedelta()
    return stamped - before


def _versions(api: Api) -> tuple[str, ...]:
    try:
        return tuple(one["version"] for one in api.call("GET", f"/apis/{GROUP}")[1].get("versions") or [])
    except Refused:
        return ()


def _resources(api: Api) -> frozenset[str]:
    try:
        return frozenset(one["name"] for one in api.call("GET", OURS)[1].get("resources") or [])
    except Refused:
        return frozenset()

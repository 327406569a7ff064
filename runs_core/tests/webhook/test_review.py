"""Admission reviews: good ones, bad ones, and what no API server sends."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import Any

import attrs
import pytest

from runs_core.cluster.kube.podmake import FINALIZER
from runs_core.schema.manifest import validate
from runs_core.schema.names import API_VERSION
from runs_core.serve.webhook.review import DEFAULT_PATH, VALIDATE_PATH, Admission
from runs_core.values.fields import Fact, field
from runs_core.values.section import Section

Object = dict[str, Any]
ONE = Admission(flavors=lambda: ("H100",))
TWO = Admission(flavors=lambda: ("A100", "H100"))
NONE = Admission(flavors=lambda: ())
ADMITTED = {"admittedAt": "2026-01-31T08:00:00Z"}


def a_run(status: Object | None = None, **resources: object) -> Object:
    found: Object = {"apiVersion": API_VERSION, "kind": "Run", "metadata": {"name": "a", "namespace": "team"}}
    found["spec"] = {"resources": {"gpus": 8, **resources}}
    return found if status is None else {**found, "status": status}


def kept(run: Object, *finalizers: str) -> Object:
    """With these finalizers, else with ours alone."""
    return {**run, "metadata": {**run["metadata"], "finalizers": [*finalizers] or [FINALIZER]}}


def asked(admission: Admission, path: str, new: object, old: object = None) -> Object:
    """The response to a review of this object."""
    request = {"uid": "7f", "operation": "UPDATE" if old else "CREATE", "object": new, "oldObject": old}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    status, answer = admission.answer(path, json.dumps(review).encode())
    assert (status, answer["apiVersion"], answer["kind"]) == (HTTPStatus.OK, "admission.k8s.io/v1", "AdmissionReview")
    response: Object = answer["response"]
    assert response["uid"] == "7f"
    return response


def patch(response: Object) -> list[Object]:
    assert response["allowed"]
    assert response["patchType"] == "JSONPatch"
    found: list[Object] = json.loads(base64.b64decode(response["patch"]))
    return found


def message(response: Object) -> str:
    assert not response["allowed"]
    assert (response["status"]["code"], response["status"]["reason"]) == (422, "Invalid")
    text: str = response["status"]["message"]
    return text


def test_the_only_flavor_is_filled_in() -> None:
    wanted = [{"op": "add", "path": "/spec/resources/flavor", "value": "H100"}]
    assert patch(asked(ONE, DEFAULT_PATH, kept(a_run()))) == wanted


def test_a_run_gets_our_finalizer_beside_those_that_it_has() -> None:
    alone = [{"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]}]
    assert patch(asked(NONE, DEFAULT_PATH, a_run())) == alone
    beside = [{"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER}]
    assert patch(asked(NONE, DEFAULT_PATH, kept(a_run(), "example.com/mine"))) == beside


def test_a_run_that_is_on_its_way_out_gets_none() -> None:
    """The API server would refuse it."""
    going = a_run()
    going["metadata"]["deletionTimestamp"] = "2026-01-31T08:00:00Z"
    assert asked(NONE, DEFAULT_PATH, going) == {"uid": "7f", "allowed": True}


def test_a_flavor_that_is_there_or_not_known_yet_is_left_alone() -> None:
    for response in (asked(ONE, DEFAULT_PATH, kept(a_run(flavor="A100"))), asked(NONE, DEFAULT_PATH, kept(a_run()))):
        assert response == {"uid": "7f", "allowed": True}


def test_an_edit_that_leaves_the_flavor_out_keeps_it() -> None:
    found = patch(asked(TWO, DEFAULT_PATH, a_run(), a_run(flavor="H100", gpus=16)))
    assert found[0]["value"] == "H100"


@pytest.mark.parametrize("path", [DEFAULT_PATH, VALIDATE_PATH])
def test_several_flavors_are_a_question_to_whoever_submits(path: str) -> None:
    sentence = "spec.resources.flavor: got nothing, and the fleet has A100, H100: name one"
    assert message(asked(TWO, path, a_run())) == sentence


@pytest.mark.parametrize("path", [DEFAULT_PATH, VALIDATE_PATH])
@pytest.mark.parametrize(
    "bad", [a_run(gpus=0), a_run(gpus="8"), a_run(gpuss=8), a_run(gpusPerPod=3), {**a_run(), "spec": 8}]
)
def test_a_bad_run_is_refused_in_the_words_of_the_command_line(path: str, bad: Object) -> None:
    words = "; ".join(str(problem) for problem in validate(bad))
    assert words
    assert message(asked(ONE, path, bad)) == words


def test_all_problems_are_told_at_once() -> None:
    told = message(asked(ONE, VALIDATE_PATH, a_run(gpus=0, gpusPerPod=0, flavor="H100")))
    assert told.count("; ") == 1


def test_an_admitted_run_keeps_its_width() -> None:
    old = a_run(flavor="H100", status=ADMITTED)
    told = message(asked(ONE, VALIDATE_PATH, a_run(flavor="H100", gpus=16), old))
    assert told.startswith("spec.resources: got a change")
    assert asked(ONE, VALIDATE_PATH, a_run(flavor="H100"), old)["allowed"]


def test_a_status_that_comes_along_is_not_judged() -> None:
    """The API server takes it away: it can neither be refused for it, nor get round a rule by it."""
    assert asked(ONE, VALIDATE_PATH, a_run(flavor="H100", status={"phase": "Nonsense"}))["allowed"]
    old = a_run(flavor="H100", status=ADMITTED)
    assert not asked(ONE, VALIDATE_PATH, a_run(flavor="H100", gpus=16, status={}), old)["allowed"]


def test_what_was_wrong_before_is_not_held_against_an_edit() -> None:
    old = a_run(flavor="H100", gpus=0)
    labelled = {**old, "metadata": {**old["metadata"], "labels": {"team": "a"}}}
    assert asked(ONE, VALIDATE_PATH, labelled, old)["allowed"]
    assert "gpusPerPod" in message(asked(ONE, VALIDATE_PATH, a_run(flavor="H100", gpus=0, gpusPerPod=0), old))


def test_an_old_run_without_a_flavor_can_still_be_edited() -> None:
    assert asked(TWO, DEFAULT_PATH, a_run(), a_run())["allowed"]


def test_a_name_that_is_still_to_be_ended_is_good() -> None:
    body = {**a_run(flavor="H100"), "metadata": {"generateName": "train-", "namespace": "team"}}
    assert asked(ONE, VALIDATE_PATH, body)["allowed"]
    bad = {**body, "metadata": {"generateName": "Train-"}}
    assert message(asked(ONE, VALIDATE_PATH, bad)).startswith("metadata.name: got 'Train-")


def test_a_budget_is_judged_and_its_owner_stays() -> None:
    body: Object = {"apiVersion": API_VERSION, "kind": "Budget", "metadata": {"name": "a"}, "spec": {"owner": "a"}}
    assert asked(ONE, DEFAULT_PATH, body) == {"uid": "7f", "allowed": True}
    other = {**body, "spec": {"owner": "b"}}
    assert message(asked(ONE, VALIDATE_PATH, other, body)).startswith("spec.owner: got a change")


@attrs.frozen(kw_only=True)
class Limits:
    hours: int = field(Fact(doc="Of a day.", minimum=1), default=1)


def test_what_a_plugin_adds_is_judged_as_well() -> None:
    section = Section(plugin="p", kind="Run", name="limits", cls=Limits)
    admission = attrs.evolve(ONE, sections=(section,))
    body = a_run(flavor="H100")
    body["spec"]["limits"] = {"hours": 0}
    assert message(asked(admission, VALIDATE_PATH, body)).startswith("spec.limits.hours: got 0")
    assert "spec.limits: got an unknown field" in message(asked(ONE, VALIDATE_PATH, body))


REVIEW: Object = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "body: got no JSON"),
        (b"\xff\xfe", "body: got no JSON"),
        (b"[" * 100_000, "body: got no JSON"),
        (b"[]", "body: want an AdmissionReview of admission.k8s.io/v1"),
        (b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1"}', "body: want an AdmissionReview"),
        (json.dumps(REVIEW).encode(), "request: want a map with a uid"),
        (json.dumps({**REVIEW, "request": {"uid": 7}}).encode(), "request: want a map with a uid"),
        (json.dumps({**REVIEW, "request": {"uid": "7"}}).encode(), "request.object: got nothing, want an object"),
        (
            json.dumps({**REVIEW, "request": {"uid": "7", "object": {}, "oldObject": 3}}).encode(),
            "request.oldObject: got 3, want an object",
        ),
    ],
)
def test_what_no_api_server_sends_is_answered_in_one_sentence(body: bytes, sentence: str) -> None:
    status, answer = ONE.answer(VALIDATE_PATH, body)
    assert (status, answer["message"].startswith(sentence)) == (HTTPStatus.BAD_REQUEST, True), answer


def test_another_path_is_not_there() -> None:
    status, answer = ONE.answer("/metrics", b"{}")
    assert (status, answer["message"]) == (404, "path: got '/metrics', want /default or /validate")


@pytest.mark.parametrize("odd", [{}, {"kind": "Pod"}, {"kind": "Run", "spec": {"resources": {"flavor": {}}}}])
@pytest.mark.parametrize("path", [DEFAULT_PATH, VALIDATE_PATH])
def test_an_object_of_any_shape_gets_an_answer(path: str, odd: Object) -> None:
    assert message(asked(ONE, path, odd))
    assert not asked(ONE, path, odd, a_run(flavor="H100"))["allowed"]

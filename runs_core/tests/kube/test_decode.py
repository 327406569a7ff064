"""What is made into objects of an API server's answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from runs_core.cluster.kube import decode, paths
from runs_core.cluster.kube.decode import Malformed
from runs_core.cluster.seen import read
from runs_core.schema.convert import to_object
from runs_core.schema.nodes import node_to_object
from runs_core.schema.pods import pod_to_object
from runs_core.settings import FleetSettings
from runs_core.testing.builders import A_MONDAY, a_budget, a_lease, a_node, a_pod, a_run
from runs_core.testing.resolutions import numbered
from runs_core.values.budget import Namespace
from runs_core.values.lease import RunRef
from runs_core.values.meta import Meta
from runs_core.values.reservation import Reservation, ReservationSpec

Object = dict[str, Any]
FLEET = FleetSettings()
RUN = a_run("train", gpus=2)
LEASE = a_lease(RUN, {"n1": (0, 1)})
REF = RunRef(name="train", uid=RUN.uid)
PROMISE = Reservation(
    meta=Meta(name="train", namespace="research"),
    spec=ReservationSpec(run_ref=REF, flavor="H100-80GB", gpus=2, at=A_MONDAY),
)
NOTES = [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}}]
TERM = {"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}
OBJECTS: dict[str, Object] = {
    "Namespace": to_object(Namespace(name="research", labels=(("team", "a"),))),
    "Budget": to_object(a_budget("b")),
    "Node": node_to_object(a_node("n1", gpus=8), FLEET),
    "StorageClass": {
        "metadata": {"name": "fast"},
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowedTopologies": [TERM],
    },
    "PersistentVolume": {"metadata": {"name": "v"}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": []}}}},
    "PersistentVolumeClaim": {
        "metadata": {"name": "c", "namespace": "research", "annotations": {"volume.kubernetes.io/selected-node": "n1"}},
        "spec": {"storageClassName": "fast", "volumeName": "v"},
        "status": {"phase": "Bound"},
    },
    "Run": to_object(RUN),
    "GPULease": to_object(LEASE),
    "Reservation": to_object(PROMISE),
    "Resolution": to_object(numbered(1)),
    "Pod": pod_to_object(a_pod(RUN, node="n1")),
}


def stored(kind: str, version: int = 7) -> Object:
    """As a list has it."""
    found = OBJECTS[kind]
    return {**found, "metadata": {**found["metadata"], "resourceVersion": str(version), "managedFields": NOTES}}


def listed(*items: Object) -> bytes:
    return json.dumps({"metadata": {"resourceVersion": "9", "continue": "more"}, "items": items}).encode()


def test_there_is_an_object_of_every_watched_kind() -> None:
    assert set(OBJECTS) == set(paths.LISTS)


@pytest.mark.parametrize("kind", OBJECTS)
def test_of_a_list_all_that_runs_reads_is_there(kind: str) -> None:
    found = decode.page(listed(stored(kind)))
    assert found["metadata"] == {"resourceVersion": "9", "continue": "more"}
    assert read(kind, found["items"][0], FLEET, ()) == read(kind, stored(kind), FLEET, ())
    assert "managedFields" not in found["items"][0]["metadata"]


def test_what_is_known_has_its_name_and_its_version_only() -> None:
    asked = []

    def known(key: object, version: int) -> bool:
        asked.append((key, version))
        return version <= 7

    found = decode.news(known)(listed(stored("Run"), stored("Pod", 8)))
    assert asked == [(RUN.key, 7), (a_pod(RUN, node="n1").key, 8)]
    assert found["items"][0] == {"metadata": {"name": "train", "namespace": "research", "resourceVersion": "7"}}
    assert read("Pod", found["items"][1], FLEET, ()) == read("Pod", stored("Pod", 8), FLEET, ())


@pytest.mark.parametrize("items", [b'"items": null, ', b""])
def test_a_list_of_nothing_may_say_so_in_either_way(items: bytes) -> None:
    body = b'{%s"metadata": {"resourceVersion": "9"}}' % items
    assert not decode.page(body).get("items")
    assert decode.news(lambda *_: False)(body)["items"] == []


def test_a_watch_tells_of_an_object_or_of_an_error() -> None:
    said = json.dumps({"type": "MODIFIED", "object": stored("Run")}).encode()
    told, item = decode.event(said)
    assert (told, read("Run", item, FLEET, ())) == ("MODIFIED", read("Run", stored("Run"), FLEET, ()))
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    assert decode.event(json.dumps({"type": "ERROR", "object": gone}).encode()) == ("ERROR", gone)


@pytest.mark.parametrize("act", [decode.whole, decode.page, decode.event, decode.news(lambda *_: False)])
def test_what_is_no_json_is_malformed(act: Callable[[bytes], object]) -> None:
    with pytest.raises(Malformed):
        act(b"<html>")

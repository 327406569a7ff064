from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from runs_core.errors import InvalidInput
from runs_core.schema.pods import pod_from_object, pod_to_object
from runs_core.settings import FleetSettings
from runs_core.values.meta import Key
from runs_core.values.pod import Pod, PodPhase, RankOf
from runs_core.values.template import Requests

Object = dict[str, Any]
FLEET = FleetSettings(resources=(("MI300", "amd.com/gpu"),))
RANK = Pod(
    namespace="team",
    name="train-1-3",
    uid="u",
    node="node-1",
    rank=RankOf(run=Key("team", "train"), uid="3f1c", attempt=1, retry=2, rank=3, group=1),
    gpus=8,
    requests=Requests(cpu_milli=1500, memory_bytes=2**34, ephemeral_bytes=10),
    phase=PodPhase.RUNNING,
    message="fine",
    created=datetime(2026, 1, 31, 7, tzinfo=UTC),
    started=datetime(2026, 1, 31, 7, 1, tzinfo=UTC),
    deleting=datetime(2026, 1, 31, 8, tzinfo=UTC),
    grace=timedelta(seconds=30),
    annotations=(("a", "b"),),
)


@pytest.mark.parametrize(
    "pod", [RANK, attrs.evolve(RANK, rank=None, deleting=None, grace=None), Pod(namespace="a", name="b")]
)
def test_a_pod_reads_back_as_written(pod: Pod) -> None:
    assert pod_from_object(pod_to_object(pod), FLEET) == pod


def test_the_time_of_the_kill_is_written_with_its_grace() -> None:
    metadata = pod_to_object(RANK)["metadata"]
    assert (metadata["deletionTimestamp"], metadata["deletionGracePeriodSeconds"]) == ("2026-01-31T08:00:30Z", 30)


@pytest.mark.parametrize(
    ("label", "value"),
    [("run", None), ("run-uid", None), ("rank", "three"), ("attempt", "-1"), ("group", "²"), ("retry", "")],
)
def test_a_pod_whose_labels_were_edited_is_nobodys_rank(label: str, value: str | None) -> None:
    body = pod_to_object(RANK)
    labels = {**body["metadata"]["labels"], f"runs.dev/{label}": value}
    body["metadata"]["labels"] = {name: text for name, text in labels.items() if text is not None}
    assert pod_from_object(body, FLEET).rank is None


def one(name: str, restart: str | None = None, limits: Object | None = None, **requests: object) -> Object:
    found = {"name": name, "resources": {"requests": requests, "limits": limits or {}}}
    return {**found, "restartPolicy": restart} if restart else found


def read(**spec: object) -> Pod:
    return pod_from_object({"metadata": {"name": "p", "namespace": "n"}, "spec": spec}, FLEET)


def test_requests_are_summed_over_containers() -> None:
    assert read(containers=[one("a", cpu="500m"), one("b", cpu=1)]).requests.cpu_milli == 1500


def test_a_limit_without_a_request_is_the_request() -> None:
    found = read(containers=[one("a", limits={"cpu": "2", "memory": "1Gi"}, memory="512Mi")]).requests
    assert found == Requests(cpu_milli=2000, memory_bytes=2**29)


def test_the_hungriest_step_of_initialising_counts_if_it_is_more() -> None:
    containers = [one("a", cpu=1)]
    assert read(containers=containers, initContainers=[one("i", cpu=3), one("j", cpu=2)]).requests.cpu_milli == 3000
    assert read(containers=containers, initContainers=[one("i", cpu="500m")]).requests.cpu_milli == 1000


def test_a_sidecar_counts_beside_the_containers_and_beside_later_steps() -> None:
    sidecar, containers = one("s", "Always", cpu=1), [one("a", cpu=2)]
    assert read(containers=containers, initContainers=[sidecar]).requests.cpu_milli == 3000
    assert read(containers=containers, initContainers=[sidecar, one("i", cpu=4)]).requests.cpu_milli == 5000
    assert read(containers=containers, initContainers=[one("i", cpu=4), sidecar]).requests.cpu_milli == 4000


def test_overhead_is_added() -> None:
    assert read(containers=[one("a", cpu=1)], overhead={"cpu": "250m"}).requests.cpu_milli == 1250


def test_a_request_of_the_whole_pod_replaces_its_containers() -> None:
    whole = {"requests": {"cpu": "3"}, "limits": {"memory": "1Gi", "cpu": "4"}}
    found = read(containers=[one("a", cpu=1)], resources=whole)
    assert (found.requests.cpu_milli, found.requests.memory_bytes) == (3000, 2**30)


def test_a_limit_of_the_whole_pod_does_not_replace_what_containers_ask_for() -> None:
    assert read(containers=[one("a", cpu=1)], resources={"limits": {"cpu": "4"}}).requests.cpu_milli == 1000


def test_gpus_are_those_of_every_resource_that_the_settings_name() -> None:
    limits: list[Object] = [{"nvidia.com/gpu": 4}, {"amd.com/gpu": "2"}, {"tpu": 8}]
    containers = [one(name, limits=limit) for name, limit in zip("abc", limits, strict=True)]
    assert read(containers=containers).gpus == 6


@pytest.mark.parametrize("seconds", [2**31, 2**63 - 1])
def test_a_pod_that_has_all_the_time_in_the_world_holds_its_gpus_as_any(seconds: int) -> None:
    """An API server takes what no date can be made of."""
    body = pod_to_object(RANK)
    body["spec"]["terminationGracePeriodSeconds"] = body["metadata"]["deletionGracePeriodSeconds"] = seconds
    pod = pod_from_object(body, FLEET)
    century = timedelta(days=36_500)
    assert pod.gpus == RANK.gpus
    assert timedelta(days=365) < (pod.own_grace or timedelta()) < century
    assert timedelta(days=365) < (pod.grace or timedelta()) < century


def test_a_phase_that_nobody_knows_counts_as_still_there() -> None:
    body = {**pod_to_object(RANK), "status": {"phase": "Dreaming"}}
    assert pod_from_object(body, FLEET).phase is PodPhase.UNKNOWN


@pytest.mark.parametrize(
    "spec",
    [
        None,
        {},
        {"containers": 5},
        {"containers": [one("a", cpu="much")]},
        {"containers": [one("a", cpu=-1)]},
        {"containers": [one("a")], "nodeName": 5},
        {"containers": [one("a")], "overhead": {"cpu": "-1"}},
    ],
)
def test_a_pod_that_cannot_be_read_is_named(spec: object) -> None:
    with pytest.raises(InvalidInput, match=r"^Pod n/p: cannot be read"):
        pod_from_object({"metadata": {"name": "p", "namespace": "n"}, "spec": spec}, FLEET)

"""What a run stands on goes away under it, or changes."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Iterator

import pytest
from tests.faults.conftest import Table
from tests.faults.plane import Object, kinds, listed, until
from tests.faults.proxy import Request
from tests.faults.stage import RUNS, Stage
from tests.faults.test_kills import a_life
from tests.faults.test_watches import canceling

from runs_core.cluster.kube.api import Refused

NODES = "/api/v1/nodes"


@pytest.fixture
def nodes(stage: Stage) -> Iterator[list[Object]]:
    """As they are made; those that are gone at the end are made again."""
    made: list[Object] = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": item["metadata"]["name"],
                "labels": item["metadata"]["labels"],
                "annotations": {"kwok.x-k8s.io/node": "fake"},
            },
            "status": {"allocatable": item["status"]["allocatable"], "capacity": item["status"]["capacity"]},
        }
        for item in stage.items("Node")
    ]
    yield made
    there = {item["metadata"]["name"] for item in stage.items("Node")}
    for node in made:
        if node["metadata"]["name"] not in there:
            stage.plane.admin.call("POST", NODES, node)


def lost_at(stage: Stage, verb: str, plural: str) -> list[str]:
    """The node of the first pod that is about to be written so goes a moment before."""
    gone: list[str] = []

    first = threading.Lock()

    def before(request: Request) -> bool:
        if (request.verb, request.plural) == (verb, plural) and first.acquire(blocking=False):
            leases = stage.plane.admin.call("GET", f"{RUNS.format(stage.namespace).removesuffix('runs')}gpuleases")[1]
            gone.append(min(leases["items"][0]["spec"]["slots"]))
            stage.plane.admin.call("DELETE", f"{NODES}/{gone[0]}")
        return True

    stage.proxy.before_write = before
    return gone


def test_a_node_is_deleted_while_pods_are_made_on_it(stage: Stage, nodes: list[Object], table: Table) -> None:
    stage.scheduler()
    stage.reach_leader("a")
    gone = lost_at(stage, "create", "pods")
    stage.submit("mine", 4, 0.3)
    seconds = stage.settle({"mine": "Succeeded"}, 30)
    assert len(gone) == 1
    table.add("node deleted while pods are made", "DELETE of the node before the first POST of a pod", [seconds], stage)


def test_a_node_is_deleted_while_pods_are_bound_to_it(stage: Stage, nodes: list[Object], table: Table) -> None:
    """Other people's pods cannot be moved: their maker makes new ones."""
    stage.scheduler()
    stage.reach_leader("a")
    gone = lost_at(stage, "create", "pods/binding")
    stage.submit("theirs", 4, None, template=None)
    path = f"/api/v1/namespaces/{stage.namespace}/pods"
    made: set[str] = set()

    def maker() -> None:
        items = stage.plane.admin.call("GET", path)[1]["items"]
        alive = [
            i
            for i in items
            if i["status"].get("phase") not in ("Succeeded", "Failed") and "deletionTimestamp" not in i["metadata"]
        ]
        done = [i for i in items if i["status"].get("phase") == "Succeeded"]
        while len(alive) + len(done) < 2:
            body = a_pod(f"theirs-{len(made)}", "theirs")
            made.add(body["metadata"]["name"])
            alive.append(stage.plane.admin.call("POST", path, body)[1])

    seconds = stage.settle({"theirs": "Succeeded"}, 60, each=maker)
    assert len(gone) == 1
    table.add("node deleted while pods are bound", "DELETE of the node before the first binding", [seconds], stage)


def a_pod(name: str, run: str) -> Object:
    """As some controller would make it for a run without a template."""
    container = {"name": "main", "image": "none", "resources": {"limits": {"nvidia.com/gpu": "2"}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"runs.dev/run": run},
            "annotations": {"runs.dev/simulated-duration": "300ms"},
        },
        "spec": {"schedulerName": "runs", "restartPolicy": "Never", "containers": [container]},
    }


def test_a_namespace_is_deleted_under_running_work(stage: Stage, table: Table, full: bool) -> None:
    stage.scheduler()
    seconds = []
    for number in range(5 if full else 1):
        doomed = f"{stage.namespace[:40]}-doomed-{number}"
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": doomed}}
        stage.plane.admin.call("POST", "/api/v1/namespaces", body)
        account = f"/api/v1/namespaces/{doomed}/serviceaccounts/default"
        until(lambda account=account: _answered(stage, account), 20, "no service account")  # type: ignore[misc]  # bound now
        stage.submit("doomed", 12, None, namespace=doomed)
        path = f"{RUNS.format(doomed)}/doomed"
        until(lambda path=path: _phase(stage, path) == "Running", 20, "the doomed run does not run")  # type: ignore[misc]  # bound now
        stage.submit(f"waits-{number}", 12, 0.3)
        stage.plane.admin.call("DELETE", f"/api/v1/namespaces/{doomed}")
        began = time.monotonic()
        stage.settle({f"waits-{number}": "Succeeded"}, 60)
        until(lambda doomed=doomed: not _answered(stage, f"/api/v1/namespaces/{doomed}"), 60, "the namespace stays")  # type: ignore[misc]  # bound now
        seconds.append(time.monotonic() - began)
    table.add(
        "namespace deleted under running work",
        "DELETE of the namespace of a run that another waits for",
        seconds,
        stage,
    )


def _answered(stage: Stage, path: str) -> bool:
    try:
        stage.plane.admin.call("GET", path)
    except Refused:
        return False
    return True


def _phase(stage: Stage, path: str) -> str:
    return str(stage.plane.admin.call("GET", path)[1]["status"].get("phase", ""))


def test_a_quota_forbids_what_an_eviction_needs(stage: Stage, table: Table) -> None:
    """It asks again now and then, not all the time, until the quota is gone."""
    stage.settings["starts"] = {"backoff": "1s"}
    stage.scheduler()
    stage.submit("runs", 4, None)
    stage.reach("runs", "Running")
    home = f"/api/v1/namespaces/{stage.namespace}"
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    stage.plane.admin.call("POST", f"{home}/resourcequotas", quota)
    asked = f"{home}/resourcequotas/none"
    until(lambda: "hard" in stage.plane.admin.call("GET", asked)[1].get("status", {}), 20, "the quota does not count")
    before = stage.proxy.counts["create", "pods"]
    stage.plane.admin.call("DELETE", f"{home}/pods/runs-1-0", {"gracePeriodSeconds": 0})
    until(lambda: stage.proxy.counts["create", "pods"] > before, 10, "the pod is not made again")
    time.sleep(3)
    assert stage.proxy.counts["create", "pods"] - before <= 4
    stage.plane.admin.call("DELETE", asked)
    seconds = stage.await_(lambda: len(stage.living("runs")) == 2, "the pod is not made")
    seconds += stage.settle({"runs": "Running"}, 20)
    table.add("replacement forbidden", "a quota of no pods, an eviction; the quota goes 3 s later", [seconds], stage)


def test_crds_are_upgraded_under_running_work(stage: Stage, table: Table, full: bool) -> None:
    stage.scheduler()
    times = 5 if full else 1
    expected: dict[str, str] = {}
    try:
        for number in range(times):
            expected |= a_life(stage, number)
            stage.reach(f"long-{number}", "Running")
            newer = [_with_a_field(crd, number) for crd in kinds()]
            stage.plane.kubectl("apply", "--server-side", "-f", "-", stdin=listed(newer))
            stage.edit(f"long-{number}", canceled=True)
        seconds = stage.settle(expected, 60, each=lambda: canceling(stage, expected))
    finally:
        stage.plane.kubectl("apply", "--server-side", "-f", "-", stdin=listed(kinds()))
    how = f"kubectl apply of all of them with one more optional field, {times} times, while runs start and end"
    table.add("CRDs upgraded under running work", how, [seconds], stage)


def _with_a_field(crd: Object, number: int) -> Object:
    made = copy.deepcopy(crd)
    for version in made["spec"]["versions"]:
        for part in ("spec", "status"):
            inner = version["schema"]["openAPIV3Schema"]["properties"].get(part)
            if inner is not None:
                inner.setdefault("properties", {})[f"later{number}"] = {"type": "string"}
    return made

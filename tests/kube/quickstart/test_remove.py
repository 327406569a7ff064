"""The page on removal is executed as it stands, without a scheduler and with one: nothing is stranded, nothing left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.kube.people import until
from tests.kube.quickstart.conftest import HOWTO, below, played, shown

if TYPE_CHECKING:
    from tests.kube.conftest import Plane

TEAM = "removed"
LIVE, PAGE = ((HOWTO / name).read_text() for name in ("live-cluster.md", "remove.md"))
ON_OUR_OWN = (
    "submit held -n removed --flavor H100-80GB --gpus 8 --gpus-per-pod 8 --image registry.example/train:1 -- train"
)
STOP = 'kill -9 "$(cat scheduler.pid)"'


def done(folder: Path, cluster: Plane, *scripts: str) -> str:
    answer = played("\n".join(scripts), folder, cluster)
    assert answer.returncode == 0, f"{answer.stdout}\n{answer.stderr}"
    return answer.stdout


@pytest.fixture
def working(cluster: Plane, tmp_path: Path) -> Iterator[Path]:
    """The folder of whoever installed runs, started it, and has a run on a GPU in a namespace of its own."""
    cluster.kubectl("create", "namespace", TEAM)
    until(lambda: cluster.kubectl("-n", TEAM, "get", "serviceaccount", "default").returncode == 0)
    done(
        tmp_path,
        cluster,
        *shown(below(LIVE, "Install"), tmp_path),
        *shown(below(LIVE, "Start the scheduler"), tmp_path),
    )
    done(
        tmp_path,
        cluster,
        f"runs {ON_OUR_OWN}",
        f"kubectl wait -n {TEAM} run/held --for=condition=PodsReady --timeout=60s",
    )
    yield tmp_path
    played(STOP, tmp_path, cluster)


def names(cluster: Plane, *kinds: str) -> list[str]:
    """All of these kinds whose name is of runs."""
    found = cluster.kubectl("get", ",".join(kinds), "-A", "-o", "name")
    return [line for line in found.stdout.splitlines() if "runs" in line]


def test_without_a_scheduler_the_page_lets_a_namespace_go(cluster: Plane, working: Path) -> None:
    done(working, cluster, STOP, f"kubectl delete namespace {TEAM} --wait=false")
    told = "jsonpath={.status.conditions[?(@.type=='NamespaceFinalizersRemaining')].message}"
    until(lambda: "runs.dev/ledger" in cluster.kubectl("get", "namespace", TEAM, "-o", told).stdout)
    done(working, cluster, *shown(below(PAGE, "While no scheduler runs"), working))
    until(lambda: cluster.kubectl("get", "namespace", TEAM).returncode != 0)
    assert cluster.kubectl("get", "runs,gpuleases", "-A", "-o", "name").stdout == ""


def test_with_a_scheduler_the_page_takes_runs_off_a_cluster(cluster: Plane, working: Path) -> None:
    first, then = shown(below(PAGE, "Take runs off a cluster"), working)
    done(working, cluster, first, STOP, then)
    kinds = ("customresourcedefinitions", "namespaces", "clusterroles", "clusterrolebindings", "leases")
    policies = (f"{kind}admissionpolicies,{kind}admissionpolicybindings" for kind in ("validating", "mutating"))
    until(lambda: names(cluster, *kinds, *policies) == [])
    assert cluster.kubectl("get", "namespaces", "-o", "name").stdout != ""

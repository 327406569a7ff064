"""Two runs in one place, as a leader leaves them that was paused and writes late: the audit ends what came second."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from runs_core.cluster.local import LocalCluster, Objects, Store
from runs_core.schema.convert import to_object
from runs_core.serve.audit import findings
from runs_core.serve.drive import advance
from runs_core.serve.loop import Loop
from runs_core.serve.process import carry_out
from runs_core.settings import Settings
from runs_core.testing.builders import A_MONDAY, NAMESPACE, a_lease
from runs_core.values.lease import Closed
from runs_core.values.meta import Key
from runs_core.values.quantity import format_time
from runs_core.values.run import Phase, Run
from runs_core.world.invariants import breaches

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "n1"},
    "status": {
        "allocatable": {"cpu": "64", "memory": "1Ti", "pods": "110", "nvidia.com/gpu": "8"},
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}
MINUTE = timedelta(minutes=1)


def a_manifest(name: str) -> dict[str, Any]:
    """Of a run of eight GPUs, which lasts for an hour."""
    return {
        "apiVersion": "runs.dev/v1alpha1",
        "kind": "Run",
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": {"runs.dev/simulated-duration": "1h"}},
        "spec": {"resources": {"gpus": 8, "gpusPerPod": 8}},
    }


@attrs.frozen(kw_only=True)
class Site:
    cluster: LocalCluster
    loop: Loop

    def run(self, name: str) -> Run:
        found = self.loop.world.run(Key(NAMESPACE, name))
        assert found is not None
        return found

    def phases(self) -> list[str]:
        return [str(self.run(name).status.phase) for name in ("first", "late")]

    def broken(self) -> set[int]:
        return {breach.invariant for breach in breaches(self.loop.world)}

    def passes(self, time: timedelta) -> None:
        advance(self.loop, self.cluster, self.cluster.now + time, lambda _: None)

    def audited(self) -> None:
        for one in findings(self.loop.world):
            carry_out(self.loop, one.effects)
        self.loop.settle()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """One node, and two runs of all its GPUs, of which the second waits; then a lease of it is written late."""
    store = Store.create(tmp_path / "cluster.db", format_time(A_MONDAY))
    cluster = LocalCluster(store, Settings())
    for body in (NODE, a_manifest("first"), a_manifest("late")):
        Objects(cluster).create(body)
    made = Site(cluster=cluster, loop=Loop(cluster))
    made.passes(MINUTE)
    assert made.phases() == [Phase.RUNNING, Phase.QUEUED]
    lease = a_lease(made.run("late"), {"n1": tuple(range(8))})
    with store.writing():
        store.put("GPULease", to_object(attrs.evolve(lease, meta=attrs.evolve(lease.meta, created=cluster.now))))
    made.loop.settle()
    yield made
    store.close()


def test_who_came_second_goes_back_to_the_line_and_who_was_there_runs_on(site: Site) -> None:
    site.passes(MINUTE)
    assert (site.phases(), site.broken()) == ([Phase.RUNNING, Phase.RUNNING], {1})
    attempts = [site.run(name).status.attempt for name in ("first", "late")]
    site.audited()
    site.passes(MINUTE)
    assert (site.phases(), site.broken()) == ([Phase.RUNNING, Phase.QUEUED], set())
    (closed,) = [body for body in site.cluster.store.find("GPULease") if (body.get("status") or {}).get("closed")]
    assert closed["status"]["closureReason"] == Closed.EVICTED
    assert f"run {site.run('first').key} was there first" in closed["status"]["closureDetail"]
    site.passes(60 * MINUTE)
    assert site.phases() == [Phase.SUCCEEDED, Phase.RUNNING]
    assert [site.run(name).status.attempt for name in ("first", "late")] == [attempts[0], attempts[1] + 1]

"""What is over goes from a simulated cluster too, so that the state of a long simulation does not grow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from runs_core.cluster.trace.cluster import NONCES, TraceCluster
from runs_core.cluster.trace.input import EPOCH, Arrival, TraceInput, simulated_meta
from runs_core.decide.verify import verify
from runs_core.serve.loop import Loop
from runs_core.serve.simulate import changes_of
from runs_core.settings import RetentionSettings, Settings
from runs_core.testing.builders import a_budget
from runs_core.testing.plugins import advice_of
from runs_core.testing.purses import Purse, purses
from runs_core.values.change import ResolutionGone
from runs_core.values.effect import Effect, PutResolution
from runs_core.values.node import Node
from runs_core.values.record import Record
from runs_core.values.resolution import Resolution
from runs_core.values.run import Resources, Run, RunSpec

KEPT = Settings(retention=RetentionSettings(leases=timedelta(hours=1)))


class Kept(TraceCluster):
    """Remembers each resolution, as it was first written."""

    def __init__(self, trace: TraceInput) -> None:
        self.first: list[Resolution] = []
        super().__init__(changes_of(trace), KEPT, begin=EPOCH, told=lambda _: None)

    def commit(self, effects: Sequence[Effect], records: Sequence[Record]) -> None:
        super().commit(effects, records)
        self.first += [one.resolution for one in effects if isinstance(one, PutResolution)]


def arrival(name: str, minutes: int, gpus: int) -> Arrival:
    at, duration = EPOCH + timedelta(minutes=minutes), timedelta(hours=1 if gpus == 4 else 9)
    meta = simulated_meta("research", name, at=at, duration=duration)
    return Arrival(at=at, run=Run(meta=meta, spec=RunSpec(resources=Resources(gpus=gpus))), duration=duration)


def played(minutes: int) -> tuple[Loop, Kept]:
    """`wide`, for which nobody pays, is cut after an hour and again after five."""
    arrivals = (arrival("wide", 0, 6), arrival("heir", 60, 4), arrival("next", 300, 4))
    cluster = Kept(
        TraceInput(nodes=(Node(name="n", gpus=8, pods=110),), arrivals=arrivals, budgets=(a_budget("vision"),))
    )
    advice = advice_of({"purses": purses(Purse(name="main", gpus=4))})
    loop = Loop(cluster, KEPT, advice)
    advice.attach(loop.world, loop.world)
    loop.settle()
    while cluster.now < EPOCH + timedelta(minutes=minutes):
        deadline = loop.next_moment()
        cluster.advance(min(filter(None, (deadline, EPOCH + timedelta(minutes=minutes)))))
        loop.settle()
    return loop, cluster


def test_a_resolution_that_has_been_over_for_long_goes() -> None:
    loop, _ = played(90)
    assert [one.spec.number for one in loop.world.resolutions()] == [1]
    loop, cluster = played(240)
    assert loop.world.resolutions() == []
    assert [one.spec.number for one in cluster.first] == [1]


def test_the_next_one_follows_on_it_and_verifies() -> None:
    _, cluster = played(360)
    assert [one.spec.number for one in cluster.first] == [1, 2]
    for one in cluster.first:
        assert verify(one, one.spec.evidence.data, NONCES.commitment(one.spec.number)) == []


def test_a_chain_that_is_forgotten_with_them_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    forget = TraceCluster._forget
    alone = lambda cluster: (one for one in forget(cluster) if isinstance(one, ResolutionGone))  # noqa: E731
    monkeypatch.setattr(TraceCluster, "_forget", alone)
    _, cluster = played(360)
    assert [one.spec.number for one in cluster.first] == [1, 1]

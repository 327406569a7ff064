"""A simulation that checks its invariants finds an engine that breaks one, whichever, and tells how often it looked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import attrs
import pytest

from runs_core.cluster.trace.input import EPOCH, Arrival, TraceInput, simulated_meta
from runs_core.decide import start as starting
from runs_core.errors import InvariantBroken
from runs_core.serve import checking
from runs_core.serve.simulate import Simulation, simulate
from runs_core.settings import Settings
from runs_core.testing.builders import a_budget
from runs_core.testing.plugins import advice_of
from runs_core.testing.purses import Purse, purses
from runs_core.values.node import Node
from runs_core.values.run import Resources, Run, RunSpec
from runs_core.world.fleet import Fleet
from runs_core.world.invariants import Breach
from runs_core.world.ledger import Ledger


def arrival(name: str, minutes: int, gpus: int) -> Arrival:
    at, duration = EPOCH + timedelta(minutes=minutes), timedelta(hours=1)
    meta = simulated_meta("research", name, at=at, duration=duration)
    return Arrival(at=at, run=Run(meta=meta, spec=RunSpec(resources=Resources(gpus=gpus))), duration=duration)


def checked(every: int | None = 1) -> Simulation:
    """Three runs of two hours, of which `wide`, for which nobody pays, is cut for `heir`."""
    arrivals = (arrival("wide", 0, 6), arrival("heir", 40, 4), arrival("last", 50, 2))
    trace = TraceInput(nodes=(Node(name="n", gpus=8, pods=110),), arrivals=arrivals, budgets=(a_budget("vision"),))
    return simulate(trace, Settings(), advice_of({"purses": purses(Purse(name="main", gpus=4))}), check=every)


def test_a_sound_engine_is_checked_after_so_many_decisions_and_at_the_end() -> None:
    often, seldom = checked(1).summary, checked(5).summary
    assert often.preemptions.cuts == 1
    assert often.decisions / 2 < often.checks <= often.decisions + 1
    assert 2 <= seldom.checks <= often.decisions // 5 + 1


def test_without_being_asked_nothing_is_checked_and_all_else_is_the_same() -> None:
    assert checked(None).summary.checks == 0
    assert attrs.evolve(checked(1).summary, checks=0) == checked(None).summary


def two_on_one_place(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Fleet, "hold", lambda *_, **__: None)


def another_width(patch: pytest.MonkeyPatch) -> None:
    started = starting.started

    def wrong(run: Run, *rest: object, **said: object) -> Run:
        stands = started(run, *rest, **said)  # type: ignore[arg-type]  # handed on as it came
        return attrs.evolve(stands, status=attrs.evolve(stands.status, width=stands.status.width + 1))

    patch.setattr(starting, "started", wrong)


def a_lost_lease(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "add", lambda *_: None)


def a_draw_that_does_not_follow(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checking, "verify", lambda *_: ["the seed is another"])


@pytest.mark.parametrize(
    ("broken", "number"),
    [(two_on_one_place, 1), (another_width, 4), (a_lost_lease, 4), (a_draw_that_does_not_follow, 7)],
)
def test_a_broken_engine_is_found_out(
    broken: Callable[[pytest.MonkeyPatch], None], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    with pytest.raises(InvariantBroken, match=f"invariant {number} is broken at 2"):
        checked()


def test_the_end_is_checked_however_few_decisions_there_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "breaches", lambda world, _: [Breach(4, f"{len(world.runs())} runs")])
    with pytest.raises(InvariantBroken, match="3 runs"):
        checked(10_000)

"""A simulation says what was taken back: worked out by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from runs_core.cluster.trace.input import EPOCH, Arrival, TraceInput, simulated_meta
from runs_core.serve import cuts
from runs_core.serve.simulate import simulate
from runs_core.serve.summary import Preemptions, StageCuts
from runs_core.settings import Settings
from runs_core.testing.builders import a_budget
from runs_core.testing.plugins import advice_of
from runs_core.testing.purses import Purse, purses
from runs_core.values.node import Node
from runs_core.values.run import Resources, Run, RunSpec


def arrival(name: str, minutes: int, gpus: int, hours: int, *, of: str = "research") -> Arrival:
    at, duration = EPOCH + timedelta(minutes=minutes), timedelta(hours=hours)
    meta = simulated_meta(of, name, at=at, duration=duration)
    return Arrival(at=at, run=Run(meta=meta, spec=RunSpec(resources=Resources(gpus=gpus))), duration=duration)


def played(*arrivals: Arrival, more: tuple[Purse, ...] = ()) -> Preemptions:
    """On 8 GPUs, of which a purse pays for 4. more: purses beside it."""
    budgets = (a_budget("vision"), a_budget("speech", namespaces=("speech",)))
    trace = TraceInput(nodes=(Node(name="n", gpus=8, pods=110),), arrivals=arrivals, budgets=budgets)
    advice = advice_of({"purses": purses(Purse(name="main", gpus=4), *more)})
    return simulate(trace, Settings(), advice).summary.preemptions


def test_cuts_are_counted_with_the_work_that_was_lost() -> None:
    """`wide` has nobody to pay for it, and 6 GPUs for an hour and the second that its pods take to go."""
    found = played(arrival("wide", 0, 6, 9), arrival("heir", 60, 4, 1))
    assert found == Preemptions(
        resolutions=1,
        cuts=1,
        gpus=6,
        runs=1,
        most=1,
        lost_gpu_hours=round(6 * 3601 / 3600, 6),
        by_stage=(StageCuts(stage="unfunded", cuts=1, gpus=6),),
    )


def test_work_from_before_somebody_paid_for_it_is_lost_with_the_rest() -> None:
    """`wide` gets a payer when `first` is over, after an hour; lots are drawn for `heir` at the end of its quantum."""
    late = Purse(name="late", gpus=8, opens=EPOCH + timedelta(minutes=90))
    first, wide = arrival("first", 0, 2, 1), arrival("wide", 0, 4, 9)
    found = played(first, wide, arrival("heir", 100, 6, 1, of="speech"), more=(late,))
    assert [stage.stage for stage in found.by_stage] == ["lottery"]
    assert found.lost_gpu_hours == round(4 * (4 * 3600 + 1) / 3600, 6)


def test_one_run_that_is_cut_again_is_one_run() -> None:
    found = played(arrival("wide", 0, 6, 9), arrival("heir", 60, 4, 1), arrival("next", 180, 4, 1))
    assert (found.resolutions, found.cuts, found.runs, found.most) == (2, 2, 1, 2)


def test_nothing_cut_is_nothing_counted() -> None:
    assert played(arrival("heir", 0, 4, 1)).cuts == 0


def test_a_count_that_misses_what_was_lost_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "RESOLUTION", "something else")
    assert played(arrival("wide", 0, 6, 9), arrival("heir", 60, 4, 1)).lost_gpu_hours == 0

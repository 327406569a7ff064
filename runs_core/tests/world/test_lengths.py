"""How long runs took is learnt from those that ended by themselves or by their owners, not from what we took back."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from runs_core.settings import ReservationSettings, Settings
from runs_core.testing.builders import A_MONDAY, a_lease, a_node, a_run, a_world
from runs_core.values.change import LeaseSeen
from runs_core.values.lease import Closed, LeaseStatus
from runs_core.world.lengths import Estimate, name_of

HOUR = timedelta(hours=1)


def learnt(reason: Closed) -> Estimate | None:
    """From one run of an hour whose lease closed for that reason."""
    run = a_run("one")
    world = a_world(a_node("n1"), now=A_MONDAY + HOUR, settings=Settings(reservations=ReservationSettings(history=1)))
    opened = a_lease(run, slots={"n1": tuple(range(8))})
    over = LeaseStatus(closed=True, end=opened.spec.start + HOUR, closure_reason=reason)
    world.apply(LeaseSeen(opened))
    world.apply(LeaseSeen(attrs.evolve(opened, status=over)))
    return world.lengths.estimate((name_of(opened.spec.owner, "research"), run.gpus.bit_length()))


def test_a_run_that_succeeded_says_how_long_such_runs_take() -> None:
    assert learnt(Closed.SUCCEEDED) == Estimate(HOUR, HOUR, 1)


@pytest.mark.parametrize(
    "reason",
    [Closed.UNFUNDED_RECLAIMED, Closed.SLICE_RECLAIMED, Closed.PREEMPTED, Closed.NODE_LOST, Closed.EVICTED],
)
def test_a_run_that_was_cut_says_nothing_of_it(reason: Closed) -> None:
    assert learnt(reason) is None


@pytest.mark.parametrize("reason", [Closed.START_FAILED, Closed.SUSPENDED])
def test_nor_does_one_that_never_came_up_or_was_suspended(reason: Closed) -> None:
    assert learnt(reason) is None

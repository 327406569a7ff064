"""After a restart the meter goes on from what was written down, and counts nothing twice."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import MappingProxyType

import attrs
import pytest
from runs_plugins.budgets.tests.histories import BEGIN, a_budget, a_lease

from runs_budgets.accounts import use
from runs_budgets.funding import Funding
from runs_budgets.sections import Envelope, Metered, Quota
from runs_core import Budget, BudgetSeen, BudgetStatus, Class, Closed, Key, Lease, LeaseSeen, Payer, Split, TimePassed
from runs_core.values.lease import LeaseStatus

MINUTE = timedelta(minutes=1)
QUOTA = Quota(envelopes=(Envelope(name="main", flavor="h100", gpus=8, gpu_hours=100),))
PAYER = Payer(budget="b", envelope="main")


def lease(name: str, gpus: int = 4, start: datetime = BEGIN) -> Lease:
    return a_lease(Key("team", name), f"uid-of-{name}", "ann", PAYER, gpus, start, 0)


def checkpoint(funding: Funding, at: datetime) -> Budget:
    """The Budget with what its status says then."""
    metered = Metered(envelopes=tuple(use(purse, at) for purse in funding.envelopes_in("b")), metered_until=at)
    status = BudgetStatus(sections=MappingProxyType({Metered: metered}))
    return attrs.evolve(a_budget("b", "ann", QUOTA), status=status)


def told(at: datetime, *changes: object) -> Funding:
    funding = Funding()
    funding.apply(TimePassed(at))
    for change in changes:
        funding.apply(change)  # type: ignore[arg-type]  # changes
    return funding


def spent(funding: Funding, at: datetime) -> Split:
    [purse] = funding.envelopes_in("b")
    funding.apply(TimePassed(at))
    return use(purse, at).gpu_seconds


@pytest.mark.parametrize("order", [1, -1])
def test_what_ran_while_nobody_watched_is_counted_in_the_class_found_then(order: int) -> None:
    before = told(BEGIN, BudgetSeen(a_budget("b", "ann", QUOTA)), LeaseSeen(lease("train")))
    before.apply(TimePassed(BEGIN + MINUTE))
    seen = [BudgetSeen(checkpoint(before, BEGIN + MINUTE)), LeaseSeen(lease("train"))]
    after = told(BEGIN + 3 * MINUTE, *seen[::order])
    assert spent(after, BEGIN + 4 * MINUTE) == Split(owned=4 * 240)
    assert after.meter(lease("train"), BEGIN + 4 * MINUTE) == Split(owned=4 * 240)


def test_from_its_own_checkpoint_to_its_budgets_a_lease_is_what_it_was() -> None:
    before = told(BEGIN, BudgetSeen(a_budget("b", "ann", QUOTA)))
    before.apply(TimePassed(BEGIN + 2 * MINUTE))
    marked = LeaseStatus(gpu_seconds=Split(shared=240), metered_as=Class.SHARED, metered_until=BEGIN + MINUTE)
    known = attrs.evolve(lease("train"), status=marked)
    after = told(BEGIN + 3 * MINUTE, BudgetSeen(checkpoint(before, BEGIN + 2 * MINUTE)), LeaseSeen(known))
    assert after.meter(known, BEGIN + 3 * MINUTE) == Split(shared=480, owned=240)


def test_a_lease_that_closed_while_nobody_watched_is_counted_once() -> None:
    before = told(BEGIN, BudgetSeen(a_budget("b", "ann", QUOTA)), LeaseSeen(lease("train")))
    before.apply(TimePassed(BEGIN + MINUTE))
    status = LeaseStatus(
        closed=True,
        end=BEGIN + 2 * MINUTE,
        closure_reason=Closed.SUCCEEDED,
        gpu_seconds=Split(owned=480),
        metered_as=Class.OWNED,
        metered_until=BEGIN + 2 * MINUTE,
    )
    ended = LeaseSeen(attrs.evolve(lease("train"), status=status))
    after = told(BEGIN + 3 * MINUTE, BudgetSeen(checkpoint(before, BEGIN + MINUTE)), ended, ended)
    assert spent(after, BEGIN + 3 * MINUTE) == Split(owned=480)


def test_hours_that_were_used_before_the_restart_stay_used() -> None:
    small = attrs.evolve(QUOTA, envelopes=(attrs.evolve(QUOTA.envelopes[0], gpu_hours=1),))
    before = told(BEGIN, BudgetSeen(a_budget("b", "ann", small)), LeaseSeen(lease("train")))
    before.apply(TimePassed(BEGIN + 15 * MINUTE))
    assert before.classify(lease("train")) is Class.UNFUNDED
    budget = attrs.evolve(checkpoint(before, BEGIN + 15 * MINUTE), spec=a_budget("b", "ann", small).spec)
    after = told(BEGIN + 16 * MINUTE, BudgetSeen(budget), LeaseSeen(lease("train")))
    assert after.classify(lease("train")) is Class.UNFUNDED


def test_a_lease_that_turned_just_before_the_restart_spends_the_hours_that_it_had_until_then() -> None:
    """900 s of 4 GPUs are one GPU-hour. The Budget's status is of a second before its end, the lease's of its end."""
    small = attrs.evolve(QUOTA, envelopes=(attrs.evolve(QUOTA.envelopes[0], gpu_hours=1),))
    before = told(BEGIN, BudgetSeen(a_budget("b", "ann", small)), LeaseSeen(lease("train")))
    end = BEGIN + 15 * MINUTE
    second = timedelta(seconds=1)
    before.apply(TimePassed(end - second))
    budget = attrs.evolve(checkpoint(before, end - second), spec=a_budget("b", "ann", small).spec)
    before.apply(TimePassed(end))
    assert before.classify(lease("train")) is Class.UNFUNDED
    metered = before.meter(lease("train"), end)
    known = attrs.evolve(
        lease("train"), status=LeaseStatus(gpu_seconds=metered, metered_as=Class.UNFUNDED, metered_until=end)
    )
    after = told(end + second, BudgetSeen(budget), LeaseSeen(known))
    assert after.classify(known) is Class.UNFUNDED
    assert spent(after, end + 2 * second) == Split(owned=3600, unfunded=8)

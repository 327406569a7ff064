"""What stands in a Budget's status: who uses how much of each envelope, what is left, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from runs_budgets.claims import BORROWED
from runs_budgets.clock import NEVER, SECOND, micros, moment_of
from runs_budgets.envelopes import Purse
from runs_budgets.funding import Funding
from runs_budgets.meter import split_of
from runs_budgets.offers import Asked, available
from runs_budgets.sections import NOTHING, Account, Lent, Quota, Used
from runs_core import Account as Accounted
from runs_core import Ask, Budget, Condition, Tier, section


def accounted(
    funding: Funding, budget: Budget, now: datetime, *, flavors: frozenset[str], soon: timedelta
) -> Accounted:
    """Its usage, and its conditions. flavors: of the present fleet. soon: how long before its end a window is told."""
    quota = section(budget.spec.sections, Quota) or NOTHING
    purses = [purse for purse in funding.envelopes_of(budget.spec.owner) if purse.payer.budget == budget.name]
    account = Account(envelopes=tuple(used(purse, now) for purse in purses), metered_until=now)
    conditions = (
        _ready(funding, budget, quota, flavors, now),
        _overcommitted(purses, now),
        _expiring(purses, now, soon),
    )
    return Accounted(conditions=conditions, sections={Account: account})


def used(purse: Purse, now: datetime) -> Used:
    """One envelope as it stands."""
    at = micros(now)
    began = purse.began
    return Used(
        name=purse.payer.envelope,
        gpus=split_of(purse.tally.gpus),
        headroom=headroom(purse, now),
        gpu_seconds=split_of([spent // SECOND for spent in purse.tally.until(at)]),
        counted_from=moment_of(began) if began is not None and began > -NEVER else None,
        window_gpu_seconds=max(0, purse.used(at) // SECOND),
        window_lent_gpu_seconds=max(0, purse.used_lent(at) // SECOND),
        lent=tuple(_lent(purse, at)),
    )


def headroom(purse: Purse, now: datetime) -> int:
    """GPUs that its owner could still be given, hours of one second required."""
    if purse.spec is None:
        return 0
    ask = Ask(owner=purse.owner, flavor=purse.spec.flavor, gpus=purse.spec.gpus)
    offer = available(purse, Tier.OWN, Asked(ask=ask, now=now, min_runtime=1))
    return max(0, min(offer.gpus, *(cap.left for cap in offer.caps), offer.gpus))


def _lent(purse: Purse, at: int) -> Iterator[Lent]:
    for owner in sorted(purse.lent):
        tally = purse.lent[owner]
        spent = tally.until(at)[BORROWED] // SECOND
        if tally.gpus[BORROWED] or spent:
            yield Lent(owner=owner, gpus=tally.gpus[BORROWED], gpu_seconds=spent)


def _ready(funding: Funding, budget: Budget, quota: Quota, flavors: frozenset[str], now: datetime) -> Condition:
    owner, family = budget.spec.owner, funding.family
    if circle := family.circle(owner):
        path = " -> ".join([*circle, circle[0]])
        return _condition("Ready", "False", "ParentCycle", f"parents lead back to {owner}: {path}; take one out", now)
    notes = []
    if unknown := [name for name in family.unknown(owner) if name in quota.parents]:
        notes.append(f"no Budget is of parent {', '.join(unknown)}")
    if absent := sorted({one.flavor for one in quota.envelopes} - flavors) if flavors else []:
        notes.append(f"no node has the flavor {', '.join(absent)}")
    gone = [one.name for one in quota.envelopes if one.window.end is not None and one.window.end <= now]
    if gone:
        notes.append(f"the window of {', '.join(gone)} is over")
    if not quota.envelopes:
        notes.append("it has no envelope")
    word = "ParentUnknown" if unknown else "Ready"
    return _condition("Ready", "True", word, "; ".join(notes) or f"{len(quota.envelopes)} envelopes", now)


def _overcommitted(purses: list[Purse], now: datetime) -> Condition:
    over = [purse.payer.envelope for purse in purses if purse.tally.gpus[3]]
    if not over:
        return _condition("Overcommitted", "False", "WithinQuota", "everything held on it is funded", now)
    told = f"more is held on {', '.join(over)} than it pays for: the rest is unfunded"
    return _condition("Overcommitted", "True", "Unfunded", told, now)


def _expiring(purses: list[Purse], now: datetime, soon: timedelta) -> Condition:
    ends = sorted((purse.edges()[1], purse.payer.envelope) for purse in purses)
    near = [(end, name) for end, name in ends if micros(now) < end < micros(now + soon)]
    if not near:
        return _condition("ExpiresSoon", "False", "NotSoon", "no window closes soon", now)
    told = "; ".join(f"{name} closes at {moment_of(end):%Y-%m-%dT%H:%M:%SZ}" for end, name in near)
    return _condition("ExpiresSoon", "True", "Closing", told, now)


def _condition(kind: str, status: str, reason: str, message: str, now: datetime) -> Condition:
    return Condition(type=kind, status=status, reason=reason, message=message, last_transition_time=now)

"""What stands in a Budget's status: whether it is in order, and who uses how much of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from runs_budgets.claims import BORROWED, UNFUNDED
from runs_budgets.clock import NEVER, SECOND, micros, moment_of
from runs_budgets.envelopes import Purse
from runs_budgets.funding import Funding
from runs_budgets.meter import split_of
from runs_budgets.sections import NOTHING, Lent, Metered, Quota, Used
from runs_core import Account, Budget, Condition, Split, section

HOUR_SPAN = timedelta(hours=1)


def account(
    funding: Funding, budget: Budget, now: datetime, *, expires_soon: timedelta, flavors: Sequence[str]
) -> Account:
    """Its conditions, and the checkpoint of its meter. flavors: of the fleet's nodes; none: none is known so far."""
    claimed = list(funding.envelopes_in(budget.name))
    purses = [purse for purse in claimed if purse.spec is not None]
    conditions = (
        _ready(funding, budget, now),
        _overcommitted(claimed, now),
        _expires_soon(purses, now, expires_soon),
        _flavor_missing(budget, flavors, now),
        _lending_unread(budget, now),
    )
    metered = _checkpoint(budget, purses, now)
    return Account(conditions=conditions, sections=MappingProxyType({Metered: metered} if purses else {}))


def _checkpoint(budget: Budget, purses: Sequence[Purse], now: datetime) -> Metered:
    """Where nothing was or is held since the last one, that one: it need not be written again."""
    found = Metered(envelopes=tuple(use(purse, now) for purse in purses), metered_until=now)
    known = section(budget.status.sections, Metered)
    idle = not any(any(purse.tally.gpus) for purse in purses)
    return known if known is not None and idle and known.envelopes == found.envelopes else found


def use(purse: Purse, now: datetime) -> Used:
    """Who uses how much of an envelope."""
    at, (start, _) = micros(now), purse.edges()
    spent = purse.tally.until(at)
    counts = start > -NEVER
    return Used(
        name=purse.payer.envelope,
        gpus=split_of(purse.tally.gpus),
        headroom=headroom(purse),
        gpu_seconds=split_of([whole // SECOND for whole in spent]),
        counted_from=moment_of(start) if counts else None,
        window_gpu_seconds=purse.used(at) // SECOND,
        window_lent_gpu_seconds=purse.used_lent(at) // SECOND,
        lent=tuple(
            Lent(owner=owner, gpus=tally.gpus[BORROWED], gpu_seconds=tally.until(at)[BORROWED] // SECOND)
            for owner, tally in sorted(purse.lent.items())
        ),
    )


def headroom(purse: Purse) -> int:
    """GPUs that its owner could still be given: of its own, of every cap; none while it is closed."""
    if purse.spec is None or not purse.open or purse.spent:
        return 0
    caps = [cap.gpus - cap.contractual for cap in purse.caps]
    return max(0, min([purse.spec.gpus - purse.contractual, *caps]))


# -- conditions -------------------------------------------------------------------------------------------------------


def _ready(funding: Funding, budget: Budget, now: datetime) -> Condition:
    owner = budget.spec.owner
    circle = funding.family.circle(owner)
    if circle:
        others = ", ".join(one for one in circle if one != owner)
        message = f"{owner} is its own ancestor, by way of {others}: until that is mended it has no parents"
        return _condition("Ready", "ParentCycle", message, now, true=False)
    if unknown := funding.family.unknown(owner):
        message = f"no Budget names {', '.join(unknown)}: as a parent it counts for nothing"
        return _condition("Ready", "ParentUnknown", message, now, true=True)
    quota = section(budget.spec.sections, Quota) or NOTHING
    if not quota.envelopes:
        return _condition("Ready", "NoEnvelopes", f"{owner} has no quota of its own here", now, true=True)
    count = len(quota.envelopes)
    message = f"{count} {'envelope' if count == 1 else 'envelopes'} for {owner}"
    return _condition("Ready", "Accounted", message, now, true=True)


def _overcommitted(purses: list[Purse], now: datetime) -> Condition:
    """Claims that its envelopes cannot pay for, or not in full; those on envelopes that are gone count too."""
    over = [one for one in purses if sum(one.payees) < len(one.claims) or one.tally.gpus[UNFUNDED]]
    if not over:
        return _condition("Overcommitted", "AllPaid", "every claim on it is paid for", now, true=False)
    names = ", ".join(purse.payer.envelope for purse in over)
    unpaid = sum(claim.need - claim.taken for purse in over for claim in purse.claims.values())
    message = f"{unpaid} GPUs that claim {names} are unfunded: they run until their GPUs are needed"
    return _condition("Overcommitted", "UnfundedClaims", message, now, true=True)


def _expires_soon(purses: list[Purse], now: datetime, lead: timedelta) -> Condition:
    soon = sorted(end for purse in purses for end in _ends(purse) if now <= end[0] <= now + lead)
    if not soon:
        lasts = f"no envelope ends within {lead / HOUR_SPAN:g} hours"
        return _condition("ExpiresSoon", "Lasts", lasts, now, true=False)
    told = "; ".join(f"{name} {why} {when:%Y-%m-%dT%H:%M:%SZ}" for when, name, why in soon)
    return _condition("ExpiresSoon", "EnvelopeEnds", told, now, true=True)


def _ends(purse: Purse) -> Iterator[tuple[datetime, str, str]]:
    _, end = purse.edges()
    whole, lent = purse.ends()
    for when, why in ((end, "closes at"), (whole, "uses up its hours at"), (lent, "uses up its hours to lend at")):
        if purse.open and when < NEVER:
            yield moment_of(when), purse.payer.envelope, why


def _flavor_missing(budget: Budget, flavors: Sequence[str], now: datetime) -> Condition:
    """Envelopes that no node could be paid from. A fleet without any node says nothing of what it will have."""
    quota = section(budget.spec.sections, Quota) or NOTHING
    lacking: dict[str, list[str]] = {}
    for envelope in sorted(quota.envelopes, key=lambda one: one.name):
        if envelope.flavor not in flavors:
            lacking.setdefault(envelope.flavor, []).append(envelope.name)
    if not flavors:
        return _condition("FlavorMissing", "NoNodes", "the fleet has no GPU nodes to judge by", now, true=False)
    if not lacking:
        return _condition("FlavorMissing", "NodesFound", "each envelope's flavor is one of the fleet", now, true=False)
    told = "; ".join(f"no node has the flavor {flavor} of {', '.join(lacking[flavor])}" for flavor in sorted(lacking))
    return _condition("FlavorMissing", "NoSuchNode", f"{told}: the fleet has {', '.join(flavors)}", now, true=True)


LENDING = "LendingUnread"
"""Whichever plugin makes loans says of this one that it is False: it comes before budgets by name."""


def _lending_unread(budget: Budget, now: datetime) -> Condition:
    """What stands while no plugin that makes loans has its own word."""
    quota = section(budget.spec.sections, Quota) or NOTHING
    names = sorted(envelope.name for envelope in quota.envelopes if envelope.lending is not None)
    if not names:
        return _condition(LENDING, "NothingLent", "no envelope lends", now, true=False)
    message = f"{', '.join(names)} would lend, and the borrowing plugin is not on: nobody is offered a loan"
    return _condition(LENDING, "BorrowingMissing", message, now, true=True)


def _condition(kind: str, reason: str, message: str, now: datetime, *, true: bool) -> Condition:
    return Condition(type=kind, status=str(true), reason=reason, message=message, last_transition_time=now)


def lines(payers: dict[tuple[str, str], Split]) -> Iterator[str]:
    """For a person: who pays for a run now. payers: its GPUs by class, by budget and envelope."""
    for (budget, envelope), gpus in sorted(payers.items()):
        for count, how in ((gpus.owned, "owned"), (gpus.shared, "shared"), (gpus.borrowed, "borrowed")):
            if count:
                yield f"{count} GPUs are {how}, paid by {budget}/{envelope}"
        if gpus.unfunded:
            yield f"{gpus.unfunded} GPUs claim {budget}/{envelope}, which cannot pay for them: they are unfunded"

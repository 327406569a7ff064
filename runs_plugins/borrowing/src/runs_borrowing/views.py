"""What the commands show, from leases and what they have metered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import attrs

from runs_core import Class, Key, Lease, Payer, Split

HOUR = 3600
Place = tuple[str | None, str | None]
"""Budget and envelope; None: nobody pays."""
NOBODY: Place = (None, None)


@attrs.frozen(kw_only=True)
class Held:
    """A lease, open or closed. cls: what it counts as now. used: GPU-seconds so far, by class."""

    lease: Lease
    cls: Class
    used: Split


@attrs.frozen(kw_only=True)
class Paid:
    """GPUs now, by payer and class; GPU-seconds so far, by class and by payer."""

    now: tuple[tuple[Place, Class, int], ...]
    used: Split
    by_payer: tuple[tuple[Place, int], ...]


@attrs.frozen(kw_only=True)
class Loan:
    """What one envelope lends to one run. lender, borrower: owners. gpu_seconds: lent so far.

    gpus: now, or when it ended. until: when it ended; None: it stands.
    """

    lender: str
    payer: Payer
    borrower: str
    run: Key
    gpus: int
    since: datetime
    until: datetime | None
    gpu_seconds: int


def paid(held: Iterable[Held]) -> Paid:
    """Of all leases of one run. Payers sorted, nobody last; what an envelope cannot pay for is paid for by nobody."""
    now: dict[tuple[Place, Class], int] = {}
    by_payer: dict[Place, int] = {}
    used = Split()
    for one in held:
        payer, nobody = _place(one.lease), one.used.unfunded
        if not one.lease.status.closed:
            place = payer if one.cls is not Class.UNFUNDED else NOBODY
            now[place, one.cls] = now.get((place, one.cls), 0) + one.lease.gpus
        for cls in Class:
            used = used.plus(cls, getattr(one.used, cls.value))
        for place, seconds in ((payer, one.used.total - nobody), (NOBODY, nobody)):
            if seconds:
                by_payer[place] = by_payer.get(place, 0) + seconds
    return Paid(
        now=tuple((place, cls, gpus) for (place, cls), gpus in sorted(now.items(), key=lambda one: _order(*one[0]))),
        used=used,
        by_payer=tuple(sorted(by_payer.items(), key=lambda one: _order(one[0]))),
    )


def _place(lease: Lease) -> Place:
    payer = lease.spec.payer
    return NOBODY if payer is None else (payer.budget, payer.envelope)


def _order(place: Place, cls: Class = Class.OWNED) -> tuple[bool, str, str, int]:
    return place[0] is None, place[0] or "", place[1] or "", list(Class).index(cls)


def loans(
    held: Iterable[Held], owner_of: Callable[[str], str | None], ended_after: datetime | None = None
) -> tuple[Loan, ...]:
    """Those that stand, by lender, envelope and run; what the run was lent there before counts too.

    owner_of: the owner of a Budget; None: it is gone. ended_after: with those that ended later than that.
    """
    found: dict[tuple[Payer, str], list[Held]] = {}
    for one in held:
        if one.lease.spec.payer is not None:
            found.setdefault((one.lease.spec.payer, one.lease.spec.run_ref.uid), []).append(one)
    made = [_loan(payer, leases, owner_of(payer.budget) or payer.budget) for (payer, _), leases in found.items()]
    known = (one for one in made if one is not None)
    return tuple(
        sorted(
            (one for one in known if one.until is None or (ended_after is not None and one.until > ended_after)),
            key=_rank,
        )
    )


def _loan(payer: Payer, leases: Sequence[Held], lender: str) -> Loan | None:
    """Of one run; None: none of it was ever lent."""
    stand = [one for one in leases if one.cls is Class.BORROWED and not one.lease.status.closed]
    lent = [(one, end) for one in leases if one.used.borrowed and (end := _end(one.lease)) is not None]
    if not stand and not lent:
        return None
    until = None if stand else max(end for _, end in lent)
    part = stand or [one for one, end in lent if end == until]
    return Loan(
        lender=lender,
        payer=payer,
        borrower=part[0].lease.spec.owner or "",
        run=part[0].lease.run,
        gpus=sum(one.lease.gpus for one in part),
        since=min(one.lease.spec.start for one in part),
        until=until,
        gpu_seconds=sum(one.used.borrowed for one in leases),
    )


def _end(lease: Lease) -> datetime | None:
    """When what it was lent ended, where it is lent nothing now: with the lease, or when its class changed."""
    return lease.status.end or lease.status.metered_until


def _rank(loan: Loan) -> tuple[bool, str, str, str, Key]:
    """Those that stand first."""
    return loan.until is not None, loan.lender, loan.payer.budget, loan.payer.envelope, loan.run


def hours(seconds: int) -> float:
    """Rounded down to hundredths."""
    return seconds * 100 // HOUR / 100

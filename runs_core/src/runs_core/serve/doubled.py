"""Who came second to a place on a node: two leases name one where a leader that had been paused writes late."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from runs_core.values.lease import Lease, Role
from runs_core.values.meta import Key


def late_comers(leases: Sequence[Lease]) -> Iterator[tuple[Lease, Lease]]:
    """Of each run that came second the first such lease, with the one that was there before it.

    leases: open ones. A run that came second somewhere keeps nobody away elsewhere, since a gang goes as a whole.
    O(leases) where there is none, as ever.
    """
    ours = [lease for lease in leases if lease.spec.role is Role.ACTIVE]
    held: dict[tuple[str, int], Lease] = {}
    late: set[Key] = set()
    for lease in sorted(ours, key=_came) if _overlap(ours) else ():
        if lease.run in late:
            continue
        places = [(slots.node, place) for slots in lease.spec.slots for place in slots.ordinals]
        first = next((held[place] for place in places if place in held and held[place].run not in late), None)
        if first is not None:
            late.add(lease.run)
            yield lease, first
        else:
            held.update(dict.fromkeys(places, lease))


def _overlap(leases: Iterable[Lease]) -> bool:
    held: dict[str, int] = {}
    for lease in leases:
        for slots in lease.spec.slots:
            before = held.get(slots.node, 0)
            if before & slots.mask:
                return True
            held[slots.node] = before | slots.mask
    return False


def _came(lease: Lease) -> tuple[datetime, datetime, Key]:
    """When it was written, which may be long after it was decided."""
    return (lease.meta.created or lease.spec.start, lease.spec.start, lease.key)

"""How long runs took, by whose they were and how large: what is expected of those that say nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from runs_core.values.lease import Closed, Lease

if TYPE_CHECKING:
    from runs_core.world.known import Known

Lot = tuple[str, int]
"""Whose runs, and of which size: two sizes are alike if they have as many binary digits."""
MOST_CLOSED = 512
"""Closed leases of one owner that are remembered at least: the last to end."""
MOST_LENGTHS = 64
"""Runs of one owner and size, the last to end, that an estimate is made of."""
SILENT = frozenset(
    {
        Closed.START_FAILED,
        Closed.SUSPENDED,
        Closed.UNFUNDED_RECLAIMED,
        Closed.SLICE_RECLAIMED,
        Closed.PREEMPTED,
        Closed.NODE_LOST,
        Closed.EVICTED,
    }
)
"""Ends that say nothing of how long a run takes: it never came up, or was not done."""


class Estimate(NamedTuple):
    """How long runs of one owner and size took. runs: how many it is made of."""

    median: timedelta
    most: timedelta
    runs: int


class Lengths:
    """estimated: counts up whenever another lease counts."""

    def __init__(self, world: Known) -> None:
        self._world = world
        self.estimated = 0
        self._closed: dict[str, list[Lease]] = {}
        self._estimates: dict[str, dict[int, Estimate]] = {}

    def closed(self, lease: Lease) -> None:
        """Whoever had it has ended."""
        if not self._world.settings.reservations.history:
            return
        name = name_of(lease.spec.owner, lease.meta.namespace)
        known = self._closed.setdefault(name, [])
        known.append(lease)
        if len(known) > 2 * MOST_CLOSED:
            known.sort(key=lambda lease: (lease.status.end or lease.spec.start, lease.key))
            del known[:-MOST_CLOSED]
        self._estimates.pop(name, None)
        self.estimated += 1

    def forget(self) -> None:
        """What was taken to have ended may not have."""
        self._estimates.clear()
        self.estimated += 1

    def estimate(self, lot: Lot) -> Estimate | None:
        """None: too few have ended."""
        if not self._world.settings.reservations.history:
            return None
        name, size = lot
        known = self._estimates.get(name)
        if known is None:
            known = self._estimates[name] = self._counted(self._closed.get(name, ()))
        return known.get(size)

    def _counted(self, leases: Iterable[Lease]) -> dict[int, Estimate]:
        """A gang's leases, of one attempt, count together. One whose closing was not written after all does not."""
        least = self._world.settings.reservations.history
        by_key = {lease.key: lease for lease in leases if lease.key not in self._world.ledger.open}
        gangs: dict[tuple[str, int], list[Lease]] = {}
        for lease in by_key.values():
            gangs.setdefault((lease.spec.run_ref.uid, lease.spec.attempt), []).append(lease)
        sizes: dict[int, list[tuple[datetime, str, timedelta]]] = {}
        for (uid, _), parts in gangs.items():
            last = [lease for lease in parts if lease.status.closure_reason is not Closed.REPAID]
            if not last or any(lease.status.closure_reason in SILENT for lease in last):
                continue
            end = max(lease.status.end or lease.spec.start for lease in last)
            length = end - min(lease.spec.start for lease in parts)
            size = sum(lease.gpus for lease in last).bit_length()
            sizes.setdefault(size, []).append((end, uid, length))
        found = {}
        for size, ended in sizes.items():
            lengths = sorted(length for *_, length in sorted(ended)[-MOST_LENGTHS:])
            if len(lengths) >= least:
                found[size] = Estimate(_nearest(lengths, 50), _nearest(lengths, 90), len(lengths))
        return found


def name_of(owner: str | None, namespace: str) -> str:
    """Runs without an owner count by namespace, as where lots are drawn."""
    return owner or f"namespace:{namespace}"


def _nearest(lengths: Sequence[timedelta], percent: int) -> timedelta:
    """Nearest rank, of a sorted sequence."""
    return lengths[-(-len(lengths) * percent // 100) - 1]

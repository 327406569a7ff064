"""When what runs is expected to end: by its owner's word, or by how long such runs took before.

Nothing is worked out before somebody asks. From then on the runs are kept in the order of their expected ends: those
with an estimate of their own by that, and the others of each owner and size by their starts, since one estimate is
theirs.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from math import inf, nextafter
from typing import TYPE_CHECKING, NamedTuple

from runs_core.values.lease import Closed, Lease
from runs_core.values.meta import Key
from runs_core.values.reservation import Basis
from runs_core.values.run import Run
from runs_core.world.needs import LONGEST, declared_end, min_runtime_of

if TYPE_CHECKING:
    from runs_core.world.known import Known

Lot = tuple[str, int]
"""Whose runs, and of which size: two sizes are alike if they have as many binary digits."""
MOST_CLOSED = 512
"""Closed leases of one owner that are remembered at least: the last to end."""
MOST_LENGTHS = 64
"""Runs of one owner and size, the last to end, that an estimate is made of."""
OURS = frozenset({Closed.UNFUNDED_RECLAIMED, Closed.SLICE_RECLAIMED, Closed.NODE_LOST, Closed.EVICTED})
"""Ends that say nothing of how long a run takes."""
LATE = 10
"""Who runs past its own word is expected within a tenth of it."""
MOST_LATE = 512
"""So many of them are looked at, the last to be late first."""


class Estimate(NamedTuple):
    """How long runs of one owner and size took. runs: how many it is made of."""

    median: timedelta
    most: timedelta
    runs: int


class End(NamedTuple):
    """When a run is expected to be gone."""

    at: datetime
    run: Key
    basis: Basis


class Ends:
    """active: somebody has asked, and every change of a run is to be told."""

    def __init__(self, world: Known) -> None:
        self._world = world
        self.active = False
        self._saying = 0
        self._closed: dict[str, list[Lease]] = {}
        self._estimates: dict[str, dict[int, Estimate]] = {}
        self._sorted: dict[str, dict[Lot | None, list[tuple[float, Key]]]] = {}
        self._at: dict[Key, tuple[str, Lot | None, float]] = {}

    # -- how long it took --------------------------------------------------------------------------------------------

    def closed(self, lease: Lease) -> None:
        """Whoever had it has ended."""
        if not self._world.settings.reservations.history:
            return
        name = _name(lease.spec.owner, lease.meta.namespace)
        known = self._closed.setdefault(name, [])
        known.append(lease)
        if len(known) > 2 * MOST_CLOSED:
            known.sort(key=lambda lease: (lease.status.end or lease.spec.start, lease.key))
            del known[:-MOST_CLOSED]
        self._estimates.pop(name, None)

    def forget(self) -> None:
        """What was taken to have ended may not have."""
        self._estimates.clear()

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
            if not last or any(lease.status.closure_reason in OURS for lease in last):
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

    # -- when it ends ------------------------------------------------------------------------------------------------

    def replace(self, key: Key, run: Run | None) -> None:
        """The run is so now; None: it is gone."""
        place = self._place(run) if run is not None else None
        old = self._at.get(key)
        if old == place:
            return
        if old is not None:
            flavor, lot, when = old
            del self._at[key]
            known = self._sorted[flavor][lot]
            del known[bisect_left(known, (when, key))]
            if not known:
                del self._sorted[flavor][lot]
        if place is not None:
            flavor, lot, when = place
            self._at[key] = place
            insort(self._sorted.setdefault(flavor, {}).setdefault(lot, []), (when, key))

    def heard(self, old: Run | None, run: Run | None) -> None:
        """What the run says is so now; None: it was, or is, not there."""
        for known, sign in ((old, -1), (run, 1)):
            if known is not None and known.spec.runtime.expected_duration is not None:
                self._saying += sign

    def can_tell(self) -> bool:
        """Whether the end of anything may be known: not where nobody says anything, pays, or keeps a history."""
        return bool(self._saying or self._world.funded or self._world.settings.reservations.history)

    def soonest(self, flavor: str, *, most: bool = False) -> Iterator[End]:
        """Expected ends of what runs there, the first one first. most: where nine of ten such runs have ended.

        Who is past its median counts with what nine of ten took, and who is past its owner's word with a tenth more;
        past that nothing is known.
        """
        self._begin()
        now = self._world.now.timestamp()
        names = [flavor, ""] if self._world.sole_flavor() == flavor else [flavor]
        streams = [
            stream
            for name in names
            for lot, known in self._sorted.get(name, {}).items()
            for stream in self._streams(lot, known, now, most=most)
        ]
        return self._future(heapq.merge(*streams))

    def known(self, flavor: str) -> bool:
        """Whether anything that runs there is expected to end at any time."""
        return self.can_tell() and next(self.soonest(flavor), None) is not None

    def expected(self, run: Run) -> End | None:
        """When this one is; None: nothing is known."""
        self._begin()
        place = self._at.get(run.key)
        if place is None:
            return None
        _, lot, when = place
        alone = [(when, run.key)]
        streams = self._streams(lot, alone, self._world.now.timestamp(), most=False)
        return next(self._future(chain.from_iterable(streams)), None)

    def _future(self, told: Iterable[tuple[float, Key, Basis]]) -> Iterator[End]:
        """What is expected of this very moment says nothing any more."""
        now = self._world.now
        for at, key, basis in told:
            when = datetime.fromtimestamp(at, UTC)
            if when > now:
                yield End(when, key, basis)

    def length(self, run: Run) -> timedelta | None:
        """How long a run that waits will hold what it gets: by its owner's word, or as nine of ten such runs."""
        said = run.spec.runtime.expected_duration
        if said is not None:
            return min(said, LONGEST)
        found = self.estimate((_name(self._world.owner(run), run.key.namespace), run.gpus.bit_length()))
        return found.most if found is not None else None

    def _begin(self) -> None:
        if not self.active:
            self.active = True
            for run in self._world.runs():
                self.replace(run.key, run)

    def _streams(
        self, lot: Lot | None, known: Sequence[tuple[float, Key]], now: float, *, most: bool
    ) -> Iterator[Iterable[tuple[float, Key, Basis]]]:
        if lot is None:
            late = bisect_right(known, (nextafter(now, inf),))
            yield [(at, key, Basis.ENDS) for at, key in known[late:]]
            overdue = ((self._overdue(key), key, Basis.ENDS) for _, key in known[max(0, late - MOST_LATE) : late])
            yield sorted((one for one in overdue if one[0] > now), key=lambda one: one[:2])
            return
        found = self.estimate(lot)
        if found is None:
            return
        median, longest = found.median.total_seconds(), found.most.total_seconds()
        late, over = bisect_right(known, (now - median,)), bisect_right(known, (now - longest,))
        first = longest if most else median
        yield [(start + first, key, Basis.HISTORY) for start, key in known[late:]]
        yield [(start + longest, key, Basis.HISTORY) for start, key in known[over:late]]

    def _overdue(self, key: Key) -> float:
        """When it is over even if it takes somewhat longer; of work that anybody may end, its own end."""
        run = self._world.run(key)
        assert run is not None
        end, said = declared_end(run), run.spec.runtime.expected_duration
        if end is None or said is None or self._at[key][2] < end.timestamp():
            return self._at[key][2]
        return (end + min(said, LONGEST) / LATE).timestamp()

    def _place(self, run: Run) -> tuple[str, Lot | None, float] | None:
        """flavor, lot and the number that it is kept in order by."""
        status = run.status
        if not status.phase.begun or status.phase.terminal or status.started_at is None:
            return None
        flavor, spec = self._world.held_flavor(run), run.spec
        ends = []
        if (end := declared_end(run)) is not None:
            ends.append(end)
        if self._world.funded and status.funding.unfunded:
            ends.append(status.started_at + min_runtime_of(spec, self._world.settings.reclaim))
        if ends:
            return flavor, None, min(ends).timestamp()
        if not self._world.settings.reservations.history:
            return None
        leases = self._world.ledger.leases_of(run.key)
        owner = leases[0].spec.owner if leases else self._world.owner(run)
        lot = (_name(owner, run.key.namespace), run.gpus.bit_length())
        return flavor, lot, status.started_at.timestamp()


def _name(owner: str | None, namespace: str) -> str:
    """Runs without an owner count by namespace, as where lots are drawn."""
    return owner or f"namespace:{namespace}"


def _nearest(lengths: Sequence[timedelta], percent: int) -> timedelta:
    """Nearest rank, of a sorted sequence."""
    return lengths[-(-len(lengths) * percent // 100) - 1]

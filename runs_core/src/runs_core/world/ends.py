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

from runs_core.values.meta import Key
from runs_core.values.reservation import Basis
from runs_core.values.run import Run
from runs_core.world.lengths import Lot, name_of
from runs_core.world.needs import LONGEST, declared_end, min_runtime_of

if TYPE_CHECKING:
    from runs_core.world.known import Known

LATE = 10
"""Who runs past its own word is expected within a tenth of it."""
MOST_LATE = 512
"""So many of them are looked at, the last to be late first."""
NEAR = 1e-3
"""Seconds: sums of moments are not exact."""


class End(NamedTuple):
    """When a run is expected to be gone."""

    at: datetime
    run: Key
    basis: Basis


class Leaves(NamedTuple):
    """When a run is expected to be gone: seconds since 1970, and what says so."""

    at: float
    basis: Basis


class Ends:
    """active: somebody has asked, and every change of a run is to be told."""

    def __init__(self, world: Known) -> None:
        self._world = world
        self.active = False
        self._saying = 0
        self._sorted: dict[str, dict[Lot | None, list[tuple[float, Key]]]] = {}
        self._at: dict[Key, tuple[str, Lot | None, float]] = {}

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
        self._world.timetable.moved(key)

    def heard(self, old: Run | None, run: Run | None) -> None:
        """What the run says is so now; None: it was, or is, not there."""
        for known, sign in ((old, -1), (run, 1)):
            if known is not None and known.spec.runtime.expected_duration is not None:
                self._saying += sign

    def can_tell(self) -> bool:
        """Whether the end of anything may be known: not where nobody says anything, pays, or keeps a history."""
        return bool(self._saying or self._world.funded or self._world.settings.reservations.history)

    def leaving(self, key: Key, flavor: str, *, most: bool) -> Leaves | None:
        """When a run that has places of that flavor is expected to be gone, as `soonest` tells it; None: never."""
        place = self._at.get(key)
        if place is None or (place[0] != flavor and (place[0] or self._world.sole_flavor() != flavor)):
            return None
        lot, when, now = place[1], place[2], self._world.now.timestamp()
        if lot is None:
            at = when if when > now else self._overdue(key)
            return Leaves(at, Basis.ENDS) if at > now else None
        found = self._world.lengths.estimate(lot)
        if found is None:
            return None
        median, longest = when + found.median.total_seconds(), when + found.most.total_seconds()
        at = median if median > now and not most else longest
        return Leaves(at, Basis.HISTORY) if at > now else None

    def estimates(self, key: Key) -> bool:
        """Whether how long such runs take says when it ends."""
        return key in self._at and self._at[key][1] is not None

    def at(self, flavor: str, when: float, *, most: bool) -> list[Key]:
        """Who is expected to be gone from that very moment on, in the order in which `soonest` tells of them."""
        near = [
            key
            for name in self._names(flavor)
            for lot, known in self._sorted.get(name, {}).items()
            for begins in self._beginnings(lot, when)
            for _, key in known[bisect_left(known, (begins - NEAR,)) : bisect_right(known, (begins + NEAR,))]
        ]
        told = ((key, self.leaving(key, flavor, most=most)) for key in sorted({*near, *self._late(flavor)}))
        return [key for key, leaves in told if leaves is not None and leaves.at == when]

    def _beginnings(self, lot: Lot | None, when: float) -> Iterator[float]:
        """By what number a run is kept in order that ends then."""
        if lot is None:
            yield when
        elif (found := self._world.lengths.estimate(lot)) is not None:
            yield when - found.median.total_seconds()
            yield when - found.most.total_seconds()

    def _late(self, flavor: str) -> Iterator[Key]:
        now = self._world.now.timestamp()
        for name in self._names(flavor):
            known = self._sorted.get(name, {}).get(None, [])
            late = bisect_right(known, (nextafter(now, inf),))
            yield from (key for _, key in known[max(0, late - MOST_LATE) : late])

    def _names(self, flavor: str) -> Sequence[str]:
        """Under which the runs are kept that have places of that flavor."""
        return [flavor, ""] if self._world.sole_flavor() == flavor else [flavor]

    def soonest(self, flavor: str, *, most: bool = False) -> Iterator[End]:
        """Expected ends of what runs there, the first one first. most: where nine of ten such runs have ended.

        Who is past its median counts with what nine of ten took, and who is past its owner's word with a tenth more;
        past that nothing is known.
        """
        self.begin()
        now = self._world.now.timestamp()
        streams = [
            stream
            for name in self._names(flavor)
            for lot, known in self._sorted.get(name, {}).items()
            for stream in self._streams(lot, known, now, most=most)
        ]
        return self._future(heapq.merge(*streams))

    def staying_on(self, flavor: str) -> Iterator[Key]:
        """Who is past all that was expected of it and may be sent away, by when that was."""
        if self._world.funded:
            yield from (
                key for key in self._late(flavor) if (run := self._world.run(key)) and self.may_be_sent_away(run)
            )

    def may_be_sent_away(self, run: Run) -> bool:
        """Whether nobody pays for it, and its least runtime is over."""
        least = self._least(run)
        return least is not None and least <= self._world.now

    def known(self, flavor: str) -> bool:
        """Whether anything that runs there is expected to end at any time."""
        return self.can_tell() and next(self.soonest(flavor), None) is not None

    def expected(self, run: Run) -> End | None:
        """When this one is; None: nothing is known."""
        self.begin()
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
        lot = (name_of(self._world.owner(run), run.key.namespace), run.gpus.bit_length())
        found = self._world.lengths.estimate(lot)
        return found.most if found is not None else None

    def begin(self) -> None:
        """Every change of a run is told from now on."""
        if not self.active:
            self.active = True
            for run in self._world.runs():
                self.replace(run.key, run)

    def _streams(
        self, lot: Lot | None, known: Sequence[tuple[float, Key]], now: float, *, most: bool
    ) -> Iterator[Iterable[tuple[float, Key, Basis]]]:
        if lot is None:
            late = bisect_right(known, (nextafter(now, inf),))
            yield ((*known[place], Basis.ENDS) for place in range(late, len(known)))
            overdue = ((self._overdue(key), key, Basis.ENDS) for _, key in known[max(0, late - MOST_LATE) : late])
            yield sorted((one for one in overdue if one[0] > now), key=lambda one: one[:2])
            return
        found = self._world.lengths.estimate(lot)
        if found is None:
            return
        median, longest = found.median.total_seconds(), found.most.total_seconds()
        late, over = (bisect_right(known, (nextafter(now - took, inf),)) for took in (median, longest))
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
        over = end + min(said, LONGEST) / LATE
        least = self._least(run)
        return (over if least is None or over > self._world.now else max(over, least)).timestamp()

    def _least(self, run: Run) -> datetime | None:
        """From when on it may be sent away; None: it may not, as somebody pays for it."""
        if not self._world.funded or not run.status.funding.unfunded or run.status.started_at is None:
            return None
        return run.status.started_at + min_runtime_of(run.spec, self._world.settings.reclaim)

    def _place(self, run: Run) -> tuple[str, Lot | None, float] | None:
        """flavor, lot and the number that it is kept in order by."""
        status = run.status
        if not status.phase.begun or status.phase.terminal or status.started_at is None:
            return None
        flavor = self._world.held_flavor(run)
        ends = []
        if (end := declared_end(run)) is not None:
            ends.append(end)
        if (least := self._least(run)) is not None:
            ends.append(least)
        if ends:
            return flavor, None, min(ends).timestamp()
        if not self._world.settings.reservations.history:
            return None
        leases = self._world.ledger.leases_of(run.key)
        owner = leases[0].spec.owner if leases else self._world.owner(run)
        lot = (name_of(owner, run.key.namespace), run.gpus.bit_length())
        return flavor, lot, status.started_at.timestamp()

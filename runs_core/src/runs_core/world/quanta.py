"""From when on each run may be in a lottery, in that order.

Nothing is worked out before somebody asks.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from runs_core.values.meta import Key
from runs_core.values.run import Run
from runs_core.world.needs import min_runtime_of

if TYPE_CHECKING:
    from runs_core.world.known import Known

Spared = tuple[datetime, Key]
"""Until when a run is."""


class Quanta:
    """active: somebody has asked, and every change of a run is to be told."""

    def __init__(self, world: Known) -> None:
        self._world = world
        self.active = False
        self._sorted: dict[str, list[Spared]] = {}
        self._at: dict[Key, tuple[str, datetime]] = {}

    def until(self, run: Run) -> datetime | None:
        """The end of its least runtime and of its quantum; None: it holds nothing that could be taken."""
        status = run.status
        if not status.phase.begun or status.phase.terminal or status.started_at is None or status.ending is not None:
            return None
        settings = self._world.settings
        return status.started_at + max(min_runtime_of(run.spec, settings.reclaim), settings.resolver.quantum)

    def replace(self, key: Key, run: Run | None) -> None:
        """The run is so now; None: it is gone."""
        until = self.until(run) if run is not None else None
        place = (self._world.held_flavor(run), until) if run is not None and until is not None else None
        old = self._at.get(key)
        if old == place:
            return
        self._world.timetable.moved(key)
        if old is not None:
            flavor, when = old
            del self._at[key]
            known = self._sorted[flavor]
            del known[bisect_left(known, (when, key))]
            if not known:
                del self._sorted[flavor]
        if place is not None:
            self._at[key] = place
            insort(self._sorted.setdefault(place[0], []), (place[1], key))

    def over(self, key: Key, flavor: str) -> float | None:
        """The same of a run that has places of that flavor, in seconds since 1970, as `ripening` tells it."""
        place = self._at.get(key)
        if place is None or (place[0] != flavor and (place[0] or self._world.sole_flavor() != flavor)):
            return None
        return place[1].timestamp()

    def begin(self) -> None:
        """Every change of a run is told from now on."""
        if not self.active:
            self.active = True
            for run in self._world.runs():
                self.replace(run.key, run)

    def ripening(self, flavor: str) -> Iterator[Spared]:
        """What runs there, who may be in a lottery first before the others."""
        self.begin()
        names = [flavor, ""] if self._world.sole_flavor() == flavor else [flavor]
        return heapq.merge(*(self._sorted.get(name, ()) for name in names))

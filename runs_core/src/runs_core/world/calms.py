"""Who has nothing to hear but of room, by the room that it would be: asking for it costs who is near, not who waits."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING

from runs_core.values.meta import Key

if TYPE_CHECKING:
    from runs_core.world.queues import At, Entry, Queue

Row = tuple[int, int, Key, "Entry"]
"""Of a queue's first run: its pods, a number of its own, its name and its place."""


class Calms:
    """The queues of which that is known, of those that somebody pays for. restless: all others.

    roused: first runs of which that was known, until something changed of them, or of who pays.
    """

    def __init__(self) -> None:
        self.restless: dict[Queue, None] = {}
        self.roused: dict[Key, Entry] = {}
        self._rows: dict[str, dict[At, list[Row]]] = {}
        self._row: dict[Queue, Row] = {}
        self._numbers = count()

    def joins(self, queue: Queue) -> None:
        """It stands in line."""
        self.restless[queue] = None

    def leaves(self, queue: Queue) -> None:
        """Nobody stands there."""
        self.rouse(queue)
        del self.restless[queue]

    def add(self, queue: Queue, key: Key, entry: Entry) -> None:
        """Of the room that is its `at` alone is its first to hear."""
        row = self._row[queue] = entry.shape.need.pods, next(self._numbers), key, entry
        insort(self._rows.setdefault(queue.at[0], {}).setdefault(queue.at, []), row)
        self.restless.pop(queue, None)

    def rouse(self, queue: Queue) -> None:
        """Something of it has changed."""
        row = self._row.pop(queue, None)
        if row is None:
            return
        at = queue.at
        of = self._rows[at[0]]
        rows = of[at]
        del rows[bisect_left(rows, row)]
        if not rows:
            del of[at]
            if not of:
                del self._rows[at[0]]
        self.restless[queue] = None
        self.roused[row[2]] = row[3]

    def flavors(self) -> Iterator[str]:
        """Those in which anybody wants room; "": in the only one."""
        return iter(self._rows)

    def near(self, flavor: str, reach: Mapping[At, int]) -> Iterator[Key]:
        """The first runs in this flavor that might fit. reach: how many pods might."""
        for at, rows in self._rows.get(flavor, {}).items():
            most = reach[at]
            for pods, _, key, _ in rows:
                if pods > most:
                    break
                yield key

"""The waiting runs, by what they wait for.

Runs of equal need share one answer, and only a need that a change could help is asked again.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Sequence

from runs_core.values.decision import NoPlace
from runs_core.values.meta import Key
from runs_core.values.need import Need

Order = tuple[float | str, ...]
"""Sort key in the line: rank or admission time, then namespace and name."""


class Shape:
    """The runs of one need. Not one of them can start as long as its flavor's `freed` is what it was at `failed`.

    answer: why, in full, as of `answered`; never: in one word why not even the empty fleet could take it, "" where it
    could, as of the fleet's `changed` at `judged`; None where what was found out may be wrong.
    """

    __slots__ = ("answer", "answered", "failed", "heap", "judged", "need", "never", "size")

    def __init__(self, need: Need) -> None:
        self.need = need
        self.heap: list[tuple[Order, Key]] = []
        self.size = 0
        self.answer: NoPlace | None = None
        self.answered = self.failed = self.judged = -1
        self.never: str | None = ""


class Line:
    """One entry for each run that waits for GPUs.

    sizes: the shapes by flavor and GPUs of a pod, those of fewest pods first. asked: the fleet's `freed` when every
    shape last had its chance; judged: its `changed` when the `never` of every shape was last looked at.
    """

    def __init__(self) -> None:
        self.entries: dict[Key, tuple[Order, Shape]] = {}
        self.shapes: dict[Need, Shape] = {}
        self.sizes: dict[tuple[str, int], list[Shape]] = {}
        self.asked = self.judged = -1

    def __len__(self) -> int:
        return len(self.entries)

    def waiting(self) -> Sequence[Key]:
        """Everybody, first in line first. O(n log n): for people, not for decisions."""
        return [key for _, key in sorted((order, key) for key, (order, _) in self.entries.items())]

    def replace(self, key: Key, order: Order | None, need: Need | None) -> None:
        """The run now stands at `order`, waiting for `need`; None: it does not wait."""
        old = self.entries.get(key)
        if order is None or need is None:
            if old is not None:
                self._leave(key, old[1])
            return
        if old is not None:
            if old[0] == order and (old[1].need is need or old[1].need == need):
                return
            self._leave(key, old[1])
        shape = self.shapes.get(need)
        if shape is None:
            shape = self.shapes[need] = Shape(need)
            insort(self.sizes.setdefault(_size(need), []), shape, key=_pods)
            self.asked = self.judged = -1
        shape.size += 1
        self.entries[key] = (order, shape)
        heapq.heappush(shape.heap, (order, key))

    def _leave(self, key: Key, shape: Shape) -> None:
        del self.entries[key]
        shape.size -= 1
        if not shape.size:
            del self.shapes[shape.need]
            size = _size(shape.need)
            self.sizes[size].remove(shape)
            if not self.sizes[size]:
                del self.sizes[size]

    def forget(self) -> None:
        """What was found out about each need may be wrong: all are asked again."""
        self.asked = self.judged = -1
        for shape in self.shapes.values():
            shape.failed = shape.answered = shape.judged = -1
            shape.never = None

    def head(self, shape: Shape) -> tuple[Order, Key] | None:
        """The first run of this need. Entries that left are dropped on the way."""
        heap = shape.heap
        while heap:
            order, key = heap[0]
            if self.entries.get(key) == (order, shape):
                return heap[0]
            heapq.heappop(heap)
        return None

    def members(self, shape: Shape) -> Sequence[Key]:
        """All runs of this need. O(n): for the rare change that alters the answer of all."""
        return sorted(key for key, (_, other) in self.entries.items() if other is shape)


def _size(need: Need) -> tuple[str, int]:
    return need.flavor, need.gpus_per_pod


def _pods(shape: Shape) -> int:
    return shape.need.pods

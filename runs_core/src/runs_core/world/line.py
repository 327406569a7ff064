"""The waiting runs, by what they wait for: room in the fleet, and somebody who pays.

Runs of equal need share one answer about room, and among them those that ask the same of the budgets share one about
cover; only what a change could help is asked again.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from runs_core.values.funding import Ask, Cover
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.world.hearing import LOOSE, Firm, Hearing
from runs_core.world.queues import FUNDABLE, UNFUNDABLE, Entry, Head, Order, Queue, Shape, band_of


class Line:
    """One entry for each run that waits for GPUs.

    sizes: the shapes by flavor and GPUs of a pod, those of fewest pods first. asked: the fleet's `freed` when every
    shape last had its chance; judged: its `changed` when the `never` of every shape was last looked at.

    hearing: whom it concerns what envelopes may give. slack: flavors in which more may be taken back.
    of_owner: queues by the owner that asks.
    """

    def __init__(self) -> None:
        self.entries: dict[Key, Entry] = {}
        self.shapes: dict[Need, Shape] = {}
        self.sizes: dict[tuple[str, int], list[Shape]] = {}
        self.asked = self.judged = -1
        self.hearing = Hearing()
        self.slack: set[str] = set()
        self.of_owner: dict[str, dict[Queue, None]] = {}
        self._left: dict[tuple[Need, Ask | None], tuple[Queue, bool]] | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def waiting(self) -> Sequence[Key]:
        """Everybody, first in line first. O(n log n): for people, not for decisions."""
        return [key for *_, key in sorted((min(e.queue.band, 1), e.order, key) for key, e in self.entries.items())]

    def replace(self, key: Key, order: Order | None, need: Need | None, ask: Ask | None = None) -> Queue | None:
        """The run now stands at `order`, waiting for `need` and asking `ask`; None: it does not wait.

        Returns the queue of which it is the first now, and was not before.
        """
        old = self.entries.get(key)
        if old is not None:
            old.queue.rouse()
        if order is None or need is None:
            if old is not None:
                self._leave(key, old)
            return None
        if old is not None:
            if old.order == order and (old.shape.need is need or old.shape.need == need) and old.queue.ask == ask:
                return None
            self._leave(key, old)
        queue = self._queue(need, ask)
        shape = queue.shape
        shape.size += 1
        queue.size += 1
        queue.rouse()
        self.entries[key] = Entry(order, shape, queue)
        head, heads = (order, key), shape.heads[queue.band]
        if not queue.heap or queue.heap[0] != head:  # it may be back from a what-if
            heapq.heappush(queue.heap, head)
        if queue.heap[0] != head:
            return None
        if not heads or heads[0] != head:
            heapq.heappush(heads, head)
        return queue

    def _leave(self, key: Key, entry: Entry) -> None:
        del self.entries[key]
        shape, queue = entry.shape, entry.queue
        if not queue.size:  # it stands there in a what-if alone
            queue = shape.queues[queue.ask]
        shape.size -= 1
        queue.size -= 1
        if queue.size:
            if (first := self.first(queue)) is not None:
                heapq.heappush(shape.heads[queue.band], first)
        else:
            self._remove(queue)

    def _remove(self, queue: Queue) -> None:
        """Nobody stands there."""
        shape = queue.shape
        if self._left is not None:
            self._left[shape.need, queue.ask] = queue, queue in self.hearing.unheard
        self.hearing.leaves(queue)
        del shape.queues[queue.ask]
        if queue.ask is not None and queue.ask.owner is not None:
            theirs = self.of_owner[queue.ask.owner]
            del theirs[queue]
            if not theirs:
                del self.of_owner[queue.ask.owner]
        if not shape.size:
            del self.shapes[shape.need]
            size = _size(shape.need)
            self.sizes[size].remove(shape)
            if not self.sizes[size]:
                del self.sizes[size]

    def supposed(self, *, begins: bool) -> None:
        """A what-if begins, or is over: who leaves in it and comes back finds what was known of its queue."""
        self._left = {} if begins else None

    def _queue(self, need: Need, ask: Ask | None) -> Queue:
        """Where who wants this stands: made if there is none, and as it was if it went in this what-if."""
        left, unheard = self._left.pop((need, ask), (None, False)) if self._left else (None, False)
        shape = self.shapes.get(need)
        if shape is None:
            if left is None:
                self.asked = self.judged = -1
            shape = self.shapes[need] = Shape(need) if left is None else left.shape
            insort(self.sizes.setdefault(_size(need), []), shape, key=_pods)
        queue = shape.queues.get(ask)
        if queue is None:
            kept = left is not None and left.shape is shape
            queue = shape.queues[ask] = left if left is not None and kept else Queue(shape, ask, self.hearing.calms)
            if ask is not None and ask.owner is not None:
                self.of_owner.setdefault(ask.owner, {})[queue] = None
            self.hearing.joins(queue, unheard=unheard or (ask is not None and not kept))
        return queue

    def forget(self) -> None:
        """What was found out about each need may be wrong: all are asked again."""
        self.asked = self.judged = -1
        for shape in self.shapes.values():
            shape.failed = shape.answered = shape.judged = -1
            shape.narrower.clear()
            shape.never = None
            for queue in shape.queues.values():
                queue.doubt()
        self.unhear()

    # -- who is next ------------------------------------------------------------------------------------------------

    def first(self, queue: Queue) -> Head | None:
        """The first run of a queue. Entries that left are dropped on the way."""
        heap = queue.heap
        while heap:
            order, key = heap[0]
            entry = self.entries.get(key)
            if entry is not None and entry.order == order and entry.queue is queue:
                return heap[0]
            heapq.heappop(heap)
        return None

    def head(self, shape: Shape, band: int = FUNDABLE) -> Head | None:
        """The first run of this need in this band."""
        heads = shape.heads[band]
        while heads:
            order, key = heads[0]
            entry = self.entries.get(key)
            if entry is not None and entry.order == order and entry.shape is shape and entry.queue.band == band:
                return heads[0]
            heapq.heappop(heads)
        return None

    def heads(self, shape: Shape) -> Iterator[Head]:
        """The first run of this need in each band that could start."""
        for band in (FUNDABLE, UNFUNDABLE):
            if (head := self.head(shape, band)) is not None:
                yield head

    def first_of(self, flavor: str, most: int, fits: Callable[[Need], bool]) -> Sequence[Key]:
        """The first runs of this flavor that would be paid for, now or once a window opens, first in line first.

        fits: whether the present fleet could ever take that; who never fits is passed over. O(queues + most log most).
        """
        front = [
            (queue.heap[0], number, 0, queue)
            for number, (shape, queue) in enumerate(
                (shape, queue) for shape in self.shapes.values() for queue in shape.queues.values()
            )
            if (queue.band == FUNDABLE or queue.opens) and shape.need.flavor in (flavor, "") and queue.heap
        ]
        heapq.heapify(front)
        found: dict[Key, None] = {}
        while front and len(found) < most:
            (order, key), number, at, queue = heapq.heappop(front)
            if not at and not fits(queue.shape.need):
                continue
            entry = self.entries.get(key)
            if entry is not None and entry.order == order and entry.queue is queue:
                found[key] = None
            for child in (2 * at + 1, 2 * at + 2):
                if child < len(queue.heap):
                    heapq.heappush(front, (queue.heap[child], number, child, queue))
        return list(found)

    def members(self, shape: Shape) -> Sequence[Key]:
        """All runs of this need. O(n): for the rare change that alters the answer of all."""
        return sorted(key for key, entry in self.entries.items() if entry.shape is shape)

    def in_order(self, queue: Queue) -> Iterator[Head]:
        """The runs of a queue, first in line first, as far as they are taken. O(log n) each."""
        front = [(queue.heap[0], 0)] if queue.heap else []
        last: Head | None = None
        while front:
            head, at = heapq.heappop(front)
            entry = self.entries.get(head[1])
            if head != last and entry is not None and entry.order == head[0] and entry.queue is queue:
                yield head
            last = head
            for child in (2 * at + 1, 2 * at + 2):
                if child < len(queue.heap):
                    heapq.heappush(front, (queue.heap[child], child))

    # -- who pays ---------------------------------------------------------------------------------------------------

    def unhear(self) -> None:
        """Envelopes that nobody has looked at yet may pay now: every queue is asked again."""
        for shape in self.shapes.values():
            for ask, queue in shape.queues.items():
                if ask is not None:
                    self.hearing.unheard[queue] = queue.empty = None

    def hear(self, key: Key) -> None:
        """Ask the queue of this run again: what kept it from taking what was offered may have gone."""
        self.hearing.unheard[self.entries[key].queue] = None

    def covered(self, queue: Queue, cover: Cover, firm: Firm = LOOSE) -> None:
        """That is what the budgets say to this queue now."""
        self.hearing.answered(queue, cover, firm)
        band = band_of(cover)
        if band != queue.band:
            queue.band = band
            if (first := self.first(queue)) is not None:
                heapq.heappush(queue.shape.heads[band], first)

    @contextmanager
    def in_band(self, key: Key, band: int) -> Iterator[None]:
        """What if it stood in that band, at its place there; who is not in line stays behind everybody."""
        entry = self.entries.get(key)
        if entry is None or entry.queue.band == band:
            yield
            return
        queue = Queue(entry.shape, entry.queue.ask, self.hearing.calms)
        queue.band = band
        self.entries[key] = entry._replace(queue=queue)
        try:
            yield
        finally:
            if self.entries[key].queue is queue:  # else it left in a what-if, and came back
                self.entries[key] = entry

    def give(self) -> tuple[Sequence[tuple[Head, Queue]], Iterable[Queue]]:
        """The queues that an envelope may now give more to, or that were never answered, with and by their first runs.

        And those whose payers stay the same all the same, in no order.
        """
        hearing = self.hearing
        if not (hearing.unheard or hearing.gave):
            return (), ()
        if not (hearing.unheard or hearing.watching):
            hearing.gave.clear()
            return (), ()
        told, same = hearing.told()
        return sorted((first, queue) for queue in told if (first := self.first(queue)) is not None), same


def _size(need: Need) -> tuple[str, int]:
    return need.flavor, need.gpus_per_pod


def _pods(shape: Shape) -> int:
    return shape.need.pods

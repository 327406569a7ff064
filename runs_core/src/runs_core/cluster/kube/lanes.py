"""Threads that carry out writes: what frees GPUs first, then what takes them, and what only tells of it at last.

In a rush, what only tells is held back for a while: often the next status of the run comes meanwhile, and says it all.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from enum import Enum, auto
from itertools import count
from typing import assert_never

import attrs

from runs_core.cluster.kube.pace import Pace
from runs_core.values.meta import Key

Task = Callable[[], None]
PATIENT = 1
"""Threads that look at what can wait first, so that it never waits for ever."""
RUSH = 20
"""So many pressing writes in a second are a rush."""
HELD_BACK_SECONDS = 4.0
"""How long what only tells is held back in a rush."""
WHY_BURST, WHY_PER_SECOND = 20, 10.0
"""How often it is told in a rush why a run waits."""
GLANCE_SECONDS = 0.2
"""How often it is looked whether what is held back may go."""


class Lane(Enum):
    """How soon."""

    FREES = auto()
    TAKES = auto()
    TELLS = auto()
    WHY = auto()
    """Why a run waits, and nothing else."""


@attrs.frozen
class Later:
    """Tasks of one run that can wait, since then."""

    since: float
    tasks: deque[Task]


class Lanes:
    """At most so many threads, begun as they are needed."""

    def __init__(self, threads: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = threads
        self._clock = clock
        self._threads: list[threading.Thread] = []
        self._frees: deque[Task] = deque()
        self._takes: deque[Task] = deque()
        self._later: OrderedDict[Key, Later] = OrderedDict()
        self._why: OrderedDict[Key, Later] = OrderedDict()
        self._paused: list[tuple[float, int, Task, bool]] = []
        self._number = count()
        self._pace = Pace(clock, burst=WHY_BURST, per_second=WHY_PER_SECOND)
        self._pressing: deque[float] = deque(maxlen=RUSH)
        self._idle = 0
        self._stopped = False
        self._changed = threading.Condition()

    def submit(self, task: Task, lane: Lane, key: Key) -> None:
        """key: of the run."""
        with self._changed:
            if self._stopped:
                return
            match lane:
                case Lane.FREES:
                    self._frees.append(task)
                    self._pressing.append(self._clock())
                case Lane.TAKES:
                    self._takes.append(task)
                    self._pressing.append(self._clock())
                case Lane.TELLS | Lane.WHY:
                    later = self._later if lane is Lane.TELLS else self._why
                    later.setdefault(key, Later(self._clock(), deque())).tasks.append(task)
                case _:
                    assert_never(lane)
            self._changed.notify()
            # who was woken for another task is idle until it has the lock: test_a_task_waits_for_none_that_takes_long
            if self._waiting() > self._idle and len(self._threads) < self._most:
                patient = len(self._threads) < min(PATIENT, self._most - 1)
                name = f"write_{len(self._threads)}"
                thread = threading.Thread(target=self._run, args=(patient,), name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def later(self, task: Task, seconds: float, *, frees: bool) -> None:
        """After so long. frees: whether it is then one that frees, or else takes; a thread is busy with neither."""
        with self._changed:
            if not self._stopped:
                heapq.heappush(self._paused, (self._clock() + seconds, next(self._number), task, frees))
                self._changed.notify_all()  # whoever is idle wakes in time

    @property
    def pressing(self) -> int:
        """How many wait that are more than telling."""
        with self._changed:
            return len(self._frees) + len(self._takes)

    def _waiting(self) -> int:
        """Tasks without a thread; of one run that can wait, one."""
        return len(self._frees) + len(self._takes) + len(self._later) + len(self._why)

    def hurry(self, key: Key) -> None:
        """What could wait of this run keeps others waiting now."""
        with self._changed:
            for later in (self._later, self._why):
                if (held := later.pop(key, None)) is not None:
                    self._frees.extend(held.tasks)
            self._changed.notify()

    def stop(self) -> None:
        """Nothing new is begun; what is being done is finished."""
        with self._changed:
            self._stopped = True
            self._frees.clear()
            self._takes.clear()
            self._later.clear()
            self._why.clear()
            self._paused.clear()
            self._changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _run(self, patient: bool) -> None:  # noqa: FBT001  # a thread's argument
        while (task := self._next(patient=patient)) is not None:
            task()

    def _next(self, *, patient: bool) -> Task | None:
        with self._changed:
            while not self._stopped:
                if self._paused:
                    self._go_on()
                pressed = bool(self._frees or self._takes)
                if (patient or not pressed) and (task := self._held()) is not None:
                    return task
                if self._frees:
                    return self._frees.popleft()
                if self._takes:
                    return self._takes.popleft()
                self._idle += 1
                self._changed.wait(self._glance())
                self._idle -= 1
            return None

    def _glance(self) -> float | None:
        """How long somebody idle may wait to be told of something."""
        glance = GLANCE_SECONDS if self._later or self._why else None
        if not self._paused:
            return glance
        left = max(0.0, self._paused[0][0] - self._clock())
        return left if glance is None else min(left, glance)

    def _go_on(self) -> None:
        """With what has paused for long enough."""
        now = self._clock()
        while self._paused and self._paused[0][0] <= now:
            _, _, task, frees = heapq.heappop(self._paused)
            (self._frees if frees else self._takes).append(task)
            self._changed.notify()

    def _held(self) -> Task | None:
        """The next that only tells, if it may go."""
        now = self._clock()
        rush = len(self._pressing) == RUSH and now - self._pressing[0] < 1.0
        if self._later and (not rush or now - next(iter(self._later.values())).since >= HELD_BACK_SECONDS):
            return _first(self._later)
        if self._why and (not rush or self._pace.allows()):
            return _first(self._why)
        return None


def _first(later: OrderedDict[Key, Later]) -> Task:
    key, held = next(iter(later.items()))
    task = held.tasks.popleft()
    if not held.tasks:
        del later[key]
    return task

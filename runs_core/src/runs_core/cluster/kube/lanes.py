"""Threads that carry out writes: what frees GPUs first, then what takes them, and what only tells of it at last."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from enum import Enum, auto
from typing import assert_never

from runs_core.values.meta import Key

Task = Callable[[], None]
PATIENT = 1
"""Threads that look at what can wait first, so that it never waits for ever."""


class Lane(Enum):
    """How soon."""

    FREES = auto()
    TAKES = auto()
    TELLS = auto()


class Lanes:
    """At most so many threads, begun as they are needed."""

    def __init__(self, threads: int) -> None:
        self._most = threads
        self._threads: list[threading.Thread] = []
        self._frees: deque[Task] = deque()
        self._takes: deque[Task] = deque()
        self._later: OrderedDict[Key, deque[Task]] = OrderedDict()
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
                case Lane.TAKES:
                    self._takes.append(task)
                case Lane.TELLS:
                    self._later.setdefault(key, deque()).append(task)
                case _:
                    assert_never(lane)
            if self._idle:
                self._changed.notify()
            elif len(self._threads) < self._most:
                patient = len(self._threads) < min(PATIENT, self._most - 1)
                name = f"write_{len(self._threads)}"
                thread = threading.Thread(target=self._run, args=(patient,), name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def hurry(self, key: Key) -> None:
        """What could wait of this run keeps others waiting now."""
        with self._changed:
            self._frees.extend(self._later.pop(key, ()))

    def stop(self) -> None:
        """Nothing new is begun; what is being done is finished."""
        with self._changed:
            self._stopped = True
            self._frees.clear()
            self._takes.clear()
            self._later.clear()
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
                if self._later and (patient or not (self._frees or self._takes)):
                    key, tasks = next(iter(self._later.items()))
                    task = tasks.popleft()
                    if not tasks:
                        del self._later[key]
                    return task
                if self._frees:
                    return self._frees.popleft()
                if self._takes:
                    return self._takes.popleft()
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            return None

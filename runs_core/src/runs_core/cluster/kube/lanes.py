"""Threads that carry out writes: what others wait for first, what only tells of it when there is room."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable

from runs_core.values.meta import Key

Task = Callable[[], None]
PATIENT = 2
"""Threads that look at what can wait first, so that it never waits for ever."""


class Lanes:
    """At most so many threads, begun as they are needed."""

    def __init__(self, threads: int) -> None:
        self._most = threads
        self._threads: list[threading.Thread] = []
        self._urgent: deque[Task] = deque()
        self._later: OrderedDict[Key, deque[Task]] = OrderedDict()
        self._idle = 0
        self._stopped = False
        self._changed = threading.Condition()

    def submit(self, task: Task, later: Key | None = None) -> None:
        """later: of the run whose next writes, if there are any, do not wait for it yet."""
        with self._changed:
            if self._stopped:
                return
            if later is None:
                self._urgent.append(task)
            else:
                self._later.setdefault(later, deque()).append(task)
            if self._idle:
                self._changed.notify()
            elif len(self._threads) < self._most:
                patient = len(self._threads) < min(PATIENT, self._most - 1)
                name = f"write_{len(self._threads)}"
                thread = threading.Thread(target=self._run, args=(patient,), name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def hurry(self, key: Key) -> None:
        """What can wait of this run is waited for now."""
        with self._changed:
            self._urgent.extend(self._later.pop(key, ()))

    def stop(self) -> None:
        """Nothing new is begun; what is being done is finished."""
        with self._changed:
            self._stopped = True
            self._urgent.clear()
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
                if self._later and (patient or not self._urgent):
                    key, tasks = next(iter(self._later.items()))
                    task = tasks.popleft()
                    if not tasks:
                        del self._later[key]
                    return task
                if self._urgent:
                    return self._urgent.popleft()
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            return None

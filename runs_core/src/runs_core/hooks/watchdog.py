"""Breaks a call that does not come back. One thread watches the calls of all others.

What it can break: whatever runs Python bytecode (endless loops, waits in small steps), in any thread; and in the main
thread also a blocking system call or lock (`time.sleep`, `socket.recv`, `Lock.acquire`), by a signal that is otherwise
ignored (SIGURG). What it cannot break: C code that neither runs bytecode nor looks at signals (a huge `10**10**8`, a
regular expression that backtracks for ever), and a blocking system call in any other thread than the main one. Such a
call is broken as soon as it comes back to Python; until then `Watchdog.overdue` names it, for a health check to fail
on.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
from collections.abc import Callable
from time import perf_counter, sleep
from typing import NamedTuple, TextIO, TypeVar

T = TypeVar("T")
ROUSE = signal.SIGURG
SHORTEST_PAUSE = 0.005
LONGEST_PAUSE = 0.5


class Overdue(BaseException):
    """Thrown into a call that took too long. Not an Exception, so that `except Exception` does not stop it."""


class TooSlow(Exception):
    """What the caller sees of it. seconds: how long the call took."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"no answer within {seconds:.3g} s")


class _Call(NamedTuple):
    name: str
    started: float
    deadline: float
    patience: float
    thrown: bool = False


_made: Callable[[type[_Call], tuple[str, float, float, float, bool]], _Call] = tuple.__new__
"""Without the detour that a NamedTuple's own constructor takes."""


class Late(NamedTuple):
    """A call that is past its time and still there. seconds: since it began."""

    name: str
    seconds: float


class Watchdog:
    """Whoever takes a thread's entry out of `_calls` may act on it; taking is atomic.

    The caller takes its own when the call has come back: nothing can be thrown any more. The watching thread takes an
    overdue one, throws, and puts it back marked, so that the caller waits for what is on its way. An overdue call that
    swallows what was thrown is thrown at again, each time its patience has passed once more.
    """

    def __init__(self) -> None:
        self._main = threading.main_thread().ident
        self._calls: dict[int, _Call] = {}
        self._throwing: int | None = None
        self._least = math.inf
        self._pause = LONGEST_PAUSE
        self._shorter = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def call(self, name: str, function: Callable[..., T], seconds: float, *arguments: object) -> tuple[T, float]:
        """What function returns, and how long it took in seconds. Costs less than 2 µs when nothing hangs.

        Raises what function raises, or TooSlow: an endless call is broken after `seconds`, or up to a quarter later. A
        call inside a call runs under the outer one's time.
        """
        me = threading.get_ident()
        calls, started = self._calls, perf_counter()
        if me in calls:
            return function(*arguments), perf_counter() - started
        if seconds < self._least:
            self._watch(seconds)
        out: TextIO | None = None
        if me == self._main:  # what is printed goes to stderr: stdout, one for all threads, is the answer of a command
            out, sys.stdout = sys.stdout, sys.stderr
        try:
            calls[me] = call = _made(_Call, (name, started, started + seconds, seconds, False))
            try:
                answer = function(*arguments)
            finally:
                if calls.pop(me, None) is not call:  # it was thrown at, or is just being
                    self._calm(me)
                    raise TooSlow(perf_counter() - started)
            took = perf_counter() - started
        except Overdue:
            self._calm(me)
            raise TooSlow(perf_counter() - started) from None
        finally:
            if out is not None:
                sys.stdout = out
        if took > seconds:
            raise TooSlow(took)
        return answer, took

    def overdue(self) -> tuple[Late, ...]:
        """The calls that are past their time and have not come back, longest first. For any thread to ask."""
        now = perf_counter()
        late = [Late(call.name, now - call.started) for call in self._calls.copy().values() if call.thrown]
        return tuple(sorted(late, key=lambda one: -one.seconds))

    def _calm(self, me: int) -> None:
        """Afterwards nothing that was thrown at this thread is still on its way."""
        while True:
            try:
                while self._throwing == me:
                    sleep(0)
                self._calls.pop(me, None)
                _throw(me, None)
            except Overdue:
                continue
            return

    def _watch(self, seconds: float) -> None:
        with self._starting:
            self._least = min(self._least, seconds)
            self._pause = min(self._pause, max(seconds / 4, SHORTEST_PAUSE))
            self._shorter.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="runs-hook-watchdog", daemon=True)
                self._thread.start()
        _can_rouse()

    def forked(self) -> None:
        """In a child process: the thread stayed behind with the parent, and so did the other threads' calls."""
        self.__init__()  # type: ignore[misc]  # a child starts anew, in place, because others hold this object

    def _run(self) -> None:
        while True:
            self._shorter.wait(self._pause)
            self._shorter.clear()
            now = perf_counter()
            for thread, call in self._calls.copy().items():
                if now >= call.deadline:
                    self._break(thread, now)

    def _break(self, thread: int, now: float) -> None:
        self._throwing = thread
        call = self._calls.pop(thread, None)
        if call is not None and now >= call.deadline:
            _throw(thread, Overdue)
            self._calls[thread] = call._replace(thrown=True, deadline=now + call.patience)
        elif call is not None:
            self._calls[thread] = call
        self._throwing = None
        if call is not None and thread == threading.main_thread().ident and signal.getsignal(ROUSE) is _roused:
            signal.pthread_kill(thread, ROUSE)


def _throw(thread: int, what: type[BaseException] | None) -> None:
    """Have that thread raise `what` before its next bytecode; None: take back what it has not raised yet."""
    import ctypes  # noqa: PLC0415 - 10 ms that only a call which hangs has to pay

    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(what) if what is not None else None
    )


def _roused(signum: int, frame: object) -> None:
    """Nothing to do: that the interpreter runs this at all has it raise what was thrown."""


def _can_rouse() -> None:
    """Only the main thread may say so, and only where nobody else uses the signal."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(ROUSE) is signal.SIG_DFL:
        signal.signal(ROUSE, _roused)


WATCHDOG = Watchdog()
"""One thread serves the whole process."""

os.register_at_fork(after_in_child=WATCHDOG.forked)

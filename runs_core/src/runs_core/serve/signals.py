"""Being told to stop. The handlers do nothing: Python writes the signal's number to a socket, which a thread reads."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130


class Stopping:
    """asked: somebody wants this process to end."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._told: list[Callable[[], None]] = []

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    @property
    def event(self) -> threading.Event:
        """Set once it is asked; for whoever waits for nothing else."""
        return self._asked

    def rest(self, seconds: float) -> None:
        """Until it is asked, or so long."""
        self._asked.wait(seconds)

    def tell(self, whom: Callable[[], None]) -> None:
        """Also call this once it is asked, from another thread; used to wake whoever waits."""
        self._told.append(whom)

    def ask(self) -> None:
        """A first time: end in good order. A second time: at once."""
        if self._asked.is_set():
            os._exit(INTERRUPTED)
        self._asked.set()
        for whom in self._told:
            whom()


def _ignore(_: int, __: FrameType | None) -> None:
    """A handler there must be: without one the signal would end the process."""


@contextmanager
def stopping(*signals: signal.Signals) -> Iterator[Stopping]:
    """SIGTERM and SIGINT, unless others are named, ask to stop. For the main thread."""
    wanted = signals or (signal.SIGTERM, signal.SIGINT)
    stop = Stopping()
    near, far = socket.socketpair()
    far.setblocking(False)  # noqa: FBT003 - socket's own

    def read() -> None:
        while number := near.recv(1):
            if number[0] in wanted:
                stop.ask()

    reader = threading.Thread(target=read, name="signals", daemon=True)
    reader.start()
    wakeup = signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, _ignore) for number in wanted}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        far.close()
        reader.join()
        near.close()

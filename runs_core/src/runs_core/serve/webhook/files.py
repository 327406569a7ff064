"""A certificate that somebody else keeps in files, such as those of a mounted Secret: read again when they change."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from runs_core.errors import InvalidInput, Problem
from runs_core.serve.webhook.issue import Pair

LOOK_SECONDS = 1.0
Clock = Callable[[], datetime]


class FileCertificates:
    """Looks at the files when it is asked, at most once a second. InvalidInput: at first there is no usable pair.

    Files that become unusable, for instance because one of them is written before the other, change nothing: what was
    read last is shown on, and `problem` says why.
    """

    def __init__(
        self, certificate: Path, key: Path, clock: Clock, *, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        self._files = (certificate, key)
        self._clock = clock
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._looked = elapsed()
        self._seen = self._stamp()
        self._unusable: str | None = None
        try:
            self._pair = self._read()
            self._context = self._pair.context()
        except (OSError, ValueError) as error:
            raise InvalidInput([Problem(self._where, f"cannot be used: {_why(error)}")]) from error

    def context(self) -> ssl.SSLContext:
        """What to show to whoever connects now."""
        with self._lock:
            if self._elapsed() - self._looked >= LOOK_SECONDS:
                self._looked = self._elapsed()
                self._look()
            return self._context

    @property
    def ends(self) -> datetime:
        """Of the certificate that is shown."""
        return self._pair.ends

    @property
    def problem(self) -> str | None:
        """What an administrator has to mend; None: nothing."""
        if self._unusable:
            return f"{self._where}: cannot be used: {self._unusable}; the former certificate is still shown"
        if self.ends - self._clock() <= timedelta(0):
            return f"{self._where}: the certificate ended at {self.ends:%Y-%m-%dT%H:%M:%SZ}; put a new one there"
        return None

    @property
    def _where(self) -> str:
        return f"{self._files[0]} and {self._files[1]}"

    def _look(self) -> None:
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            pair = self._read()
            self._context, self._pair, self._unusable = pair.context(), pair, None
        except (OSError, ValueError) as error:
            self._unusable = _why(error)

    def _read(self) -> Pair:
        certificate, key = (path.read_text(encoding="ascii") for path in self._files)
        return Pair(certificate=certificate, key=key)

    def _stamp(self) -> tuple[tuple[int, ...] | None, ...]:
        """Differs whenever a file does: also when a link now leads elsewhere, as in mounted Secrets."""
        return tuple(_stamp(path) for path in self._files)


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _why(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)

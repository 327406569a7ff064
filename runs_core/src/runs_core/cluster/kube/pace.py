"""How many events people are told, so that a rush of short runs does not cost the API server more than the runs do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

BURST = 300
EVENTS_PER_SECOND = 10.0


class Pace:
    """So many at once, then so many a second. Safe to use from many threads."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        burst: int = BURST,
        per_second: float = EVENTS_PER_SECOND,
    ) -> None:
        self._clock = clock
        self._burst, self._per_second = burst, per_second
        self._lock = threading.Lock()
        self._left = float(burst)
        self._at = clock()
        self._refused = 0

    def allows(self) -> bool:
        """Whether there is room for one more, which then counts."""
        with self._lock:
            now = self._clock()
            self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
            self._at = now
            if self._left < 1:
                self._refused += 1
                return False
            self._left -= 1
            return True

    def refused(self) -> int:
        """How many had no room since this was asked last."""
        with self._lock:
            refused, self._refused = self._refused, 0
            return refused

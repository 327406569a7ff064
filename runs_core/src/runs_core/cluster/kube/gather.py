"""How long one batch waits for more that shares its write of the journal."""

from __future__ import annotations

import time
from collections.abc import Callable

LEAST_SECONDS, MOST_SECONDS = 0.1, 0.5
"""From one batch to the next, at least; and at most, while there is enough to write."""
ENOUGH = 24
"""So many writes that wait for a thread are enough: what is decided sooner would only wait behind them."""
LOOK_SECONDS = 0.02


class Gathering:
    """From one batch to the next. pressing: how many writes wait for a thread. What comes after a pause is not held."""

    def __init__(
        self,
        pressing: Callable[[], int],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pressing = pressing
        self._clock = clock
        self._sleep = sleep
        self._since = -MOST_SECONDS

    def begin(self) -> None:
        """A batch was written."""
        self._since = self._clock()

    def wait(self) -> None:
        """Until the next may be decided."""
        passed = self._clock() - self._since
        if passed < LEAST_SECONDS:
            self._sleep(LEAST_SECONDS - passed)
        while self._clock() - self._since < MOST_SECONDS and self._pressing() >= ENOUGH:
            self._sleep(LOOK_SECONDS)

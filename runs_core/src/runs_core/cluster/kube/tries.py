"""How often, and when, a write is sent again."""

from __future__ import annotations

import random
import time
from http import HTTPStatus

import attrs

from runs_core.cluster.kube.api import Refused
from runs_core.errors import Unavailable

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 5.0
GIVES_UP_SECONDS = 300.0
"""A write that the server cannot take for so long counts as refused: what it belonged to is decided anew."""
MOST_CONFLICTS = 5


@attrs.frozen
class Pause:
    """Before a write is sent again. crowded: the server has too much of everything, and not only of this."""

    seconds: float
    crowded: bool


class Tries:
    """Of one write. A server that is busy or away is asked again, later and later, never sooner than it says itself.

    So is one that has a conflict, for a while: who wrote at the same time is seldom still writing. seconds: for how
    long after it was refused first.
    """

    def __init__(self, seconds: float = GIVES_UP_SECONDS) -> None:
        self._seconds = seconds
        self._deadline: float | None = None
        self._longest = FIRST_PAUSE_SECONDS
        self._conflicts = 0

    def after(self, error: Refused | Unavailable) -> Refused | Pause:
        """Whether, and when, it is sent again."""
        refusal = Refused(HTTPStatus.SERVICE_UNAVAILABLE, "Unavailable", str(error))
        refusal = error if isinstance(error, Refused) else refusal
        conflict = refusal.reason == "Conflict"
        self._conflicts += conflict
        again = refusal.passing or (conflict and self._conflicts <= MOST_CONFLICTS)
        now = time.monotonic()
        self._deadline = self._deadline or now + self._seconds
        if not again or now > self._deadline:
            return refusal
        seconds = max(refusal.retry_after or 0.0, self._longest * random.uniform(0.5, 1.5))  # jitter, not a secret
        self._longest = min(2 * self._longest, LONGEST_PAUSE_SECONDS)
        return Pause(seconds, crowded=refusal.status == HTTPStatus.TOO_MANY_REQUESTS)

"""How often a run's start was refused in a row, and when it is tried again."""

from __future__ import annotations

from datetime import datetime, timedelta

from runs_core.cluster.kube.api import Refused
from runs_core.settings import Settings
from runs_core.values import change as c
from runs_core.values.meta import Key

LONGEST_BACKOFF = timedelta(hours=1)


class Refusals:
    """Used by one thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._count: dict[Key, int] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._count

    def add(self, key: Key, refusal: Refused, now: datetime) -> c.StartRefused:
        """Twice as long after each refusal in a row, an hour at most."""
        count = self._count[key] = self._count.get(key, 0) + 1
        pause = min(self.settings.starts.backoff * 2 ** min(count - 1, 10), LONGEST_BACKOFF)
        return c.StartRefused(key, c.Refusal(message=str(refusal), count=count, until=now + pause))

    def forget(self, key: Key) -> c.StartRefused:
        """It runs, or is gone."""
        del self._count[key]
        return c.StartRefused(key, None)

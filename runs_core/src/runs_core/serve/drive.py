"""How the embedded cluster's time goes on: in jumps (`cluster advance`), or with the wall clock (`serve`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from runs_core.cluster.local import LocalCluster
from runs_core.serve.loop import Loop

LONGEST_SLEEP_SECONDS = 0.5
"""How late a change by another process is noticed at most."""


def advance(loop: Loop, cluster: LocalCluster, until: datetime, passed: Callable[[datetime], None]) -> None:
    """Let virtual time pass, stopping at every moment at which something happens. passed: told where the clock is."""
    loop.settle()
    while (moment := next_moment(loop, cluster)) is not None and moment <= until:
        cluster.advance_to(moment)
        loop.settle()
        passed(moment)
    cluster.advance_to(until)
    loop.settle()
    passed(until)


def next_moment(loop: Loop, cluster: LocalCluster) -> datetime | None:
    """When something happens by time alone; None: never."""
    moments = [when for when in (loop.next_moment(), cluster.next_moment()) if when is not None]
    return min(moments, default=None)


def follow(
    loop: Loop,
    cluster: LocalCluster,
    stopped: Callable[[], bool],
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Real time from where the virtual clock stands, until `stopped` says so. Another process may move the clock on."""
    begin, at = cluster.now, monotonic()
    while not stopped():
        now = begin + timedelta(seconds=round(monotonic() - at, 3))
        stored = cluster.now
        if stored > now:
            begin, at, now = stored, monotonic(), stored
        cluster.advance_to(now)
        loop.settle()
        moment = next_moment(loop, cluster)
        left = LONGEST_SLEEP_SECONDS if moment is None else (moment - now).total_seconds()
        sleep(min(LONGEST_SLEEP_SECONDS, max(left, 0.001)))

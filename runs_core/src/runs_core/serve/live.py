"""The loop on a live cluster: wakes when something came in or when time alone gives it something to do."""

from __future__ import annotations

from collections.abc import Callable

from runs_core.cluster.kube.cluster import KubeCluster
from runs_core.errors import Unavailable
from runs_core.serve.loop import Loop

LONGEST_WAIT_SECONDS = 5.0
FIRST_LISTS_SECONDS = 60.0


def lead(loop: Loop, cluster: KubeCluster, holder: str, stopped: Callable[[], bool]) -> None:
    """Take over and decide until `stopped`. Conflict: another scheduler leads now.

    Unavailable: the cluster cannot be seen.

    Nothing is decided before everything has been listed: what has not been seen yet is not gone.
    """
    missing = cluster.missing(FIRST_LISTS_SECONDS)
    if missing:
        raise Unavailable(f"cannot list {'; '.join(missing)}")
    cluster.lead(holder)
    while not stopped():
        loop.settle()
        moment = loop.next_moment()
        left = LONGEST_WAIT_SECONDS if moment is None else (moment - cluster.now()).total_seconds()
        cluster.inbox.wait(min(LONGEST_WAIT_SECONDS, max(left, 0.0)))

"""`runs serve` with every defect that the live benchmarks are there to find.

It takes its time before it decides, asks everything three times, keeps writes waiting, spins while idle, and holds on
to memory.
"""

from __future__ import annotations

import sys
import threading
import time

from runs_cli.main import root
from runs_core.cluster.kube.api import Object
from runs_core.cluster.kube.cluster import KubeCluster
from runs_core.cluster.kube.statuses import Basis
from runs_core.cluster.kube.writes import Writes
from runs_core.values.effect import Effect

SLOW_SECONDS = 16.0
WAIT_SECONDS = 0.4
HELD: list[bytearray] = []

lead, write = KubeCluster.lead, Writes.write


def slow(cluster: KubeCluster, holder: str) -> int:
    time.sleep(SLOW_SECONDS)
    return lead(cluster, holder)


def wasteful(writes: Writes, effect: Effect, *more: Basis) -> Object | None:
    """However often it is asked, the outcome is the same: writes may be repeated."""
    time.sleep(WAIT_SECONDS)
    for _ in range(2):
        write(writes, effect, *more)
    return write(writes, effect, *more)


def spin() -> None:
    while True:
        until = time.process_time() + 0.01
        while time.process_time() < until:
            pass
        time.sleep(0.1)


def main() -> None:
    setattr(KubeCluster, "lead", slow)  # noqa: B010  # the defects to be found; mypy holds methods against assignment
    setattr(Writes, "write", wasteful)  # noqa: B010  # likewise
    held = bytearray(700 << 20)
    held[::4096] = b"x" * len(held[::4096])
    HELD.append(held)
    threading.Thread(target=spin, daemon=True).start()
    root.main(sys.argv[1:])


if __name__ == "__main__":
    main()

"""The API server, or what it keeps everything in, goes away for a while."""

from __future__ import annotations

import time

from tests.faults.conftest import Table
from tests.faults.stage import Stage
from tests.faults.test_kills import a_life


def outage(full: bool) -> float:
    """Seconds."""
    return 30.0 if full else 2.0


def test_the_api_server_is_killed_and_comes_back(stage: Stage, table: Table, full: bool) -> None:
    if full:
        stage.settings = {}
    stage.scheduler()
    expected = a_life(stage, 1)
    stage.reach("long-1", "Running")
    stage.edit("long-1", canceled=True)
    stage.plane.kill("kube-apiserver")
    time.sleep(outage(full))
    stage.plane.restart("kube-apiserver")
    stage.plane.ready()
    seconds = stage.settle(expected, 60)
    table.add(
        "API server killed", f"SIGKILL, started again {outage(full):g} s later, in the middle of ends", [seconds], stage
    )


def test_etcd_stands_still(stage: Stage, table: Table, full: bool) -> None:
    if full:
        stage.settings = {}
    stage.scheduler()
    expected = a_life(stage, 1)
    stage.reach("long-1", "Running")
    stage.edit("long-1", canceled=True)
    with stage.plane.paused("etcd"):
        time.sleep(outage(full))
    seconds = stage.settle(expected, 60)
    table.add(
        "etcd stands still", f"SIGSTOP, SIGCONT {outage(full):g} s later, in the middle of ends", [seconds], stage
    )

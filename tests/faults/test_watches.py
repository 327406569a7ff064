"""What the API server tells comes late, twice, in another order, or not at all."""

from __future__ import annotations

import threading

import pytest
from tests.faults.conftest import Table
from tests.faults.proxy import Watching
from tests.faults.stage import Stage
from tests.faults.test_kills import LIFE, a_life


def lives(stage: Stage, count: int) -> dict[str, str]:
    expected: dict[str, str] = {}
    for number in range(count):
        expected |= a_life(stage, number)
    return expected


def canceling(stage: Stage, expected: dict[str, str]) -> None:
    """Somebody cancels each of those that run until then."""
    for name, run in stage.runs().items():
        if name.startswith("long-") and run["status"].get("phase") == "Running" and not run["spec"].get("canceled"):
            stage.edit(name, canceled=True)


@pytest.mark.parametrize("way", ["twice", "reordered", "delayed"])
def test_watches_tell(way: str, stage: Stage, table: Table, full: bool) -> None:
    late = 60.0 if full else 1.0
    watching, how = {
        "twice": (Watching(twice=True), "every event again within two seconds"),
        "reordered": (Watching(window=1.0), "the events of each second in an order of their own"),
        "delayed": (Watching(delay=late), f"every event {late:g} s late"),
    }[way]
    stage.proxy.watching = watching
    stage.scheduler()
    expected = lives(stage, 2 if full else 1)
    seconds = stage.settle(expected, 20 + 12 * late, each=lambda: canceling(stage, expected))
    assert stage.proxy.told > 20
    table.add(f"watch events {way}", f"{how}, all the time; {len(expected)} runs", [seconds], stage)


def test_watches_are_dropped(stage: Stage, table: Table, full: bool) -> None:
    over, dropped = threading.Event(), [0]

    def drop() -> None:
        while not over.wait(0.3):
            dropped[0] += stage.proxy.drop_watches()

    thread = threading.Thread(target=drop)
    thread.start()
    try:
        stage.scheduler()
        expected = lives(stage, 4 if full else 1)
        seconds = stage.settle(expected, 60, each=lambda: canceling(stage, expected))
    finally:
        over.set()
        thread.join()
    assert dropped[0] > 5
    table.add("watches dropped", f"all of them, every 0.3 s, all the time; {len(expected)} runs", [seconds], stage)


def test_a_standby_that_hears_everything_late_takes_over(stage: Stage, table: Table, full: bool) -> None:
    late = 60.0 if full else 3.0
    leader = stage.scheduler("leads")
    stage.reach_leader("leads")
    behind = stage.another_proxy()
    behind.watching = Watching(delay=late)
    heir = stage.scheduler("behind", proxy=behind)
    stage.said(heir, "stands by")
    expected = a_life(stage, 1)
    stage.reach("first-1", LIFE["first"])
    leader.kill()
    seconds = stage.settle(expected, 20 + 12 * late, each=lambda: canceling(stage, expected))
    how = f"SIGKILL of the leader; its heir hears every event {late:g} s late"
    table.add("taken over by one who is behind", how, [seconds], stage)

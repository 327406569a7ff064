from __future__ import annotations

import threading
import time
from collections.abc import Callable

from runs_core.cluster.kube.lanes import GLANCE_SECONDS, HELD_BACK_SECONDS, RUSH, WHY_BURST, Lane, Lanes
from runs_core.values.meta import Key

RUN, OTHER = Key("research", "train"), Key("research", "other")
WAIT = 10.0


class Order:
    """What was done, in order. `block` keeps the only thread until `go_on`."""

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self.done: list[str] = []
        self.go_on = threading.Event()
        self.over = threading.Event()
        began = threading.Event()

        def block() -> None:
            began.set()
            self.go_on.wait(WAIT)

        lanes.submit(block, Lane.FREES, RUN)
        assert began.wait(WAIT)

    def add(self, name: str, lane: Lane, key: Key = RUN) -> None:
        self.lanes.submit(lambda: self.done.append(name), lane, key)

    def rest(self) -> list[str]:
        """All that waits, in the order in which it is done."""
        self.lanes.submit(self.over.set, Lane.TELLS, Key("research", "last"))
        self.go_on.set()
        assert self.over.wait(WAIT)
        self.lanes.stop()
        return self.done


def test_what_frees_goes_before_what_takes_and_what_only_tells_goes_last() -> None:
    order = Order(Lanes(1))
    order.add("status", Lane.TELLS)
    order.add("start", Lane.TAKES)
    order.add("end", Lane.FREES)
    assert order.rest() == ["end", "start", "status"]


def test_what_only_tells_does_not_press() -> None:
    order = Order(Lanes(1))
    for name, lane in (("status", Lane.TELLS), ("why", Lane.WHY), ("start", Lane.TAKES), ("end", Lane.FREES)):
        order.add(name, lane)
    assert order.lanes.pressing == 2
    order.rest()
    assert order.lanes.pressing == 0


def test_what_somebody_waits_for_can_wait_no_longer() -> None:
    order = Order(Lanes(1))
    order.add("other's status", Lane.TELLS, OTHER)
    order.add("start", Lane.TAKES)
    order.add("status", Lane.TELLS)
    order.lanes.hurry(RUN)
    assert order.rest() == ["status", "start", "other's status"]


def test_what_can_wait_does_not_wait_for_ever() -> None:
    lanes, told, left = Lanes(2), threading.Event(), [1000]

    def on_and_on() -> None:
        if not told.is_set() and left[0]:
            left[0] -= 1
            lanes.submit(on_and_on, Lane.FREES, OTHER)
            told.wait(0.01)

    for _ in range(3):
        lanes.submit(on_and_on, Lane.FREES, OTHER)
    lanes.submit(told.set, Lane.TELLS, RUN)
    assert told.wait(WAIT)
    assert left[0]
    lanes.stop()


def test_a_task_waits_for_none_that_takes_long_while_there_may_be_another_thread() -> None:
    """Both come before the one thread that is idle has woken."""
    lanes, first, go_on, done = Lanes(2), threading.Event(), threading.Event(), threading.Event()

    def long() -> None:
        go_on.wait(WAIT)

    lanes.submit(first.set, Lane.TAKES, RUN)
    assert first.wait(WAIT)
    time.sleep(GLANCE_SECONDS)  # it has nothing to do any more
    lanes.submit(long, Lane.TAKES, RUN)
    lanes.submit(done.set, Lane.TAKES, OTHER)
    assert done.wait(WAIT / 2)
    go_on.set()
    lanes.stop()


class Clock:
    """Goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def rushed(clock: Clock) -> Order:
    """A lane in a rush: so many pressing writes came just now."""
    order = Order(Lanes(1, clock))
    for _ in range(RUSH):
        order.add("pressing", Lane.FREES, OTHER)
    order.go_on.set()
    until(lambda: order.done.count("pressing") == RUSH)
    return order


def until(so: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_in_a_rush_a_status_is_held_back_for_a_while() -> None:
    clock = Clock()
    order = rushed(clock)
    order.add("status", Lane.TELLS)
    time.sleep(3 * GLANCE_SECONDS)
    assert "status" not in order.done
    order.add("pressing", Lane.FREES, OTHER)
    clock.now += HELD_BACK_SECONDS
    until(lambda: "status" in order.done)
    order.lanes.stop()


def test_after_a_rush_nothing_is_held_back() -> None:
    clock = Clock()
    order = rushed(clock)
    order.add("status", Lane.TELLS)
    order.add("why", Lane.WHY)
    clock.now += 1.0
    until(lambda: order.done[-2:] == ["status", "why"])
    order.lanes.stop()


def test_in_a_rush_it_is_told_at_a_pace_why_runs_wait() -> None:
    clock = Clock()
    order = rushed(clock)
    for number in range(WHY_BURST + 5):
        order.add("why", Lane.WHY, Key("research", f"run-{number}"))
    until(lambda: order.done.count("why") == WHY_BURST)
    time.sleep(3 * GLANCE_SECONDS)
    assert order.done.count("why") == WHY_BURST
    order.lanes.hurry(Key("research", f"run-{WHY_BURST + 4}"))
    until(lambda: order.done.count("why") == WHY_BURST + 1)
    order.lanes.stop()


def test_nothing_is_begun_after_a_stop() -> None:
    order = Order(Lanes(1))
    order.add("lease", Lane.TAKES)
    stopping = threading.Thread(target=order.lanes.stop)
    stopping.start()
    order.go_on.set()
    stopping.join(WAIT)
    order.add("late", Lane.TAKES)
    assert "late" not in order.done


def test_what_pauses_is_gone_on_with_by_somebody_idle_though_whoever_began_it_is_busy() -> None:
    lanes, paused, go_on, again = Lanes(2), threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        lanes.submit(idle.set, Lane.TAKES, OTHER)
        assert idle.wait(WAIT)
        lanes.later(again.set, 2 * GLANCE_SECONDS, frees=False)
        paused.set()
        go_on.wait(WAIT)

    idle = threading.Event()
    lanes.submit(first, Lane.TAKES, RUN)
    assert paused.wait(WAIT)
    assert again.wait(WAIT / 2)
    go_on.set()
    lanes.stop()


def test_what_pauses_is_not_begun_before_its_time() -> None:
    clock = Clock()
    order = Order(Lanes(1, clock))
    order.lanes.later(lambda: order.done.append("again"), 5.0, frees=True)
    order.add("fresh", Lane.TAKES)
    assert order.rest() == ["fresh"]

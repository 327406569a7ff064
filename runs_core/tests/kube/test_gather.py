"""How long a batch waits for more."""

from __future__ import annotations

import pytest

from runs_core.cluster.kube.gather import ENOUGH, LEAST_SECONDS, LOOK_SECONDS, MOST_SECONDS, Gathering


class Clock:
    """Goes by sleeping. pressing: writes that wait; one look later so many fewer."""

    def __init__(self, pressing: int, fewer: int = 0) -> None:
        self.now = 1000.0
        self.pressing = pressing
        self.fewer = fewer

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def look(self) -> int:
        self.pressing -= self.fewer
        return self.pressing


def waited(clock: Clock, *, after: float = 0.0) -> float:
    """Seconds. after: a batch, so many."""
    gathering = Gathering(clock.look, clock=lambda: clock.now, sleep=clock.sleep)
    gathering.begin()
    clock.now += after
    before = clock.now
    gathering.wait()
    return clock.now - before


def test_one_batch_follows_another_after_a_while() -> None:
    assert waited(Clock(0)) == pytest.approx(LEAST_SECONDS)
    assert waited(Clock(0), after=0.04) == pytest.approx(LEAST_SECONDS - 0.04)


def test_what_comes_after_a_pause_is_not_held() -> None:
    assert waited(Clock(0), after=LEAST_SECONDS) == 0.0
    assert waited(Clock(10 * ENOUGH), after=MOST_SECONDS) == 0.0


def test_while_there_is_enough_to_write_more_is_gathered_but_not_for_ever() -> None:
    assert waited(Clock(10 * ENOUGH)) == pytest.approx(MOST_SECONDS, abs=LOOK_SECONDS)


def test_the_next_comes_before_the_writers_have_nothing_to_do() -> None:
    clock = Clock(ENOUGH + 3, fewer=1)
    assert waited(clock) == pytest.approx(LEAST_SECONDS + 3 * LOOK_SECONDS)
    assert 0 < clock.pressing < ENOUGH

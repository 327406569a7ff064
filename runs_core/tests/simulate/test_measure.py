"""What a simulation is measured with gives the numbers that a person would work out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from runs_core.serve.measure import Mean, Timeline, Waits, nearest_rank
from runs_core.serve.summary import Waited

START = datetime(2000, 1, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_waits_are_summed_up_by_nearest_rank() -> None:
    waits = Waits()
    for seconds in (30, 0, 10, 20):
        waits.add(timedelta(seconds=seconds))
    assert waits.summary() == Waited(starts=4, mean=15.0, p50=10.0, p90=30.0, p99=30.0, max=30.0)


def test_no_waits_have_no_mean() -> None:
    assert Waits().summary() == Waited(starts=0, mean=None, p50=None, p90=None, p99=None, max=None)


def test_waits_of_several_kinds_add_up() -> None:
    one, other = Waits(), Waits()
    one.add(timedelta(seconds=1))
    other.add(timedelta(seconds=3))
    assert Waits.of([one, other]).summary().mean == 2.0


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 50), (90, 90), (99, 99), (100, 100)])
def test_a_percentile_is_a_value_that_occurred(percent: int, value: int) -> None:
    assert nearest_rank(range(1, 101), percent) == value


def test_a_mean_is_weighted_by_time() -> None:
    mean = Mean()
    mean.add(8, 10)
    mean.add(2, 30)
    assert (mean.over(1), mean.over(10), mean.highest) == (3.5, 0.35, 8)


def test_a_level_that_lasted_no_time_is_no_peak() -> None:
    mean = Mean()
    mean.add(9, 0)
    mean.add(1, 5)
    assert mean.highest == 1


def test_a_mean_over_no_time_is_absent() -> None:
    assert Mean().over(1) is None


def test_a_timeline_gives_each_bucket_its_own_mean() -> None:
    line = Timeline(START, timedelta(seconds=10))
    line.add(after(5), (4,))
    line.add(after(25), (8,))
    assert line.means(0, 8) == [0.75, 1.0, 1.0]


def test_a_timeline_that_is_full_doubles_its_step_and_keeps_its_sums() -> None:
    line = Timeline(START, timedelta(seconds=1), most=4)
    for second in range(1, 5):
        line.add(after(second), (second,))
    line.add(after(9), (10,))
    assert line.step == timedelta(seconds=4)
    assert line.means(0, 1) == [2.5, 10.0, 10.0]


def test_a_timeline_never_grows_beyond_its_length() -> None:
    line = Timeline(START, timedelta(seconds=1), most=8)
    for second in range(1, 1000):
        line.add(after(second), (1,))
    assert len(line.means(0, 1)) <= 8
    assert set(line.means(0, 1)) == {1.0}

"""A trace made heavier is the same trace closer together, or several times over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from runs_core.cluster.trace.input import EPOCH, TraceInput
from runs_core.cluster.trace.scale import begun, copied, load_inside, load_of, loaded, loaded_inside
from runs_core.errors import InvalidInput

Read = Callable[..., TraceInput]


@pytest.fixture
def trace(read: Read) -> TraceInput:
    """10 GPUs; arrivals at 100 s and 1100 s, which demand 2 GPUs for 500 s and 8 GPUs for 500 s."""
    return read("a,1,1,2,1000,,LS,Running,100,600,", "b,1,1,8,1000,,LS,Running,1100,1600,")


def test_the_load_is_demand_over_the_fleet_in_the_arrival_span(trace: TraceInput) -> None:
    assert load_of(trace) == Fraction(10 * 500, 10 * 1000)


def test_inside_the_arrival_span_only_what_could_be_held_there_counts(trace: TraceInput) -> None:
    assert load_inside(trace) == Fraction(2 * 500, 10 * 1000)


def test_a_load_moves_arrivals_towards_the_first_and_keeps_durations(trace: TraceInput) -> None:
    heavier = loaded(trace, Fraction(2))
    assert [arrival.at - EPOCH for arrival in heavier.arrivals] == [timedelta(seconds=100), timedelta(seconds=350)]
    assert [arrival.run.meta.created for arrival in heavier.arrivals] == [arrival.at for arrival in heavier.arrivals]
    assert [arrival.duration for arrival in heavier.arrivals] == [timedelta(seconds=500)] * 2
    assert load_of(heavier) == 2


def test_a_trace_that_starts_at_another_time_is_otherwise_the_same(trace: TraceInput) -> None:
    start = datetime(2026, 6, 1, tzinfo=UTC)
    moved = begun(trace, start)
    assert [arrival.at - moved.start for arrival in moved.arrivals] == [
        arrival.at - EPOCH for arrival in trace.arrivals
    ]
    assert [arrival.run.meta.created for arrival in moved.arrivals] == [arrival.at for arrival in moved.arrivals]
    assert (moved.start, load_of(moved)) == (start, load_of(trace))


def test_a_load_below_the_present_one_spreads_arrivals(trace: TraceInput) -> None:
    assert load_of(loaded(trace, Fraction(1, 4))) == Fraction(1, 4)


def test_a_load_is_met_to_the_microsecond_where_it_does_not_divide(trace: TraceInput) -> None:
    reached = load_of(loaded(trace, Fraction("0.95")))
    assert reached == pytest.approx(0.95, rel=1e-8)


@pytest.mark.parametrize(("load", "why"), [("0", "want a number above 0"), ("-1", "want a number above 0")])
def test_a_load_that_is_none_is_refused(trace: TraceInput, load: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        loaded(trace, Fraction(load))


def test_a_load_needs_arrivals_at_different_moments(read: Read) -> None:
    with pytest.raises(InvalidInput, match="runs that arrive at different moments"):
        loaded(read("a,1,1,2,1000,,LS,Running,100,600,"), Fraction(1))


def test_a_load_so_low_that_time_ends_is_refused(trace: TraceInput) -> None:
    with pytest.raises(InvalidInput, match="beyond the year 9999"):
        loaded(trace, Fraction(1, 10**12))


@pytest.mark.parametrize("load", ["0.05", "0.1", "0.15"])
def test_a_load_inside_is_met_with_arrivals_as_far_apart_as_can_be(trace: TraceInput, load: str) -> None:
    found = loaded_inside(trace, Fraction(load))
    assert load_inside(found) == pytest.approx(float(load), rel=1e-6)
    assert (load_inside(found) or 0) >= Fraction(load)
    assert [arrival.duration for arrival in found.arrivals] == [timedelta(seconds=500)] * 2


def test_a_load_inside_that_is_there_already_leaves_the_trace_alone(trace: TraceInput) -> None:
    present = load_inside(trace)
    assert present is not None
    assert loaded_inside(trace, present) == trace


def test_a_load_inside_that_no_closeness_gives_says_what_is_the_most_and_what_helps(trace: TraceInput) -> None:
    with pytest.raises(InvalidInput, match=r"no more than 0\.2 is in use .* more of the same runs with --demand"):
        loaded_inside(trace, Fraction("0.21"))
    heavier = loaded_inside(copied(trace, 1, 2), Fraction("0.21"))
    assert load_inside(heavier) == pytest.approx(0.21, rel=1e-6)


@pytest.mark.parametrize("load", ["0", "-1"])
def test_a_load_inside_that_is_none_is_refused(trace: TraceInput, load: str) -> None:
    with pytest.raises(InvalidInput, match=r"--load-inside.*want a number above 0"):
        loaded_inside(trace, Fraction(load))


def test_more_demand_is_the_same_runs_on_the_same_fleet(trace: TraceInput) -> None:
    double = copied(trace, 2, 3)
    assert (double.gpus, len(double.arrivals)) == (20, 12)
    assert [arrival.run.meta.name for arrival in double.arrivals[:6]] == ["a", "a-2", "a-3", "a-4", "a-5", "a-6"]
    assert load_of(double) == 3 * (load_of(trace) or 0)


def test_copies_multiply_nodes_and_runs_and_keep_the_load(trace: TraceInput) -> None:
    three = copied(trace, 3)
    assert (three.gpus, len(three.nodes), len(three.arrivals)) == (30, 6, 6)
    assert [arrival.run.meta.name for arrival in three.arrivals] == ["a", "a-2", "a-3", "b", "b-2", "b-3"]
    assert len({arrival.run.uid for arrival in three.arrivals}) == 6
    assert load_of(three) == load_of(trace)


def test_a_copy_never_takes_the_name_of_another_run(read: Read) -> None:
    with pytest.raises(InvalidInput, match="--copies"):
        copied(read("a,1,1,1,1000,,LS,Running,1,6,", "a-2,1,1,1,1000,,LS,Running,1,6,"), 2)


def test_a_copy_never_has_a_longer_name_than_a_run_may_have(read: Read) -> None:
    with pytest.raises(InvalidInput, match="65 characters, want at most 63"):
        copied(read("a" * 63 + ",1,1,1,1000,,LS,Running,1,6,"), 2)


def test_fewer_than_one_copy_is_refused(trace: TraceInput) -> None:
    with pytest.raises(InvalidInput, match="got 0, want at least 1"):
        copied(trace, 0)


@pytest.mark.parametrize(
    ("copies", "demand", "said"),
    [
        (10**20, 1, f"--copies: asks for 2 nodes {10**20} times over, want at most 500000 times"),
        (1, 10**20, f"--demand: asks for 2 runs {10**20} times over, want at most 5000000 times"),
        (500_000, 11, "--copies: asks for 2 runs 5500000 times over, want at most 5000000 times"),
    ],
)
def test_more_copies_than_a_memory_holds_are_refused_before_any_is_made(
    trace: TraceInput, copies: int, demand: int, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        copied(trace, copies, demand)

"""The trace as it is published, not a sample of it."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import pytest

from runs_core.cluster.trace.input import TraceInput
from runs_core.cluster.trace.openb import read_openb
from runs_core.cluster.trace.scale import load_inside, load_of, loaded
from runs_core.serve.simulate import simulate

NODES, TASKS = "openb_node_list_gpu_node.csv", "openb_pod_list_default.csv"


@pytest.fixture(scope="module")
def published(openb_traces: Path) -> TraceInput:
    return read_openb(openb_traces / NODES, openb_traces / TASKS)


def test_it_is_read_whole_but_for_one_row(published: TraceInput) -> None:
    assert (len(published.nodes), published.gpus) == (1213, 6212)
    assert (len(published.arrivals), published.skipped, published.rounded) == (7063, 1088, 3077)
    assert [(bad.line, bad.why.split(":")[0]) for bad in published.bad_rows] == [(7287, "deletion_time")]


def test_its_rows_in_any_order_are_the_same_trace(openb_traces: Path, published: TraceInput, tmp_path: Path) -> None:
    for name in (NODES, TASKS):
        header, *rows = (openb_traces / name).read_text(encoding="utf-8").splitlines()
        random.Random(3).shuffle(rows)
        (tmp_path / name).write_text("\n".join([header, *rows]), encoding="utf-8")
    shuffled = read_openb(tmp_path / NODES, tmp_path / TASKS)
    assert (shuffled.nodes, shuffled.arrivals) == (published.nodes, published.arrivals)


def test_as_published_it_asks_for_less_than_a_hundredth_of_the_fleet(published: TraceInput) -> None:
    assert 0 < (load_of(published) or 0) < 0.01


def test_its_demand_is_mostly_of_few_long_tasks(published: TraceInput) -> None:
    """What docs/howto/simulate.md says of it, and why a load near 1 leaves the fleet idle."""
    demands = sorted((arrival.run.gpus * arrival.duration for arrival in published.arrivals), reverse=True)
    assert sum(day.total_seconds() for day in demands[:20]) * 1e6 / published.demand == pytest.approx(0.69, abs=0.005)
    assert float(load_inside(loaded(published, Fraction("0.95"))) or 0) == pytest.approx(0.038, abs=0.0005)


@pytest.mark.slow
def test_at_a_load_that_fills_the_fleet_runs_wait_and_gpus_do_not(published: TraceInput) -> None:
    summary = simulate(loaded(published, Fraction(100))).summary
    assert summary.runs.finished == len(published.arrivals)
    assert summary.gpu_hours.leased == summary.gpu_hours.demanded
    assert summary.queue.max > 500
    assert (summary.wait_seconds.p90 or 0) > 10
    assert (summary.utilisation.while_waiting or 0) > 0.8


@pytest.mark.slow
def test_at_a_load_of_0_95_no_gpu_is_idle_that_a_run_could_use(published: TraceInput) -> None:
    summary = simulate(loaded(published, Fraction("0.95"))).summary
    assert summary.input.load == 0.95
    assert summary.wait_seconds.max == 0.0
    assert summary.utilisation.arrival_span == summary.input.load_inside_span

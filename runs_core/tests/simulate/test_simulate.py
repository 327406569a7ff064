"""The real loop over a trace: everything runs, in time, and always the same."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runs_core.cluster.trace import openb
from runs_core.cluster.trace.input import EPOCH, Arrival, TraceInput, simulated_meta
from runs_core.cluster.trace.openb import read_openb
from runs_core.cluster.trace.scale import copied
from runs_core.decide.advice import Silent
from runs_core.serve.simulate import simulate
from runs_core.serve.views.plain import plain
from runs_core.values.decision import Hold
from runs_core.values.node import Node
from runs_core.values.run import Resources, Run, RunSpec
from runs_core.world.view import View

Files = tuple[Path, Path]
Write = Callable[[Sequence[str], Sequence[str]], Files]


def a_trace(*arrivals: tuple[str, float, int, float], gpus: int = 8) -> TraceInput:
    """One node; each arrival is (name, seconds, gpus, duration in seconds)."""
    node = Node(name="n", gpus=gpus, pods=110)
    return TraceInput(nodes=(node,), arrivals=tuple(an_arrival(*arrival) for arrival in arrivals))


def an_arrival(name: str, seconds: float, gpus: int, duration: float) -> Arrival:
    at, takes = EPOCH + timedelta(seconds=seconds), timedelta(seconds=duration)
    run = Run(meta=simulated_meta("ns", name, at=at, duration=takes), spec=RunSpec(resources=Resources(gpus=gpus)))
    return Arrival(at=at, run=run, duration=takes)


def as_bytes(trace: TraceInput) -> bytes:
    return json.dumps(plain(simulate(trace).summary), sort_keys=True).encode()


def test_a_run_waits_for_the_gpus_of_the_one_before_it() -> None:
    summary = simulate(a_trace(("a", 0, 8, 100), ("b", 40, 8, 10))).summary
    assert (summary.runs.started, summary.runs.finished) == (2, 2)
    assert (summary.wait_seconds.p50, summary.wait_seconds.max) == (0.0, 60.0)
    assert (summary.utilisation.all, summary.queue.max) == (1.0, 1)


def test_a_run_that_can_never_fit_is_named_and_the_simulation_ends() -> None:
    summary = simulate(a_trace(("a", 0, 9, 100), ("b", 40, 8, 10))).summary
    assert [(str(never.run), never.gpus) for never in summary.never_fit] == [("ns/a", 9)]
    assert summary.never_fit[0].why
    assert (summary.runs.finished, summary.runs.never_fit, summary.runs.waiting) == (1, 1, 0)


def test_a_plugin_that_holds_for_ever_does_not_keep_the_simulation_going() -> None:
    class Holds(Silent):
        def holds(self, run: Run, view: View, now: datetime) -> Sequence[tuple[str, Hold]]:
            return [("stubborn", Hold("No", "never", now + timedelta(hours=1)))] if run.meta.name == "a" else ()

    summary = simulate(a_trace(("a", 0, 1, 100), ("b", 40, 8, 10)), advice=Holds()).summary
    assert (summary.runs.finished, summary.runs.held) == (1, 1)


def test_work_of_months_is_played_to_its_end() -> None:
    """Nothing is decided for 50 days, twice."""
    takes = timedelta(days=50).total_seconds()
    summary = simulate(a_trace(("a", 0, 8, takes), ("b", 40, 8, takes))).summary
    assert (summary.runs.finished, summary.wait_seconds.max) == (2, takes - 40)
    assert summary.gpu_hours.leased == summary.gpu_hours.demanded == 2 * 8 * 24 * 50


def test_nothing_to_simulate_is_a_report_of_nothing() -> None:
    assert simulate(TraceInput(nodes=(), arrivals=())).summary.runs.started == 0


def test_progress_is_told_from_the_start() -> None:
    told: list[tuple[int, datetime]] = []
    simulate(a_trace(("a", 0, 8, 100)), progress=lambda done, now: told.append((done, now)))
    assert told[0] == (0, EPOCH)


def test_every_task_of_a_busy_trace_runs_for_as_long_as_it_did(files: Files) -> None:
    trace = read_openb(*files)
    summary = simulate(trace).summary
    assert summary.runs.finished == len(trace.arrivals) > 250
    assert summary.gpu_hours.leased == summary.gpu_hours.demanded > 0


def test_a_busy_trace_makes_runs_wait_on_a_busy_fleet(files: Files) -> None:
    summary = simulate(read_openb(*files)).summary
    assert summary.wait_seconds.p90 is not None
    assert summary.wait_seconds.p90 > 60
    assert summary.utilisation.while_waiting is not None
    assert summary.utilisation.while_waiting > 0.8


def results_of_permuted_rows(write: Write, nodes: list[str], tasks: list[str]) -> set[bytes]:
    """What comes of the rows in four orders; one task occurs twice, with different durations."""
    again = "task-001,4000,8192,8,1000,,LS,Running,5,99999,"
    found = set()
    for seed in range(4):
        draw = random.Random(seed)
        mixed_nodes, mixed_tasks = draw.sample(nodes, len(nodes)), draw.sample([*tasks, again], len(tasks) + 1)
        found.add(as_bytes(read_openb(*write(mixed_nodes, mixed_tasks))))
    return found


@pytest.mark.properties
def test_the_order_of_rows_never_changes_a_byte(write: Write, node_rows: list[str], task_rows: list[str]) -> None:
    assert len(results_of_permuted_rows(write, node_rows, task_rows)) == 1


def test_a_reader_that_keeps_the_last_of_two_rows_is_found_out(
    write: Write, node_rows: list[str], task_rows: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def last_wins(_source: Path, read: Iterable[Any], _bad: object) -> list[Any]:
        return list({row.name: row for row in read}.values())

    monkeypatch.setattr(openb, "unique", last_wins)
    assert len(results_of_permuted_rows(write, node_rows, task_rows)) > 1


@pytest.mark.properties
def test_the_seed_of_hashes_never_changes_a_byte(files: Files) -> None:
    program = (
        "import sys; from pathlib import Path; from runs_core.cluster.trace.openb import read_openb; "
        "from runs_core.serve.simulate import simulate; "
        "print(simulate(read_openb(Path(sys.argv[1]), Path(sys.argv[2]))).summary)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program, *map(str, files)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for seed in ("0", "1", "4294967295")
    }
    assert len(outputs) == 1
    assert b"finished=" in outputs.pop()


def test_two_copies_do_twice_the_work_at_the_same_load(files: Files) -> None:
    trace = read_openb(*files)
    one, two = simulate(trace).summary, simulate(copied(trace, 2)).summary
    assert two.runs.finished == 2 * one.runs.finished
    assert two.gpu_hours.leased == pytest.approx(2 * one.gpu_hours.leased, abs=1e-5)
    assert two.input.load == one.input.load

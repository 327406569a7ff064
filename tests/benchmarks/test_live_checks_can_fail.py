"""Each goal of the live benchmarks, at a small scale, held against a scheduler with every defect they are to find."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from benchmarks.live import fleet, queue_load
from benchmarks.live.plane import plane
from benchmarks.result import Goal, Result

BROKEN = "tests.benchmarks.heavy_scheduler"
SMALL = 0.01
pytestmark = [pytest.mark.kube, pytest.mark.slow, pytest.mark.xdist_group("live benchmarks")]


@pytest.fixture(scope="module", autouse=True)
def _there(component: Callable[[str, Sequence[str]], Path]) -> None:
    component("RUNS_TEST_KUBE", ("kubeplane",))


def goals(result: Result) -> Sequence[Goal]:
    assert result.goals
    return result.goals


def test_a_broken_scheduler_misses_every_goal_of_the_fleet() -> None:
    size = fleet.Size(
        first=fleet.Stage(name="first", nodes=20, runs=60, gpus=2),
        then=fleet.Stage(name="then", nodes=5, runs=10, gpus=5),
        bare=100,
        changes=3,
        idle_seconds=5.0,
    )
    with tempfile.TemporaryDirectory() as folder, plane(Path(folder) / "plane") as there:
        result = fleet.judge(fleet.measure(there, size, BROKEN), size, quick=True)
    assert [goal.name for goal in goals(result) if goal.met] == []


@pytest.fixture(scope="module")
def honest() -> Result:
    return queue_load.play(SMALL, quick=True)


def test_a_broken_scheduler_costs_the_api_server_more_and_takes_longer(honest: Result) -> None:
    seconds, cost = (2 * goal.measured for goal in goals(honest))
    broken = queue_load.play(SMALL, quick=True, module=BROKEN, longest=seconds, limit=0.75 * cost)
    assert [goal.name for goal in goals(broken) if goal.met] == []

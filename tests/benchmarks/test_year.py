"""The simulated year: as much of it as a suite can afford, and small ones held against what they are to find."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context

import pytest
from benchmarks import year
from benchmarks.result import Goal, Result
from benchmarks.sound import Unusable

from runs_core.cluster.trace.cluster import TraceCluster
from runs_core.serve.loop import Loop
from runs_core.settings import RetentionSettings, Settings
from runs_core.world.facts import recomputed

NODES, STEP = 40, 50
CPU = 60.0
"""Seconds that the suite affords: half of what a tenth of the year may take."""
LEAST = 12_000
"""Arrivals of the tenth that are played within that: 30,000 were measured on a machine that did much else."""


def goal(result: Result, part: str) -> Goal:
    (found,) = (goal for goal in result.goals if part in goal.name)
    return found


def small(
    arrivals: int,
    *,
    cpu: float = year.CPU,
    settings: Settings = year.SETTINGS,
    prepare: Callable[[Loop], None] = lambda _: None,
) -> Result:
    return year.simulated(NODES, arrivals, cpu=cpu, settings=settings, prepare=prepare, step=STEP)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_tenth_of_the_year_goes_at_least_so_far_and_stays_small() -> None:
    """In a process of its own: its memory is measured."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        result = pool.submit(year.simulated, year.NODES, year.ARRIVALS // 10, cpu=CPU).result()
    assert goal(result, "arrivals played").measured >= LEAST
    assert goal(result, "memory").met
    assert goal(result, "objects of one kind").met


@pytest.fixture(scope="module")
def honest() -> Result:
    return small(1200)


def test_a_small_year_is_played_to_its_end_and_forgets_what_is_over(honest: Result) -> None:
    assert honest.met
    assert honest.facts["decisions: Reclaims"] > 100
    assert 0 < honest.facts["unfunded part of the GPUs held at the end"] < 0.5


def test_a_year_of_which_every_index_is_recomputed_at_each_turn_does_not_end_in_time() -> None:
    def prepare(loop: Loop) -> None:
        turn = loop.cycle

        def broken() -> int:
            recomputed(loop.world)
            return turn()

        setattr(loop, "cycle", broken)  # noqa: B010  # mypy holds methods against assignment

    spent = year.simulated(200, 300, step=1).facts["s of CPU in all"]
    broken = year.simulated(200, 300, cpu=10 * spent, prepare=prepare, step=1)  # enough for some to wait
    assert not goal(broken, "arrivals played").met


def test_a_year_that_keeps_what_has_ended_grows(honest: Result) -> None:
    kept = Settings(retention=RetentionSettings(runs=timedelta(days=999), leases=timedelta(hours=1)))
    assert not goal(small(1200, settings=kept), "objects of one kind").met


def test_a_year_that_keeps_its_resolutions_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: TraceCluster) -> Iterator[object]:
        return iter(())

    monkeypatch.setattr(TraceCluster, "_forget", never)
    assert not goal(small(1200), "objects of one kind").met


def test_a_year_in_which_nobody_waits_is_no_evidence() -> None:
    player = year.a_player(NODES)
    with pytest.raises(Unusable, match="no run waited"):
        year.demand_waiting(player, [year.Look(at=at, used=0.9, kept={}) for at in (0.0, 1.0)])


def test_a_fleet_that_is_hardly_used_is_no_evidence() -> None:
    player = year.a_player(NODES)
    with pytest.raises(Unusable, match="in use: want more than 80 %"):
        year.demand_waiting(player, [year.Look(at=at, used=0.5, kept={}) for at in (0.0, 1.0)])


def test_too_few_looks_tell_nothing_of_growth() -> None:
    with pytest.raises(Unusable, match="are too few to tell what grows"):
        year.growth([year.Look(at=0.0, used=0.9, kept={})])

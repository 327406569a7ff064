"""When a run that the busy fleet cannot take will start, worked out from declared ends for a person who asks.

Runs say how long they take, half as long again at most; more arrives than can be served, so that a line stands and
places are kept for its first hundred. Each of a choice of those who wait is then asked about, once.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import median

from benchmarks.measure import cpu_of, percentile
from benchmarks.placement import LEAST_USED
from benchmarks.result import Goal, Result, Side
from benchmarks.sound import Unusable, demand_busy, demand_sound, used_now
from benchmarks.workload import PLAIN, Demand, Player, Shape
from runs_core.decide.advice import Advice, Silent
from runs_core.decide.forecast import Forecast, foresee
from runs_core.serve.process import settle_memory
from runs_core.values.run import Run
from runs_core.world.world import World

NAME = "forecast"
NODES = 12_500
LIMIT = 0.002
SHAPES = (*PLAIN, Shape(gpus=256, group_gpus=64), Shape(gpus=1024, group_gpus=128))
Foresees = Callable[[World, Run, Advice], Forecast | None]


def a_line(count: int) -> Player:
    """More is wanted than can be served, and has been for a while."""
    demand = Demand(gpus=count * 8, shapes=SHAPES, load=1.1, burst=1.1, says=1.5)
    player = Player(count, demand)
    player.settle()
    player.play(count)
    return player


def ask_each(count: int, foresees: Foresees = foresee, *, asked: int, limit: float = LIMIT) -> Result:
    player = a_line(count)
    world = player.loop.world
    waiting = [run for run in world.runs() if run.key in world.line.entries]
    if len(waiting) < asked:
        raise Unusable(f"{len(waiting)} runs wait: want {asked} at least")
    chosen = random.Random(11).sample(waiting, asked)
    settle_memory()
    found: list[Forecast] = []

    def one(run: Run) -> float:
        def ask() -> None:
            if (told := foresees(world, run, Silent())) is not None:
                found.append(told)

        return cpu_of(ask)

    costs = [one(run) for run in chosen]
    if len(found) < 0.9 * asked or any(told.at <= world.now for told in found):
        raise Unusable(f"{len(found)} of {asked} were told a time that is to come")
    used = used_now(player)
    demand_busy(player, used)
    demand_sound(player)
    if used < LEAST_USED:
        raise Unusable(f"{used:.0%} of the GPUs were in use")
    return Result(
        name=NAME,
        title=f"When each of {asked} blocked runs will start, on {count:,} nodes",
        quick=False,
        goals=(
            Goal(
                name="median CPU of one forecast",
                side=Side.AT_MOST,
                limit=limit * 1000,
                measured=round(median(costs) * 1000, 2),
                unit="ms",
            ),
        ),
        facts={
            "GPUs in use": round(used, 3),
            "runs that wait": len(waiting),
            "runs that places are kept for": len(world.promises.by_run),
            "ms: 95th percentile": round(percentile(costs, 0.95) * 1000, 2),
            "ms: slowest": round(max(costs) * 1000, 2),
            "asked of and told nothing": asked - len(found),
        },
    )


def run(*, quick: bool) -> Result:
    return ask_each(NODES, asked=50 if quick else 200)

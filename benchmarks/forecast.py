"""When a gang that the busy fleet cannot take starts, worked out from declared ends for a person who asks.

Runs say how long they take, half as long again at most; the fleet is as busy as it can be while nearly all find room at
once. Then gangs of many widths are asked about that it has no room for, each once, as `explain` does.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from statistics import median

from benchmarks.measure import cpu_of, percentile
from benchmarks.result import Goal, Result, Side
from benchmarks.sound import Unusable, demand_busy, demand_sound, used_now
from benchmarks.workload import BEGIN, FLAVOR, NAMESPACE, Demand, Player
from runs_core.decide.advice import Advice, Silent
from runs_core.decide.consider import consider
from runs_core.decide.forecast import Forecast, foresee
from runs_core.serve.process import settle_memory
from runs_core.values.decision import Waits
from runs_core.values.meta import Meta
from runs_core.values.run import Resources, Run, RunSpec, Runtime, Topology
from runs_core.world.world import World

NAME = "forecast"
NODES = 12_500
LIMIT = 0.002
LEAST_USED, MOST_USED = 0.90, 0.97
WIDTHS = (256, 512, 1_024, 2_048, 4_096)
Foresees = Callable[[World, Run, Advice], Forecast | None]


def a_fleet_that_says(count: int) -> Player:
    """As busy as for placements, and every run says how long it takes."""
    player = Player(count, Demand(gpus=count * 8, load=0.92, burst=1.02, says=1.5))
    player.settle()
    waited = len(player.loop.world.line)
    player.play(count // 2)
    while not LEAST_USED < used_now(player) < MOST_USED:
        player.play(1)
    player.most_waiting = max(player.most_waiting, waited)
    return player


def gangs(world: World, count: int) -> list[Run]:
    """That would have to wait, in groups that a domain can take."""
    draw, found = random.Random(11), list[Run]()
    for number in range(20 * count):
        gpus = draw.choice(WIDTHS)
        spec = RunSpec(
            resources=Resources(flavor=FLAVOR, gpus=gpus, gpus_per_pod=8),
            topology=Topology(group_gpus=draw.choice((64, 128, 256))),
            runtime=Runtime(expected_duration=timedelta(minutes=draw.randint(10, 300))),
        )
        run = Run(meta=Meta(name=f"asks-{number}", namespace=NAMESPACE, uid=f"a{number}", created=BEGIN), spec=spec)
        if isinstance(consider(world, run, Silent()), Waits):
            found.append(run)
        if len(found) == count:
            return found
    raise Unusable(f"{len(found)} gangs would wait: want {count}")


def ask_each(count: int, foresees: Foresees = foresee, *, asked: int, limit: float = LIMIT) -> Result:
    player = a_fleet_that_says(count)
    world = player.loop.world
    chosen = gangs(world, asked)
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
    return Result(
        name=NAME,
        title=f"When each of {asked} gangs starts that {count:,} nodes have no room for now",
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
            "runs that wait": len(world.line),
            "runs that places are kept for": len(world.promises.by_run),
            "ms: 95th percentile": round(percentile(costs, 0.95) * 1000, 2),
            "ms: slowest": round(max(costs) * 1000, 2),
            "asked of and told nothing": asked - len(found),
        },
    )


def run(*, quick: bool) -> Result:
    return ask_each(NODES, asked=50 if quick else 200)

"""When a gang that the busy fleet cannot take starts, worked out from declared ends for a person who asks.

Runs say how long they take, half as long again at most; the fleet is as busy as it can be while nearly all find room at
once. Then gangs of many widths are asked about that it has no room for, each once, as `explain` does. Between two of
them the fleet goes on: another run arrives, and others end.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
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


def a_fleet_that_says(nodes: int) -> Player:
    """As busy as for placements, and every run says how long it takes."""
    player = Player(nodes, Demand(gpus=nodes * 8, load=0.92, burst=1.02, says=1.5))
    player.settle()
    waited = len(player.loop.world.line)
    player.play(nodes // 2)
    while not LEAST_USED < used_now(player) < MOST_USED:
        player.play(1)
    player.most_waiting = max(player.most_waiting, waited)
    return player


def gangs(world: World, most: int) -> Iterator[Run]:
    """Of so many that are drawn, those that have to wait when they are asked for, in groups that a domain can take."""
    draw = random.Random(11)
    for number in range(most):
        gpus = draw.choice(WIDTHS)
        spec = RunSpec(
            resources=Resources(flavor=FLAVOR, gpus=gpus, gpus_per_pod=8),
            topology=Topology(group_gpus=draw.choice((64, 128, 256))),
            runtime=Runtime(expected_duration=timedelta(minutes=draw.randint(10, 300))),
        )
        run = Run(meta=Meta(name=f"asks-{number}", namespace=NAMESPACE, uid=f"a{number}", created=BEGIN), spec=spec)
        if isinstance(consider(world, run, Silent()), Waits):
            yield run


def ask_each(nodes: int, foresees: Foresees = foresee, *, asked: int, limit: float = LIMIT) -> Result:
    player = a_fleet_that_says(nodes)
    world = player.loop.world
    settle_memory()
    found: list[Forecast] = []

    def one(run: Run) -> float:
        def ask() -> None:
            if (told := foresees(world, run, Silent())) is not None and told.at > world.now:
                found.append(told)

        cost = cpu_of(ask)
        player.play(1)
        return cost

    costs = [one(run) for run in islice(gangs(world, 20 * asked), asked)]
    if len(costs) < asked:
        raise Unusable(f"{len(costs)} gangs would wait: want {asked}")
    if len(found) < 0.9 * asked:
        raise Unusable(f"{len(found)} of {asked} were told a time that is to come")
    used = used_now(player)
    demand_busy(player, used)
    demand_sound(player)
    return Result(
        name=NAME,
        title=f"When each of {asked} gangs starts that {nodes:,} nodes have no room for now",
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
            "ms: slowest of them, after the first": round(max(costs[1:]) * 1000, 2),
            "ms: the first, which works out when each node comes free": round(costs[0] * 1000, 2),
            "asked of and told nothing": asked - len(found),
        },
    )


def run(*, quick: bool) -> Result:
    return ask_each(NODES, asked=50 if quick else 200)

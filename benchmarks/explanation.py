"""The verdict, with its full explanation, for a run that the busy fleet cannot take."""

from __future__ import annotations

from statistics import median

from benchmarks.measure import cpu_of
from benchmarks.placement import a_busy_fleet
from benchmarks.result import Goal, Result, Side
from benchmarks.sound import Unusable, demand_busy, demand_sound, used_now
from benchmarks.workload import BEGIN, FLAVOR
from runs_core.decide.advice import Silent
from runs_core.decide.consider import consider
from runs_core.decide.remedies import Tried, remedies
from runs_core.values.decision import Waits
from runs_core.values.meta import Meta
from runs_core.values.run import Resources, Run, RunSpec, Spread, Topology
from runs_core.values.template import PodTemplate, Requests
from runs_core.world.world import World

NAME = "explanation"
NODES = 12_500
LIMIT = 0.050

CASES = {
    "more than is free": RunSpec(resources=Resources(flavor=FLAVOR, gpus=64_000, gpus_per_pod=8)),
    "one domain, too wide": RunSpec(
        resources=Resources(flavor=FLAVOR, gpus=512, gpus_per_pod=8), topology=Topology(spread=Spread.SINGLE_DOMAIN)
    ),
    "groups that nothing has free": RunSpec(
        resources=Resources(flavor=FLAVOR, gpus=1_024, gpus_per_pod=8), topology=Topology(group_gpus=256)
    ),
    "more CPU than any node has": RunSpec(
        resources=Resources(flavor=FLAVOR, gpus=8, gpus_per_pod=1),
        template=PodTemplate(requests=Requests(cpu_milli=500_000)),
    ),
    "a region that is not there": RunSpec(
        resources=Resources(flavor=FLAVOR, gpus=8, gpus_per_pod=8), topology=Topology(selector=(("region", "north"),))
    ),
}


def cost(world: World, spec: RunSpec, repetitions: int) -> float:
    """Median seconds of CPU of the whole verdict, nothing remembered of any earlier one."""
    run = Run(meta=Meta(name="asks", namespace="research", uid="asks", created=BEGIN), spec=spec)

    told: list[Tried] = []

    def verdict() -> None:
        found = consider(world, run, Silent())
        told.extend(remedies(world, run, Silent()))
        if not isinstance(found, Waits) or len(found.match) < 6 or not found.reasons:
            raise Unusable(f"want a wait with its reasons and the whole match, got {type(found).__name__}")

    def anew() -> float:
        flavor = world.fleet.flavors[FLAVOR]
        flavor.censuses.clear()
        flavor.never.clear()
        for domain in flavor.domains.values():
            domain.filtered.clear()
            domain.short.clear()
        return cpu_of(verdict)

    return median(anew() for _ in range(repetitions))


def explain_all(count: int, *, repetitions: int, limit: float = LIMIT) -> Result:
    player = a_busy_fleet(count)
    costs = {name: cost(player.loop.world, spec, repetitions) for name, spec in CASES.items()}
    demand_busy(player, used_now(player))
    demand_sound(player)
    worst = max(costs.values())
    return Result(
        name=NAME,
        title=f"Verdict and full explanation for a run that {count:,} nodes cannot take",
        quick=False,
        goals=(
            Goal(
                name="CPU of the slowest case",
                side=Side.AT_MOST,
                limit=limit * 1000,
                measured=round(worst * 1000, 2),
                unit="ms",
            ),
        ),
        facts={f"ms: {name}": round(spent * 1000, 2) for name, spent in costs.items()},
    )


def run(*, quick: bool) -> Result:
    return explain_all(NODES, repetitions=5 if quick else 21)

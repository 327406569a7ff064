"""What runs cost that wait for quota: nothing, until one of their envelopes changes.

No GPU is free: an owner with quota for all of them holds them. Behind it wait the runs of fifty owners who have quota
for one GPU each and ask for eight; every other one might start without a payer, were there a GPU. A turn is a second
that passes, and one more run of the first owner, who waits for room; it is compared with a hundredth of that line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import count as numbers
from time import process_time
from types import MappingProxyType

from benchmarks.measure import median_ratio
from benchmarks.plugged import PLUGINS
from benchmarks.result import Goal, Result, Side
from benchmarks.sound import Unusable, demand_answers
from benchmarks.workload import BEGIN, FLAVOR, NAMESPACE, NODE_GPUS, nodes
from runs_budgets.sections import Envelope, Quota, Terms
from runs_core.cluster.trace.cluster import TraceCluster
from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.registry import of
from runs_core.serve.loop import Loop
from runs_core.serve.process import settle_memory
from runs_core.settings import Settings
from runs_core.values.budget import Budget, BudgetSpec, Namespaces
from runs_core.values.change import BudgetSeen, RunSeen
from runs_core.values.meta import Meta
from runs_core.values.run import Phase, Resources, Run, RunSpec
from runs_core.world.invariants import breaches

NAME = "out-of-quota"
NODES, OWNERS = 1_250, 50
SHORT, LONG = 500, 50_000
LIMIT = 1.3
RICH = "rich"
NOTHING: Mapping[type, object] = MappingProxyType({})


def _as_it_is(_: Loop) -> None:
    return None


def a_budget(owner: str, gpus: int, generation: int = 1) -> BudgetSeen:
    quota = Quota(envelopes=(Envelope(name="main", flavor=FLAVOR, gpus=gpus),))
    spec = BudgetSpec(owner=owner, namespaces=Namespaces(names=(NAMESPACE,)), sections=MappingProxyType({Quota: quota}))
    return BudgetSeen(Budget(meta=Meta(name=owner, created=BEGIN, generation=generation), spec=spec))


def a_run(name: str, owner: str, sections: Mapping[type, object] = NOTHING) -> RunSeen:
    meta = Meta(name=name, namespace=NAMESPACE, uid=name, created=BEGIN)
    resources = Resources(flavor=FLAVOR, gpus=NODE_GPUS, gpus_per_pod=NODE_GPUS)
    return RunSeen(Run(meta=meta, spec=RunSpec(owner=owner, resources=resources, sections=sections)))


class Line:
    """A full fleet, and so many runs behind it. prepare: breaks the loop."""

    def __init__(self, count: int, runs: int, owners: int, prepare: Callable[[Loop], None] = _as_it_is) -> None:
        self.cluster = TraceCluster(iter(()), Settings(), begin=BEGIN, told=lambda _: None)
        self.advice = PluginAdvice(of(**PLUGINS), Settings())
        self.loop = Loop(self.cluster, Settings(), self.advice)
        self.advice.attach(self.loop.world, self.loop.world)
        self.waiting = runs
        self._arriving = numbers()
        for _, change in nodes(count):
            self.cluster.inject(change)
        self.cluster.inject(a_budget(RICH, 2 * count * NODE_GPUS))
        for owner in range(owners):
            self.cluster.inject(a_budget(f"poor-{owner}", 1))
        for number in range(count):
            self.cluster.inject(a_run(f"holds-{number}", RICH))
        self.loop.settle()
        for number in range(runs):
            allowed: dict[type, object] = {Terms: Terms(allow_unfunded=number % 2 == 0)}
            self.cluster.inject(a_run(f"waits-{number}", f"poor-{number % owners}", MappingProxyType(allowed)))
        self.loop.settle()
        prepare(self.loop)

    def turns(self, count: int) -> float:
        """Seconds of CPU for one."""
        arriving = [a_run(f"arrives-{next(self._arriving)}", RICH) for _ in range(count)]
        began = process_time()
        for change in arriving:
            self.cluster.now += timedelta(seconds=1)
            self.cluster.inject(change)
            self.loop.settle()
        return (process_time() - began) / count

    def give(self, owner: int, gpus: int) -> None:
        """That owner has so much quota from now on."""
        self.cluster.inject(a_budget(f"poor-{owner}", gpus, generation=2))
        self.loop.settle()

    def covers(self) -> int:
        """Questions who pays, so far."""
        return sum(tally.asked for tally in self.advice.tallies if tally.hook == "runs_cover")

    def demand_full(self) -> None:
        """No GPU is free, no hook failed, and all that wait of those owners know that nobody pays for them."""
        world = self.loop.world
        demand_answers(self.advice)
        if free := world.free_gpus(FLAVOR):
            raise Unusable(f"{free} GPUs are free")
        told = [
            run
            for run in world.runs()
            if run.meta.name.startswith("waits-")
            and (run.status.phase, run.status.reason) == (Phase.QUEUED, "OutOfQuota")
        ]
        if len(told) != self.waiting:
            raise Unusable(f"{len(told)} of {self.waiting} runs wait for quota")
        if wrong := breaches(world, frozenset()):
            raise Unusable(f"{len(wrong)} things are wrong, the first: {wrong[0].what}")


def compare(  # noqa: PLR0917 - as the benchmark says it
    count: int,
    owners: int,
    short: int,
    long: int,
    repetitions: int,
    turns: int,
    prepare: Callable[[Loop], None] = _as_it_is,
) -> Result:
    below, above = (Line(count, runs, owners, prepare) for runs in (short, long))
    settle_memory()
    asked = [line.covers() for line in (below, above)]
    ratio, with_long, with_short = median_ratio(lambda: above.turns(turns), lambda: below.turns(turns), repetitions)
    more = [line.covers() - before for line, before in zip((below, above), asked, strict=True)]
    for line in (below, above):
        line.demand_full()
    before = above.covers()
    above.give(0, 4)
    return Result(
        name=NAME,
        title=f"{long:,} runs out of quota behind a full fleet of {count * NODE_GPUS:,} GPUs",
        quick=False,
        goals=(
            Goal(
                name=f"CPU of a turn, {long:,} out of quota / {short:,}",
                side=Side.AT_MOST,
                limit=LIMIT,
                measured=round(ratio, 3),
            ),
            Goal(
                name="questions who pays, beyond those with the short line",
                side=Side.AT_MOST,
                limit=0,
                measured=more[1] - more[0],
            ),
        ),
        facts={
            "µs of a turn, long line": round(with_long * 1e6, 1),
            "µs of a turn, short line": round(with_short * 1e6, 1),
            "questions who pays in a turn": round(more[1] / (repetitions * turns), 2),
            "questions who pays once one envelope changes": above.covers() - before,
        },
    )


def run(*, quick: bool) -> Result:
    return compare(NODES, OWNERS, SHORT, LONG, 3 if quick else 9, 100)

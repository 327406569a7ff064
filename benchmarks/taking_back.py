"""Taking GPUs back from many narrow runs for one wide gang that a Budget pays for, with the budgets plugin.

One-GPU runs that nobody pays for fill the fleet; half an hour later a gang as wide as the fleet arrives. Measured is
the turn of the loop that answers it: cover, candidates, the draw, the plan, the Resolution with its evidence, and the
first decision for each run that is cut, all committed, with the collector set as `serve` sets it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from statistics import median

import runs_budgets.plugin
from benchmarks.measure import cpu_of
from benchmarks.result import Goal, Result, Side
from benchmarks.sound import Unusable
from runs_budgets.sections import Envelope, Quota
from runs_core.cluster.trace.cluster import TraceCluster
from runs_core.cluster.trace.input import simulated_meta
from runs_core.decide.verify import verify
from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.registry import of
from runs_core.serve.loop import Loop
from runs_core.serve.process import settle_memory
from runs_core.settings import Settings
from runs_core.values.budget import Budget, BudgetSpec, Namespaces
from runs_core.values.change import BudgetSeen, NodeSeen, RunSeen
from runs_core.values.meta import Meta
from runs_core.values.node import Domain, Node
from runs_core.values.resolution import Resolution
from runs_core.values.run import Resources, Run, RunSpec
from runs_core.world.invariants import breaches

NAME = "taking-back"
GPUS = 4_000
LIMIT = 1.0
BEGIN = datetime(2026, 1, 5, 12, tzinfo=UTC)
FLAVOR = "h100"
OWNERS = 40
_NODE, _DOMAIN = 8, 64
Prepare = Callable[[Loop], None]


def _unprepared(_: Loop) -> None:
    return None


def a_full_fleet(gpus: int) -> tuple[Loop, TraceCluster]:
    """So many runs of one GPU each, of forty namespaces that nobody pays for, longer at work than their minRuntime."""
    settings = Settings()
    cluster = TraceCluster(iter(()), settings, begin=BEGIN, told=lambda _: None)
    advice = PluginAdvice(of(budgets=runs_budgets.plugin), settings)
    loop = Loop(cluster, settings, advice)
    advice.attach(loop.world, loop.world)
    for at in range(gpus // _NODE):
        domain = Domain(name=f"d{at // _DOMAIN:03}")
        cluster.inject(NodeSeen(Node(name=f"n{at:05}", flavor=FLAVOR, gpus=_NODE, pods=110, domain=domain)))
    envelope = Envelope(name="main", flavor=FLAVOR, gpus=gpus)
    spec = BudgetSpec(
        owner="org:heir", namespaces=Namespaces(names=("heir",)), sections={Quota: Quota(envelopes=(envelope,))}
    )
    cluster.inject(BudgetSeen(Budget(meta=Meta(name="heir"), spec=spec)))
    for at in range(gpus):
        cluster.inject(RunSeen(a_run(f"team-{at % OWNERS:02}", f"run-{at:05}", 1, 1)))
    loop.settle()
    while cluster.now < BEGIN + timedelta(minutes=31):
        cluster.advance(BEGIN + timedelta(minutes=31))
        loop.settle()
    return loop, cluster


def a_run(namespace: str, name: str, gpus: int, pod: int) -> Run:
    meta = simulated_meta(namespace, name, at=BEGIN, duration=timedelta(days=9))
    return Run(meta=meta, spec=RunSpec(resources=Resources(flavor=FLAVOR, gpus=gpus, gpus_per_pod=pod)))


@contextmanager
def as_served() -> Iterator[None]:
    """The collector is set as in the process that serves, and afterwards as it was."""
    threshold = gc.get_threshold()
    gc.collect()
    settle_memory()
    try:
        yield
    finally:
        gc.set_threshold(*threshold)
        gc.unfreeze()


def cost(gpus: int, prepare: Prepare = _unprepared) -> tuple[float, Resolution]:
    """Seconds of CPU. Unusable: it did not take back all of it, or what it kept does not follow from itself."""
    loop, cluster = a_full_fleet(gpus)
    if loop.world.free_gpus(FLAVOR):
        raise Unusable(f"{loop.world.free_gpus(FLAVOR)} GPUs are free: nothing would have to be taken back")
    prepare(loop)
    cluster.inject(RunSeen(a_run("heir", "gang", gpus, _NODE)))
    with as_served():
        spent = cpu_of(loop.cycle)
    found = loop.world.resolutions()
    if len(found) != 1 or len(found[0].spec.cuts) != gpus:
        raise Unusable(f"want one resolution that cuts {gpus} runs, got {[len(one.spec.cuts) for one in found]}")
    if wrong := verify(found[0], found[0].spec.evidence.data, None):
        raise Unusable(f"what was kept does not verify: {wrong[0]}")
    cluster.advance(cluster.now + timedelta(minutes=2))
    loop.settle()
    gang = loop.world.leases_of(a_run("heir", "gang", gpus, _NODE).key)
    if sum(lease.gpus for lease in gang) != gpus:
        raise Unusable("the gang did not start on what was taken back")
    if wrong := [breach.what for breach in breaches(loop.world, frozenset())]:
        raise Unusable(f"an invariant is broken: {wrong[0]}")
    return spent, found[0]


def take_back(gpus: int, *, repetitions: int, limit: float = LIMIT, prepare: Prepare = _unprepared) -> Result:
    measured = [cost(gpus, prepare) for _ in range(repetitions)]
    return Result(
        name=NAME,
        title=f"Taking {gpus:,} GPUs back for one gang among {gpus:,} one-GPU runs that nobody pays for",
        quick=False,
        goals=(
            Goal(
                name="CPU of the turn that decides it",
                side=Side.AT_MOST,
                limit=limit,
                measured=round(median(spent for spent, _ in measured), 3),
                unit="s",
            ),
        ),
        facts={"evidence, bytes": len(measured[0][1].spec.evidence.data), "runs cut": len(measured[0][1].spec.cuts)},
    )


def run(*, quick: bool) -> Result:
    return take_back(GPUS, repetitions=1 if quick else 3)

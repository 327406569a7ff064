"""A fleet and a trace of runs for it, and the real loop that plays them: nothing here knows how decisions are made."""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import process_time
from types import MappingProxyType

import attrs

from runs_core.cluster.trace.cluster import TraceCluster
from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.registry import of
from runs_core.serve.loop import Loop
from runs_core.settings import Settings
from runs_core.values.budget import Budget, BudgetSpec, Namespaces
from runs_core.values.change import BudgetSeen, Change, NodeSeen, RunSeen
from runs_core.values.meta import SIMULATED, Meta
from runs_core.values.node import Domain, Node
from runs_core.values.record import Record
from runs_core.values.run import Resources, Run, RunSpec, Runtime, Topology
from runs_core.values.template import PodTemplate, Requests

FLAVOR = "H100"
NAMESPACE = "research"
NOTHING: Mapping[type, object] = MappingProxyType({})
NODE_GPUS = 8
DOMAIN_NODES = 32
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SIZES = (1, 1, 1, 2, 4, 8, 8, 16, 32, 64)
GIB = 1 << 30

At = tuple[datetime, Change]
Work = tuple[tuple[str, int], ...]
"""Of each decision of a turn: its kind and the GPUs that the run then holds."""


@attrs.frozen(kw_only=True)
class Shape:
    """What one run asks for."""

    gpus: int
    group_gpus: int | None = None
    selector: tuple[tuple[str, str], ...] = ()
    cpu_milli: int = 0

    @property
    def gpus_per_pod(self) -> int:
        return min(NODE_GPUS, self.gpus)


PLAIN = tuple(Shape(gpus=gpus) for gpus in SIZES)
REGIONS = ("east", "west")
MANY = tuple(
    Shape(gpus=gpus, group_gpus=group, selector=selector, cpu_milli=cpu)
    for gpus in (1, 2, 4, 8, 16, 32, 64)
    for group in ((None, 16) if gpus > 16 else (None,))
    for selector in ((), (("region", "east"),), (("region", "west"),))
    for cpu in (0, 2000)
)
"""Several dozen needs: sizes, with and without groups, anywhere or in one region, with and without CPU requests."""


def nodes(count: int) -> list[At]:
    """Domains of 32, the first half of them in the east."""
    return [(BEGIN, NodeSeen(_node(number, REGIONS[2 * number >= count]))) for number in range(count)]


def _node(number: int, region: str) -> Node:
    return Node(
        name=f"node-{number:06d}",
        flavor=FLAVOR,
        gpus=NODE_GPUS,
        cpu_milli=192_000,
        memory_bytes=2048 * GIB,
        ephemeral_bytes=4096 * GIB,
        pods=110,
        domain=Domain(region, "one", f"d{number // DOMAIN_NODES:05d}"),
        labels=(("region", region),),
    )


@attrs.frozen(kw_only=True)
class Owner:
    """Who spends. sections: of the Budget, and of a run that may borrow, by class; so many of its runs are such.

    Core reads of the Budget only who spends it, so that the same runs can be played with plugins and without.
    """

    name: str
    budget: Mapping[type, object]
    borrower: Mapping[type, object]
    borrows: float = 0.1

    def founded(self) -> At:
        spec = BudgetSpec(owner=self.name, namespaces=Namespaces(names=(NAMESPACE,)), sections=self.budget)
        return BEGIN, BudgetSeen(Budget(meta=Meta(name=self.name, created=BEGIN), spec=spec))


@attrs.frozen(kw_only=True)
class Demand:
    """burst: how many times the fleet's GPUs are asked for at once, at the start; load: how many times from then on.

    waiting: runs that come with the burst, beyond it. mean: of the exponential durations. owners: whose runs they are,
    each as often as any other; none: nobody's. says: how many times as long as they take runs say they take, at most;
    0: they say nothing.
    """

    gpus: int
    shapes: Sequence[Shape] = PLAIN
    burst: float = 1.05
    load: float = 0.85
    waiting: int = 0
    mean: timedelta = timedelta(hours=1)
    seed: int = 1
    owners: Sequence[Owner] = ()
    says: float = 0.0


def runs(demand: Demand) -> Iterator[At]:
    """The burst, then Poisson arrivals without end."""
    if not demand.says:
        yield from _silent_runs(demand)
        return
    draw = random.Random(demand.seed + 1)
    for at, seen in _silent_runs(demand):
        yield at, RunSeen(saying(seen.run, draw.uniform(1, demand.says)))


def saying(run: Run, times: float) -> Run:
    """It says that it takes so many times as long as it does."""
    [(_, lasts)] = run.meta.annotations
    said = timedelta(seconds=round(times * int(lasts.removesuffix("s"))))
    return attrs.evolve(run, spec=attrs.evolve(run.spec, runtime=Runtime(expected_duration=said)))


def _silent_runs(demand: Demand) -> Iterator[tuple[datetime, RunSeen]]:
    draw = random.Random(demand.seed)
    mean_gpus = sum(shape.gpus for shape in demand.shapes) / len(demand.shapes)
    number = held = 0
    while held < demand.burst * demand.gpus:
        shape = draw.choice(demand.shapes)
        held += shape.gpus
        number += 1
        yield BEGIN, RunSeen(owned(run_of(number, shape, duration(draw, demand.mean), BEGIN), draw, demand.owners))
    for _ in range(demand.waiting):
        number += 1
        run = run_of(number, draw.choice(demand.shapes), duration(draw, demand.mean), BEGIN)
        yield BEGIN, RunSeen(owned(run, draw, demand.owners))
    rate = demand.load * demand.gpus / (mean_gpus * demand.mean.total_seconds())
    seconds = 0.0
    while True:
        seconds += draw.expovariate(rate)
        number += 1
        at = BEGIN + timedelta(seconds=round(seconds, 3))
        run = run_of(number, draw.choice(demand.shapes), duration(draw, demand.mean), at)
        yield at, RunSeen(owned(run, draw, demand.owners))


def duration(draw: random.Random, mean: timedelta) -> int:
    return int(draw.expovariate(1 / mean.total_seconds())) + 1


def owned(run: Run, draw: random.Random, owners: Sequence[Owner]) -> Run:
    if not owners:
        return run
    owner = draw.choice(owners)
    sections = owner.borrower if draw.random() < owner.borrows else NOTHING
    return attrs.evolve(run, spec=attrs.evolve(run.spec, owner=owner.name, sections=sections))


def run_of(number: int, shape: Shape, seconds: int, at: datetime) -> Run:
    template = PodTemplate(requests=Requests(cpu_milli=shape.cpu_milli)) if shape.cpu_milli else None
    return Run(
        meta=Meta(
            name=f"run-{number}",
            namespace=NAMESPACE,
            uid=f"{number:08d}",
            created=at,
            annotations=((SIMULATED + "duration", f"{seconds}s"),),
        ),
        spec=RunSpec(
            resources=Resources(flavor=FLAVOR, gpus=shape.gpus, gpus_per_pod=shape.gpus_per_pod),
            topology=Topology(group_gpus=shape.group_gpus, selector=shape.selector),
            template=template,
        ),
    )


def _stands_still() -> float:
    return 0.0


class Player:
    """The real loop on the trace simulator's cluster, stopped and measured between any two moments.

    kinds: decisions so far, by outcome. arrived: runs seen so far. cpu: seconds of CPU in the loop, which observes,
    decides, commits and records. simulating: in the cluster's virtual time and its pods; making the trace is neither.
    cycles: by what turns decided, the CPU of each: only numbers, so that the collector has nothing of them to look at.
    plugins: by name; none: the bare core. trace: arrivals without end; None: those of the demand. timed: cpu,
    simulating and cycles are kept, which costs a tenth of what a turn does.
    """

    def __init__(
        self,
        count: int,
        demand: Demand,
        prepare: Callable[[Loop], None] = lambda _: None,
        *,
        plugins: Mapping[str, object] | None = None,
        settings: Settings | None = None,
        trace: Iterator[At] | None = None,
        timed: bool = True,
    ) -> None:
        settings = settings or Settings()
        self._trace = runs(demand) if trace is None else trace
        self._timed = timed
        self._clock: Callable[[], float] = process_time if timed else _stands_still
        self._ahead = deque([*nodes(count), *(owner.founded() for owner in demand.owners)])
        self.gpus = count * NODE_GPUS
        self.kinds: Counter[str] = Counter()
        self.arrived = 0
        self.cpu = self.simulating = 0.0
        self.cycles: defaultdict[Work, list[float]] = defaultdict(list)
        self._told: list[Record] = []
        self.used_seconds = self.waiting_seconds = self.seconds = 0.0
        self.most_waiting = 0
        self.cluster = TraceCluster(self._feed(), settings, begin=BEGIN, told=self._told.extend)
        advice = PluginAdvice(of(**plugins), settings) if plugins else None
        self.loop = Loop(self.cluster, settings, advice)
        if advice is not None:
            advice.attach(self.loop.world, self.loop.world)
        prepare(self.loop)

    def fetch(self, count: int) -> None:
        """Make that many arrivals ahead, so that measuring does not measure them, nor the collector meets them."""
        self._ahead.extend(next(self._trace) for _ in range(count))

    def _feed(self) -> Iterator[At]:
        while True:
            if not self._ahead:
                self.fetch(1)
            found = self._ahead.popleft()
            self.arrived += isinstance(found[1], RunSeen)
            yield found

    def _count(self) -> Work:
        """What was decided since the last time; done while no CPU is measured."""
        work = tuple((type(record.outcome).__name__, record.width) for record in self._told)
        self.kinds.update(kind for kind, _ in work)
        self._told.clear()
        return work

    @property
    def decisions(self) -> int:
        return sum(self.kinds.values())

    @property
    def utilisation(self) -> float:
        """Held GPUs over all, averaged over the virtual time since the last `reset`."""
        return self.used_seconds / (self.seconds * self.gpus) if self.seconds else 0.0

    @property
    def waiting(self) -> float:
        """The part of the virtual time since the last `reset` in which some run waited."""
        return self.waiting_seconds / self.seconds if self.seconds else 0.0

    def reset(self) -> None:
        """Measure from here on."""
        self.cpu = self.simulating = self.used_seconds = self.waiting_seconds = self.seconds = 0.0
        self.most_waiting = 0
        self.kinds.clear()
        self.cycles.clear()

    def play(self, arrivals: int) -> None:
        """Until that many more runs have arrived and everything due has been decided."""
        self.fetch(max(0, arrivals + 1 - len(self._ahead)))
        until = self.arrived + arrivals
        world, cluster, loop, clock = self.loop.world, self.cluster, self.loop, self._clock
        while self.arrived < until:
            before = cluster.now
            used, waited = self.gpus - world.free_gpus(FLAVOR), len(world.line)
            began = clock()
            cluster.advance(loop.next_moment())
            advanced = clock()
            made = loop.settle()
            spent = clock() - advanced
            self.cpu += spent
            self.simulating += advanced - began
            if made:
                work = self._count()
                if self._timed:
                    self.cycles[work].append(spent)
            passed = (cluster.now - before).total_seconds()
            self.seconds += passed
            self.used_seconds += passed * used
            self.waiting_seconds += passed if waited else 0.0
            self.most_waiting = max(self.most_waiting, len(world.line))

    def settle(self) -> None:
        """Take up what is there at the beginning: the fleet and the burst."""
        self.loop.settle()
        self._count()

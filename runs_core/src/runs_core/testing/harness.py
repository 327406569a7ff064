"""The real loop on a stage in memory, with a virtual clock, checked after every cycle.

    stage = Harness(a_node("n1", gpus=8), a_run("first", gpus=8), a_run("second", gpus=4))
    stage.settle()
    assert stage.phase("first") is Phase.RUNNING or stage.phase("first") is Phase.STARTING
    assert stage.run("second").status.reason == "NotEnoughGPUs"
    stage.lose("n1")                      # the node object is deleted; lose("n1", taint=True): out of service
    stage.advance(minutes=5)              # stops at everything that happens on the way
    assert stage.phase("first") is Phase.QUEUED
    stage.restore("n1")
    stage.advance_until_quiet()

What happens from outside (`submit`, `edit`, `lose`, `evict`, …) is only put before the loop; `settle`, `advance` and
`advance_until_quiet` let it be seen, several changes at once if there are several. Pods end by themselves only where
the run says so, by the annotation `runs.dev/simulated-duration` as on the embedded cluster: see `lasting`.

After every cycle, a refused one too, the invariants are checked (`AssertionError` names each breach), that a cycle
which saw no node change rebuilt no index, and, with `oracles=True`, that every index equals its recomputation.
`counted` tells how much went on, so that a test can refuse an idle history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import NAMESPACE_OID, uuid5

import attrs

from runs_core.cluster.trace.cluster import NONCES, TraceCluster
from runs_core.decide.advice import Advice
from runs_core.decide.pods import DEFAULT_GRACE
from runs_core.decide.verify import verify
from runs_core.errors import Conflict, NotFound
from runs_core.hooks.ask import PluginAdvice
from runs_core.serve.loop import Loop
from runs_core.settings import Settings
from runs_core.testing.builders import A_MONDAY, NAMESPACE
from runs_core.testing.plugins import advice_of
from runs_core.values import change as c
from runs_core.values.budget import Budget, Namespace
from runs_core.values.decision import Starts, Waits
from runs_core.values.effect import CloseLease, Effect, OpenLease, PutReservation, PutResolution, SetReservationStatus
from runs_core.values.meta import SIMULATED, Key, pairs
from runs_core.values.node import OUT_OF_SERVICE, MalformedNode, Node, Taint
from runs_core.values.pod import Pod
from runs_core.values.quantity import format_duration
from runs_core.values.record import Record
from runs_core.values.reservation import Reservation
from runs_core.values.run import Phase, Run, RunStatus
from runs_core.world.invariants import Witness, breaches
from runs_core.world.oracle import differences
from runs_core.world.world import World

Name = Key | str
"""A run: its key, `namespace/name`, or its name alone in the builders' namespace."""
Thing = Node | MalformedNode | Run | Pod | Budget | Namespace
MOST_STOPS = 100_000


def lasting(run: Run, duration: timedelta, **more: str) -> Run:
    """The run, with pods that end by themselves. more: other `runs.dev/simulated-…` annotations, as `exit_code="1"`."""
    said = {f"{SIMULATED}{name.replace('_', '-')}": text for name, text in more.items()}
    said[f"{SIMULATED}duration"] = format_duration(duration)
    return attrs.evolve(run, meta=attrs.evolve(run.meta, annotations=pairs({**dict(run.meta.annotations), **said})))


@attrs.define(kw_only=True)
class Counted:
    """What went on, over the life of a Harness. utilisation: the highest part of the present GPUs that was leased."""

    cycles: int = 0
    starts: int = 0
    waits: int = 0
    losses: int = 0
    conflicts: int = 0
    utilisation: float = 0.0

    def add(self, other: Counted) -> None:
        """Sum over several histories; of utilisation, the highest."""
        self.cycles += other.cycles
        self.starts += other.starts
        self.waits += other.waits
        self.losses += other.losses
        self.conflicts += other.conflicts
        self.utilisation = max(self.utilisation, other.utilisation)


class Stage(TraceCluster):
    """A cluster in memory that remembers what the last commit wrote, and can be told to refuse one."""

    def __init__(self, settings: Settings, begin: datetime) -> None:
        super().__init__(iter(()), settings, begin=begin, told=lambda _: None)
        self.refuses: Callable[[], bool] = lambda: False
        self.refused = 0
        self.written: Sequence[Effect] = ()
        self.saw: Sequence[c.Change] = ()

    def observe(self) -> tuple[datetime, Sequence[c.Change]]:
        self.written = ()
        now, self.saw = super().observe()
        return now, self.saw

    def commit(self, effects: Sequence[Effect], records: Sequence[Record]) -> None:
        if self.refuses():
            self.refused += 1
            raise Conflict("the test refuses this commit")
        super().commit(effects, records)
        self.written = tuple(effects)


class CheckedLoop(Loop):
    """The loop, and after each of its cycles the check."""

    check: Callable[[], None] = staticmethod(lambda: None)

    def cycle(self) -> int:
        try:
            return super().cycle()
        finally:
            self.check()


class Harness:
    """things: what the cluster holds at the beginning. oracles: compare every index after every cycle, slowly.

    plugins: by name, in place of an advice; each loop attaches their indexes anew, as a process does.
    """

    def __init__(
        self,
        *things: Thing,
        settings: Settings | None = None,
        advice: Advice | None = None,
        plugins: Mapping[str, object] | None = None,
        oracles: bool = False,
        begin: datetime = A_MONDAY,
    ) -> None:
        self._settings = settings or Settings()
        self._advice = advice
        self._plugins = plugins
        self.stage = Stage(self._settings, begin)
        self.records: list[Record] = []
        self.loop = self._loop()
        self.witness = Witness()
        self.reservations: dict[Key, Reservation] = {}
        self.counted = Counted()
        self.oracles = oracles
        self._rebuilds = 0
        self._nodes: dict[str, Node] = {}
        self._submitted: dict[Key, int] = {}
        self._unseen: dict[Key, Run] = {}
        for thing in things:
            self.add(thing)

    def _loop(self) -> CheckedLoop:
        advice = advice_of(self._plugins, self._settings) if self._plugins is not None else self._advice
        loop = CheckedLoop(self.stage, self._settings, advice, told=self._told)
        loop.check = self.check
        if self._plugins is not None and isinstance(advice, PluginAdvice):
            advice.attach(loop.world, loop.world)
        return loop

    # -- reading ----------------------------------------------------------------------------------------------------

    @property
    def world(self) -> World:
        return self.loop.world

    @property
    def now(self) -> datetime:
        return self.stage.now

    def run(self, name: Name) -> Run:
        """The run as it now stands. NotFound: there is none."""
        found = self.world.run(_key(name))
        if found is None:
            raise NotFound(f"run {_key(name)} is not there")
        return found

    def phase(self, name: Name) -> Phase:
        return self.run(name).status.phase

    def pods(self, name: Name) -> Sequence[Pod]:
        """The run's pods of every try, by name."""
        return self.world.pods_of(_key(name))

    def placed(self, name: Name) -> dict[str, int]:
        """GPUs that the run's open leases hold, by node."""
        found: dict[str, int] = {}
        for lease in self.world.leases_of(_key(name)):
            for slots in lease.spec.slots:
                found[slots.node] = found.get(slots.node, 0) + len(slots.ordinals)
        return found

    def records_of(self, name: Name) -> list[Record]:
        """What was decided for it, in order."""
        return [record for record in self.records if record.run == _key(name)]

    # -- what happens from outside ------------------------------------------------------------------------------------

    def add(self, thing: Thing) -> None:
        """The object is there from now on, or is now so."""
        match thing:
            case Run():
                self.submit(thing)
            case Node():
                self.node(thing)
            case MalformedNode():
                self.stage.inject(c.NodeSeen(thing))
            case Pod():
                self.stage.inject(c.PodSeen(thing))
            case Budget():
                self.stage.inject(c.BudgetSeen(thing))
            case Namespace():
                self.stage.inject(c.NamespaceSeen(thing))

    def submit(self, run: Run) -> None:
        """Created now, with a status and, from the second time on, a uid of its own, as an API server does it."""
        times = self._submitted[run.key] = self._submitted.get(run.key, 0) + 1
        uid = run.uid if run.uid and times == 1 else str(uuid5(NAMESPACE_OID, f"{run.key}#{times}"))
        meta = attrs.evolve(run.meta, uid=uid, created=self.now, deleting=None)
        self._show(attrs.evolve(run, meta=meta, status=RunStatus()))

    def edit(self, name: Name, change: Callable[[Run], Run]) -> None:
        """Somebody writes the run's spec or metadata. Nothing happens where the run is gone by now."""
        known = self._unseen.get(_key(name)) or self.world.run(_key(name))
        if known is not None:
            changed = change(known)
            self._show(attrs.evolve(changed, meta=attrs.evolve(changed.meta, generation=known.meta.generation + 1)))

    def suspend(self, name: Name) -> None:
        self.edit(name, lambda run: attrs.evolve(run, spec=attrs.evolve(run.spec, suspend=True)))

    def resume(self, name: Name) -> None:
        self.edit(name, lambda run: attrs.evolve(run, spec=attrs.evolve(run.spec, suspend=False)))

    def cancel(self, name: Name) -> None:
        self.edit(name, lambda run: attrs.evolve(run, spec=attrs.evolve(run.spec, canceled=True)))

    def delete(self, name: Name) -> None:
        """Asked to go; it goes once the scheduler let it."""
        since = self.now
        self.edit(name, lambda run: attrs.evolve(run, meta=attrs.evolve(run.meta, deleting=run.meta.deleting or since)))

    def vanish(self, name: Name) -> None:
        """The object is taken away by force, and the scheduler is not asked."""
        self._unseen.pop(_key(name), None)
        self.stage.inject(c.RunGone(_key(name)))

    def node(self, node: Node) -> None:
        """The node is there, or is now so."""
        self._nodes[node.name] = node
        self.stage.inject(c.NodeSeen(node))

    def lose(self, name: str, *, taint: bool = False) -> None:
        """The node object is deleted, or tainted out of service."""
        self.counted.losses += 1
        if taint:
            node = self._nodes[name]
            self.stage.inject(c.NodeSeen(attrs.evolve(node, taints=(*node.taints, Taint(key=OUT_OF_SERVICE)))))
        else:
            self.stage.inject(c.NodeGone(name))

    def restore(self, name: str) -> None:
        """The node is again as it was declared last."""
        self.stage.inject(c.NodeSeen(self._nodes[name]))

    def cordon(self, name: str) -> None:
        self.node(attrs.evolve(self._nodes[name], cordoned=True))

    def uncordon(self, name: str) -> None:
        self.node(attrs.evolve(self._nodes[name], cordoned=False))

    def set_aside(self, name: str, why: str = "capacity of nvidia.com/gpu: got 'eight'") -> None:
        """The node's labels or capacity became malformed."""
        self.stage.inject(c.NodeSeen(MalformedNode(name=name, why=why)))

    def evict(self, pod: Pod | Key, *, at_once: bool = False) -> None:
        """Somebody else ends the pod: with the grace that it has itself, or without any, so that it is gone at once."""
        key = pod.key if isinstance(pod, Pod) else pod
        known = self.world.gangs.pods.get(key)
        if at_once:
            self.stage.inject(c.PodGone(key))
        elif known is not None and known.deleting is None:
            self.stage.inject(c.PodSeen(attrs.evolve(known, deleting=self.now, grace=known.own_grace or DEFAULT_GRACE)))

    def refuse(self, times: int) -> None:
        """The next commits meet a Conflict."""
        left = [times]

        def refuses() -> bool:
            left[0] -= 1
            return left[0] >= 0

        self.stage.refuses = refuses

    def restart(self, facts: Callable[[Sequence[c.Change]], Sequence[c.Change]] = tuple) -> None:
        """Another process goes on: a new loop, which knows only what the cluster holds.

        facts: the order in which it gets to know them; the first tells the time and the last the ledger's head.
        """
        *known, head = self.world.everything()
        known += (c.LeaseSeen(lease) for _, lease in sorted(self.witness.closed.items()))
        self.loop = self._loop()
        self._rebuilds = 0
        for change in facts((*known, head)):
            self.world.apply(change)

    # -- time -------------------------------------------------------------------------------------------------------

    def settle(self) -> int:
        """Cycles until nothing is left to do now; how many decisions that took."""
        return self.loop.settle()

    def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Time passes, with a stop at everything that happens on the way."""
        until = self.now + timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
        self.settle()
        while self.now < until:
            moment = self.loop.next_moment()
            self.stage.advance(until if moment is None or moment <= self.now else min(moment, until))
            self.settle()

    def advance_until_quiet(self, most: timedelta = timedelta(days=365)) -> None:
        """Until nothing happens by itself but that finished runs are forgotten, or so much time has passed."""
        end = self.now + most
        self.settle()
        for _ in range(MOST_STOPS):
            moments = [when for when in (self.stage.kubelet.next_moment(), self._next_to_do()) if when is not None]
            if not moments or min(moments) > end:
                return
            self.stage.advance(min(moments))
            self.settle()
        raise AssertionError(f"not quiet after {MOST_STOPS} stops, at {self.now}")

    def _next_to_do(self) -> datetime | None:
        """The first moment at which time touches an unfinished run; retention aside."""
        world = self.world
        for when, key in world.deadlines():
            run = world.run(key)
            if run is not None and not run.status.phase.terminal:
                return when
        return None

    # -- checking ---------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """All that must hold after a cycle."""
        opened = self._witness()
        found = [f"invariant {number}: {what}" for number, what in breaches(self.world, opened)]
        found += [f"invariant {number}: {what}" for number, what in self.witness.breaches(self.world)]
        found += self._unverified()
        found += self._rebuilt()
        found += differences(self.world) if self.oracles else []
        if found:
            raise AssertionError(f"at {self.now}: " + "; ".join(found))
        self._count()

    def _witness(self) -> set[Key]:
        opened: set[Key] = set()
        for effect in self.stage.written:
            if isinstance(effect, OpenLease | CloseLease):
                self.witness.see(effect.lease)
            if isinstance(effect, OpenLease):
                opened.add(effect.lease.key)
            if isinstance(effect, PutReservation | SetReservationStatus):
                self.reservations[effect.reservation.key] = effect.reservation
        return opened

    def _unverified(self) -> list[str]:
        """What of the resolutions just kept does not follow from themselves."""
        kept = [effect.resolution for effect in self.stage.written if isinstance(effect, PutResolution)]
        return [
            f"invariant 7: {one.name}: {what}"
            for one in kept
            for what in verify(one, one.spec.evidence.data, NONCES.commitment(one.spec.number))
        ]

    def _rebuilt(self) -> list[str]:
        rebuilds = self.world.fleet.rebuilds - self._rebuilds
        self._rebuilds += rebuilds
        saw_node = any(isinstance(change, c.NodeSeen | c.NodeGone) for change in self.stage.saw)
        return [f"{rebuilds} rebuilds in a cycle that saw no node"] if rebuilds and not saw_node else []

    def _count(self) -> None:
        self._unseen.clear()
        self.counted.cycles += 1
        self.counted.conflicts = self.stage.refused
        held = sum(lease.gpus for lease in self.world.ledger.open.values())
        present = sum(node.gpus for node in self.world.nodes())
        if present:
            self.counted.utilisation = max(self.counted.utilisation, min(1.0, held / present))

    def _told(self, record: Record) -> None:
        self.records.append(record)
        self.counted.starts += isinstance(record.outcome, Starts)
        self.counted.waits += isinstance(record.outcome, Waits)

    def _show(self, run: Run) -> None:
        self._unseen[run.key] = run
        self.stage.inject(c.RunSeen(run))


def _key(name: Name) -> Key:
    if isinstance(name, Key):
        return name
    namespace, _, short = name.rpartition("/")
    return Key(namespace or NAMESPACE, short)

"""Small values with good defaults, for tests: the same call builds the same value, uids and times included."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import attrs

from runs_core.settings import Settings
from runs_core.values.budget import Budget, BudgetSpec, Namespaces
from runs_core.values.change import BudgetSeen, Change, LeaseSeen, NodeSeen, PodSeen, RunSeen, TimePassed
from runs_core.values.decision import Outcome, Waits
from runs_core.values.lease import Lease, LeaseSpec, NodeSlots, Opened, RunRef, lease_name
from runs_core.values.meta import SIMULATED, Meta, pairs
from runs_core.values.need import Need
from runs_core.values.node import Domain, MalformedNode, Node, Taint
from runs_core.values.pod import Pod, PodPhase, RankOf, pod_name
from runs_core.values.quantity import format_duration
from runs_core.values.record import Record
from runs_core.values.run import Phase, Resources, Run, RunSpec, RunStatus, Spread, Topology
from runs_core.world.needs import need_of
from runs_core.world.world import World

A_MONDAY = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
"""Noon, when the tests' world begins."""
NAMESPACE = "research"
FLAVOR = "h100"


def a_node(
    name: str,
    *,
    gpus: int = 8,
    domain: Domain | str = "d1",
    flavor: str = FLAVOR,
    labels: Mapping[str, str] | None = None,
    taints: tuple[Taint, ...] = (),
    ready: bool = True,
    cordoned: bool = False,
) -> Node:
    """A ready node with ample CPU, memory, storage and pods. domain: a name, or all three parts."""
    return Node(
        name=name,
        uid=f"uid-of-{name}",
        flavor=flavor,
        domain=Domain(name=domain) if isinstance(domain, str) else domain,
        gpus=gpus,
        cpu_milli=128_000,
        memory_bytes=2**40,
        ephemeral_bytes=2**40,
        pods=110,
        ready=ready,
        cordoned=cordoned,
        taints=taints,
        labels=pairs(labels or {}),
    )


def a_run(
    name: str,
    *,
    gpus: int = 8,
    gpus_per_pod: int = 1,
    group_gpus: int | None = None,
    spread: Spread = Spread.ALLOWED,
    flavor: str | None = FLAVOR,
    namespace: str = NAMESPACE,
    owner: str | None = None,
    after: tuple[str, ...] = (),
    labels: Mapping[str, str] | None = None,
    sections: tuple[object, ...] = (),
    phase: Phase = Phase.QUEUED,
    waits: timedelta = timedelta(),
) -> Run:
    """A run as if just submitted, or in `phase`. sections: values of plugins' classes. waits: time in line so far."""
    since = A_MONDAY - waits
    return Run(
        meta=Meta(
            name=name,
            namespace=namespace,
            uid=f"uid-of-{namespace}-{name}",
            created=since,
            labels=pairs(labels or {}),
        ),
        spec=RunSpec(
            owner=owner,
            resources=Resources(flavor=flavor, gpus=gpus, gpus_per_pod=gpus_per_pod),
            topology=Topology(group_gpus=group_gpus, spread=spread),
            after=after,
            sections=MappingProxyType({type(section): section for section in sections}),
        ),
        status=RunStatus(
            phase=phase,
            observed_generation=0 if phase is Phase.QUEUED else 1,
            admitted_at=since,
            queued_since=since,
            width=gpus if phase in (Phase.STARTING, Phase.RUNNING) else 0,
        ),
    )


def a_need(run: Run) -> Need:
    """What that run asks of the fleet."""
    return need_of(run.spec, Settings().fleet)


def a_lease(
    run: Run,
    slots: Mapping[str, tuple[int, ...]],
    *,
    group: int = 0,
    part: int = 0,
    attempt: int = 1,
    owner: str | None = None,
    start: datetime = A_MONDAY,
) -> Lease:
    """An open lease of that run. slots: places by node."""
    places = tuple(NodeSlots(node=node, ordinals=tuple(sorted(slots[node]))) for node in sorted(slots))
    ranks = sum(len(place.ordinals) for place in places) // run.spec.resources.gpus_per_pod
    spec = LeaseSpec(
        run_ref=RunRef(name=run.meta.name, uid=run.uid),
        owner=owner,
        group=group,
        part=part,
        slots=places,
        ranks=tuple(range(ranks)),
        attempt=attempt,
        start=start,
        reason=Opened.START,
    )
    name = lease_name(spec)
    return Lease(meta=Meta(name=name, namespace=run.key.namespace, uid=f"uid-of-{name}", created=start), spec=spec)


def a_pod(
    run: Run,
    rank: int = 0,
    *,
    node: str,
    phase: PodPhase = PodPhase.RUNNING,
    attempt: int = 1,
    group: int = 0,
) -> Pod:
    """One rank of that run."""
    name = pod_name(run.meta.name, attempt=attempt, retry=0, rank=rank)
    return Pod(
        namespace=run.key.namespace,
        name=name,
        uid=f"uid-of-{name}",
        node=node,
        rank=RankOf(run=run.key, uid=run.uid, attempt=attempt, retry=0, rank=rank, group=group),
        gpus=run.spec.resources.gpus_per_pod,
        phase=phase,
    )


def a_budget(
    name: str,
    *,
    owner: str | None = None,
    namespaces: tuple[str, ...] = (NAMESPACE,),
    sections: tuple[object, ...] = (),
) -> Budget:
    """A budget that these namespaces spend from. owner: its own name where none is given."""
    return Budget(
        meta=Meta(name=name, uid=f"uid-of-{name}", created=A_MONDAY),
        spec=BudgetSpec(
            owner=owner or name,
            namespaces=Namespaces(names=namespaces),
            sections=MappingProxyType({type(section): section for section in sections}),
        ),
    )


def a_record(run: Run, outcome: Outcome | None = None, *, phase: Phase | None = None) -> Record:
    """What is kept of a decision about that run; of one that it waits, where none is given."""
    return Record(
        at=A_MONDAY,
        run=run.key,
        uid=run.uid,
        outcome=outcome or Waits(reasons=(), match=()),
        phase=phase or run.status.phase,
        width=run.status.width,
    )


def lasting(run: Run, duration: timedelta, **more: str) -> Run:
    """The run, with pods that end by themselves. more: other `runs.dev/simulated-…` annotations, as `exit_code="1"`."""
    said = {f"{SIMULATED}{name.replace('_', '-')}": text for name, text in more.items()}
    said[f"{SIMULATED}duration"] = format_duration(duration)
    return attrs.evolve(run, meta=attrs.evolve(run.meta, annotations=pairs({**dict(run.meta.annotations), **said})))


Thing = Node | MalformedNode | Run | Lease | Pod | Budget


def seen(thing: Thing) -> Change:
    """The change by which the world learns of it."""
    match thing:
        case Node() | MalformedNode():
            return NodeSeen(thing)
        case Run():
            return RunSeen(thing)
        case Lease():
            return LeaseSeen(thing)
        case Pod():
            return PodSeen(thing)
        case Budget():
            return BudgetSeen(thing)


def a_world(*things: Thing, now: datetime = A_MONDAY, settings: Settings | None = None) -> World:
    """A world that has seen these things, at noon of a Monday."""
    world = World(settings)
    world.apply(TimePassed(now))
    for thing in things:
        world.apply(seen(thing))
    return world

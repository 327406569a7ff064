"""What the facts say of everything that the world has an index of: slow, obvious, and never used in a decision."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from runs_core.values.funding import Pledge
from runs_core.values.lease import Lease, Role
from runs_core.values.meta import Key
from runs_core.values.node import Domain, Node
from runs_core.values.placement import PlacedPod
from runs_core.values.pod import Pod, PodPhase
from runs_core.values.reservation import ReservationPhase
from runs_core.values.run import Run
from runs_core.world.needs import min_runtime_of
from runs_core.world.slack import Slack
from runs_core.world.world import World

Said = Mapping[str, object]
"""Statements by name: `flavor h100 free` → 12."""
Load = tuple[int, int, int, int, int, int, int, int, int]
"""Masks of active, spare and pledged places, CPU, memory, storage, number of pods, foreign GPUs, kept places."""


def recomputed(world: World) -> Said:
    """What the facts say."""
    leases = [world.ledger.open[key] for key in sorted(world.ledger.open)]
    pods = [world.gangs.pods[key] for key in sorted(world.gangs.pods)]
    nodes = {node.name: node for node in world.nodes()}
    pledges = [place for pledge in world.pledges() for place in places_of(pledge)]
    promised = _promised(world)
    names = sorted({*_named(nodes, leases, pods, pledges), *promised})
    loads = {name: (*load_on(name, leases, pods, pledges)[:-1], promised.get(name, 0)) for name in names}
    said: dict[str, object] = {f"node {name}": load for name, load in loads.items() if any(load) or name in nodes}
    lost = {name for name, node in nodes.items() if node.lost}
    said["dark nodes"] = sorted(lost | {name for name, load in loads.items() if any(load) and name not in nodes})
    for flavor in sorted({node.flavor for node in nodes.values()}):
        of_flavor = [node for node in nodes.values() if node.flavor == flavor]
        said |= _flavor(flavor, of_flavor, loads)
    return said | _of_ledger(leases) | _of_pods(pods) | _of_runs(world)


def _promised(world: World) -> dict[str, int]:
    """Masks of the places that reservations keep, by node."""
    found: dict[str, int] = {}
    for reservation in world.promises.all():
        for place in reservation.status.places if reservation.status.phase is ReservationPhase.PENDING else ():
            found[place.node] = found.get(place.node, 0) | sum(1 << ordinal for ordinal in place.ordinals)
    return found


def places_of(pledge: Pledge) -> Iterator[PlacedPod]:
    for group in pledge.placement.groups:
        yield from group.pods


def load_on(name: str, leases: Sequence[Lease], pods: Sequence[Pod], pledges: Sequence[PlacedPod]) -> Load:
    masks = {Role.ACTIVE: 0, Role.SPARE: 0}
    for lease in leases:
        for slots in lease.spec.slots:
            if slots.node == name:
                masks[lease.spec.role] |= slots.mask
    here = [pod for pod in pods if pod.node == name and not pod.phase.ended]
    return (
        masks[Role.ACTIVE],
        masks[Role.SPARE],
        sum(1 << ordinal for place in pledges if place.node == name for ordinal in place.ordinals),
        sum(pod.requests.cpu_milli for pod in here),
        sum(pod.requests.memory_bytes for pod in here),
        sum(pod.requests.ephemeral_bytes for pod in here),
        len(here),
        sum(pod.gpus for pod in here if pod.rank is None),
        0,
    )


def _level(node: Node, load: Load) -> int:
    """Free GPUs that something new may take; -1: the node takes nothing."""
    held = load[0] | load[1]
    if node.lost or node.cordoned or not node.ready or held >> node.gpus:
        return -1
    return max(0, node.gpus - (held | load[2] | load[8]).bit_count() - load[7])


def _flavor(name: str, nodes: Sequence[Node], loads: Mapping[str, Load]) -> Iterator[tuple[str, object]]:
    levels = {node.name: _level(node, loads[node.name]) for node in nodes}
    usable = [level for level in levels.values() if level >= 0]
    unpromised = (max(0, _level(node, (*loads[node.name][:-1], 0))) for node in nodes)
    withheld = sum(unpromised) - sum(usable)
    gpus = sum(node.gpus for node in nodes)
    yield f"flavor {name}", (len(nodes), gpus, sum(usable), withheld, _counted(usable))
    frees: list[tuple[int, Domain]] = []
    for key in sorted({node.domain for node in nodes}):
        here = [node for node in nodes if node.domain == key]
        taking = {node.name: levels[node.name] for node in here if levels[node.name] >= 0}
        frees.append((sum(taking.values()), key))
        yield f"flavor {name} domain {key}", (sum(taking.values()), _grouped(taking))
        whole = {node.name: node.gpus for node in here if not node.lost}
        yield f"flavor {name} domain {key} empty", _grouped(whole)
    yield f"flavor {name} order", tuple(sorted(frees))


def _grouped(levels: Mapping[str, int]) -> dict[int, tuple[str, ...]]:
    return {
        level: tuple(sorted(name for name, other in levels.items() if other == level))
        for level in sorted(set(levels.values()))
    }


def _counted(levels: Iterable[int]) -> tuple[int, ...]:
    counts = Counter(levels)
    return trimmed([counts[level] for level in range(max(counts, default=-1) + 1)])


def trimmed(counts: Sequence[int]) -> tuple[int, ...]:
    """Without the zeros at the end: an index may know of levels that nobody is at."""
    last = max((at for at, count in enumerate(counts) if count), default=-1)
    return tuple(counts[: last + 1])


def _named(
    nodes: Mapping[str, Node], leases: Sequence[Lease], pods: Sequence[Pod], pledges: Sequence[PlacedPod]
) -> Sequence[str]:
    held = {slots.node for lease in leases for slots in lease.spec.slots} | {place.node for place in pledges}
    return sorted({*nodes, *held, *(pod.node for pod in pods if pod.node is not None)})


def _of_ledger(leases: Sequence[Lease]) -> dict[str, object]:
    found: defaultdict[str, set[Key]] = defaultdict(set)
    for lease in leases:
        found[f"leases of run {lease.run}"].add(lease.key)
        for slots in lease.spec.slots:
            found[f"leases on node {slots.node}"].add(lease.key)
    return {name: sorted(keys) for name, keys in found.items()}


def _of_pods(pods: Sequence[Pod]) -> dict[str, object]:
    of_run: defaultdict[str, list[Key]] = defaultdict(list)
    live: Counter[str] = Counter()
    tries: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    columns = {PodPhase.RUNNING: 1, PodPhase.SUCCEEDED: 2, PodPhase.FAILED: 3}
    for pod in pods:
        if pod.claim is not None:
            of_run[f"claims on run {pod.claim.run}"].append(pod.key)
        if pod.rank is None:
            continue
        of_run[f"pods of run {pod.rank.run}"].append(pod.key)
        tries[f"try {(pod.rank.uid, pod.rank.attempt, pod.rank.retry)}"][columns.get(pod.phase, 0)] += 1
        if not pod.phase.ended:
            live[f"live pods of run {pod.rank.run}"] += 1
    return {**of_run, **live, **{name: tuple(counts) for name, counts in tries.items()}}


def _slack(world: World, run: Run) -> Slack | None:
    """What it holds that its owner's quota does not pay for, where anybody keeps quotas."""
    held, started = run.status.funding, run.status.started_at
    if not world.funded or started is None or not (held.unfunded or held.shared):
        return None
    nodes = {node.name: node.flavor for node in world.nodes()}
    leases = sorted((lease for lease in world.ledger.open.values() if lease.run == run.key), key=lambda one: one.key)
    names = (slots.node for lease in leases for slots in lease.spec.slots)
    known = (nodes[name] for name in names if name in nodes)
    flavor = run.spec.resources.flavor or next(known, "")
    return Slack(flavor, held.unfunded, held.shared, started + min_runtime_of(run.spec, world.settings.reclaim))


def _of_runs(world: World) -> dict[str, object]:
    runs = world.runs()
    said: dict[str, object] = {}
    for name in namespaces(world):
        namespace = world.namespace(name)
        labels = dict(namespace.labels) if namespace else {}
        listing = {
            budget.spec.owner
            for budget in world.budgets()
            if name in budget.spec.namespaces.names
            or (
                (wanted := budget.spec.namespaces.match_labels)
                and all(labels.get(key) == value for key, value in wanted)
            )
        }
        said[f"owners of namespace {name}"] = tuple(sorted(listing))
    said |= {f"what run {run.key} holds unpaid": slack for run in runs if (slack := _slack(world, run)) is not None}
    users: defaultdict[Key, list[Key]] = defaultdict(list)
    for run in runs:
        for name in run.spec.template.claims if run.spec.template is not None else ():
            users[Key(run.key.namespace, name)].append(run.key)
    said |= {f"users of claim {key}": sorted(found) for key, found in users.items()}
    for key in upstreams(world):
        waiting = (
            run.key
            for run in runs
            if not run.status.phase.terminal and run.key.namespace == key.namespace and key.name in run.spec.after
        )
        said[f"dependents of run {key}"] = tuple(sorted(waiting))
    for run in runs:
        if _waits(run) and world.pledge(run.key) is None:
            said[f"line {run.key}"] = world.need(run)
    sizes = Counter(need for name, need in said.items() if name.startswith("line "))
    return {**said, "line sizes": dict(sizes), "unstarted": tuple(run.key for run in runs if _unstarted(run))}


def _waits(run: Run) -> bool:
    asked_out = run.meta.deleting is not None or run.spec.suspend or run.spec.canceled
    return run.status.phase.waits and run.status.ending is None and not asked_out


def _unstarted(run: Run) -> bool:
    return not run.status.phase.begun and run.status.ending is None


def namespaces(world: World) -> Sequence[str]:
    return sorted({*(n.name for n in world.namespaces()), *(run.key.namespace for run in world.runs())})


def upstreams(world: World) -> Sequence[Key]:
    named = {Key(run.key.namespace, name) for run in world.runs() for name in run.spec.after}
    return sorted({*named, *(run.key for run in world.runs())})

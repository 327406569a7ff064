"""Every index of the world recomputed from the plain facts: slow, obvious, and never used in a decision.

`kept` is what the indexes say, `recomputed` what the facts say, both in the same words, so that `differences` only
compares. Seats of nodes that left, heap entries of runs that left, and answers remembered for speed are no part of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from runs_core.values.change import Change
from runs_core.values.funding import Pledge, Share
from runs_core.values.lease import Lease, Payer, Role
from runs_core.values.meta import Key
from runs_core.values.node import Domain, Node
from runs_core.values.placement import PlacedPod
from runs_core.values.pod import Pod, PodPhase
from runs_core.values.reservation import ReservationPhase
from runs_core.values.run import Run
from runs_core.values.template import Requests
from runs_core.world.domains import DomainFleet
from runs_core.world.filters import allows
from runs_core.world.flavors import FlavorFleet
from runs_core.world.held import Hold
from runs_core.world.needs import min_runtime_of
from runs_core.world.queues import FUNDABLE, UNFUNDABLE, UNPAYABLE
from runs_core.world.slack import Slack
from runs_core.world.world import World

Said = Mapping[str, object]
"""Statements by name: `flavor h100 free` → 12."""


def differences(world: World) -> list[str]:
    """Where an index is not what the facts say, a sentence each."""
    have, want = kept(world), recomputed(world)
    found = [
        f"{name}: the index has {have.get(name, 'nothing')}, the facts say {want.get(name, 'nothing')}"
        for name in sorted(have.keys() | want.keys())
        if have.get(name) != want.get(name)
    ]
    found += [*_seats(world), *_misjudged(world), *_too_short(world), *_unlike_order(world), *_unlike_holds(world)]
    return found


def snapshot(world: World) -> Said:
    """All that a decision can depend on. A change and its inverse, or a what-if, must leave it equal."""
    facts: tuple[Change, ...] = tuple(world.everything())
    return {**kept(world), "facts": facts, "waiting": tuple(world.line.waiting())}


# -- the fleet -------------------------------------------------------------------------------------------------------


def kept(world: World) -> Said:
    """What the indexes say."""
    said: dict[str, object] = {}
    for name, flavor in world.fleet.flavors.items():
        if flavor.nodes:
            said |= _kept_flavor(name, flavor)
    for state in world.fleet.states.values():
        used = (state.cpu, state.memory, state.ephemeral, state.pods, state.foreign_gpus)
        if any((state.taken, *used)) or state.node is not None:
            said[f"node {state.name}"] = (state.active, state.spare, state.pledged, *used, state.kept)
    said |= {f"leases of run {key}": sorted(leases) for key, leases in world.ledger.by_run.items()}
    said |= {f"leases on node {name}": sorted(leases) for name, leases in world.ledger.by_node.items()}
    said |= {f"pods of run {key}": sorted(pods) for key, pods in world.gangs.by_run.items()}
    said |= {f"live pods of run {key}": count for key, count in world.gangs.live.items()}
    said |= {f"claims on run {key}": sorted(pods) for key, pods in world.gangs.claims.items()}
    said |= {
        f"try {this}": (tally.pending, tally.running, tally.succeeded, tally.failed)
        for this, tally in world.gangs.tallies.items()
    }
    said |= {f"users of claim {key}": sorted(users) for key, users in world.volumes.users.items()}
    said |= {f"owners of namespace {name}": tuple(world.owners(name)) for name in _namespaces(world)}
    said |= {f"dependents of run {key}": tuple(world.dependents(key)) for key in _upstreams(world)}
    said |= {f"what run {key} holds unpaid": slack for key, slack in world.slack.all().items()}
    return said | _kept_line(world)


def _kept_flavor(name: str, flavor: FlavorFleet) -> Iterator[tuple[str, object]]:
    yield f"flavor {name}", (flavor.nodes, flavor.gpus, flavor.free, flavor.withheld, _trimmed(flavor.counts))
    yield f"flavor {name} order", tuple(item for item in flavor.order if _present(flavor.domains[item[1]]))
    for key, domain in flavor.domains.items():
        if not _present(domain):
            continue
        levels = {level: _names(domain, mask) for level, mask in enumerate(domain.levels) if mask}
        yield f"flavor {name} domain {key}", (domain.free, _trimmed(domain.counts), levels)
        whole = {gpus: _names(domain, mask) for gpus, mask in enumerate(domain.empty_levels()) if mask}
        yield f"flavor {name} domain {key} empty", whole


def recomputed(world: World) -> Said:
    """What the facts say."""
    leases = [world.ledger.open[key] for key in sorted(world.ledger.open)]
    pods = [world.gangs.pods[key] for key in sorted(world.gangs.pods)]
    nodes = {node.name: node for node in world.nodes()}
    pledges = [place for pledge in world.pledges() for place in _places(pledge)]
    promised = _promised(world)
    names = sorted({*_named(nodes, leases, pods, pledges), *promised})
    loads = {name: (*_load(name, leases, pods, pledges)[:-1], promised.get(name, 0)) for name in names}
    said: dict[str, object] = {f"node {name}": load for name, load in loads.items() if any(load) or name in nodes}
    for flavor in sorted({node.flavor for node in nodes.values()}):
        of_flavor = [node for node in nodes.values() if node.flavor == flavor]
        said |= _flavor(flavor, of_flavor, loads)
    return said | _of_ledger(leases) | _of_pods(pods) | _of_runs(world)


Load = tuple[int, int, int, int, int, int, int, int, int]
"""Masks of active, spare and pledged places, CPU, memory, storage, number of pods, foreign GPUs, kept places."""


def _promised(world: World) -> dict[str, int]:
    """Masks of the places that reservations keep, by node."""
    found: dict[str, int] = {}
    for reservation in world.promises.all():
        for place in reservation.status.places if reservation.status.phase is ReservationPhase.PENDING else ():
            found[place.node] = found.get(place.node, 0) | sum(1 << ordinal for ordinal in place.ordinals)
    return found


def _places(pledge: Pledge) -> Iterator[PlacedPod]:
    for group in pledge.placement.groups:
        yield from group.pods


def _load(name: str, leases: Sequence[Lease], pods: Sequence[Pod], pledges: Sequence[PlacedPod]) -> Load:
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
        yield f"flavor {name} domain {key}", (sum(taking.values()), _counted(taking.values()), _grouped(taking))
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
    return _trimmed([counts[level] for level in range(max(counts, default=-1) + 1)])


def _trimmed(counts: Sequence[int]) -> tuple[int, ...]:
    """Without the zeros at the end: an index may know of levels that nobody is at."""
    last = max((at for at, count in enumerate(counts) if count), default=-1)
    return tuple(counts[: last + 1])


def _present(domain: DomainFleet) -> bool:
    return any(state.node is not None for state in domain.states)


def _names(domain: DomainFleet, mask: int) -> tuple[str, ...]:
    return tuple(state.name for bit, state in enumerate(domain.states) if mask >> bit & 1)


def _named(
    nodes: Mapping[str, Node], leases: Sequence[Lease], pods: Sequence[Pod], pledges: Sequence[PlacedPod]
) -> Sequence[str]:
    held = {slots.node for lease in leases for slots in lease.spec.slots} | {place.node for place in pledges}
    return sorted({*nodes, *held, *(pod.node for pod in pods if pod.node is not None)})


def _seats(world: World) -> Iterator[str]:
    """Bits follow names, and nobody who left is remembered outside the seats."""
    for name, flavor in sorted(world.fleet.flavors.items()):
        for key, domain in sorted(flavor.domains.items()):
            if domain.names != sorted(set(domain.names)) or domain.names != [state.name for state in domain.states]:
                yield f"flavor {name} domain {key}: seats are not in the order of names"
            for bit, state in enumerate(domain.states):
                if domain.bits.get(state.name) != bit or state.bit != bit:
                    yield f"flavor {name} domain {key}: node {state.name} does not sit at bit {bit}"
    for state in world.fleet.states.values():
        if state.idle():
            yield f"node {state.name}: remembered though nothing is known of it"


def _misjudged(world: World) -> Iterator[str]:
    """The remembered answer of each filter is what it would answer now."""
    for name, flavor in sorted(world.fleet.flavors.items()):
        for key, domain in sorted(flavor.domains.items()):
            here = [state.node for state in domain.states if state.node is not None]
            for filter_, mask in domain.filtered.items():
                want = tuple(node.name for node in here if allows(filter_, node))
                if _names(domain, mask) != want:
                    yield f"flavor {name} domain {key}: {filter_} allows {want}, the index has {_names(domain, mask)}"


def _too_short(world: World) -> Iterator[str]:
    """A node remembered as too full must have room for no such pod; the opposite only costs a look."""
    for name, flavor in sorted(world.fleet.flavors.items()):
        for domain in flavor.domains.values():
            for requests, mask in domain.short.items():
                for state in domain.nodes(mask):
                    if state.node is not None and fits(state.node, _load_of(world, state.name), requests):
                        yield f"flavor {name}: node {state.name} counts as full and has room for {requests}"


def _load_of(world: World, name: str) -> Load:
    pledges = [place for pledge in world.pledges() for place in _places(pledge)]
    return _load(name, list(world.ledger.open.values()), list(world.gangs.pods.values()), pledges)


def fits(node: Node, load: Load, requests: Requests) -> bool:
    """Whether one more pod of these requests fits beside the load, GPUs aside."""
    _, _, _, cpu, memory, ephemeral, pods, *_ = load
    return (
        pods + 1 <= node.pods
        and (not requests.cpu_milli or cpu + requests.cpu_milli <= node.cpu_milli)
        and (not requests.memory_bytes or memory + requests.memory_bytes <= node.memory_bytes)
        and (not requests.ephemeral_bytes or ephemeral + requests.ephemeral_bytes <= node.ephemeral_bytes)
    )


# -- leases, pods, runs ----------------------------------------------------------------------------------------------


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
    for name in _namespaces(world):
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
    for key in _upstreams(world):
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


def _kept_line(world: World) -> dict[str, object]:
    line = world.line
    said: dict[str, object] = {f"line {key}": shape.need for key, (_, shape, _) in line.entries.items()}
    said["line sizes"] = {need: shape.size for need, shape in line.shapes.items()}
    unstarted = world._unstarted  # noqa: SLF001 - the index that is compared here, and nobody else's business
    said["unstarted"] = tuple(sorted(key for keys in unstarted.values() for key in keys))
    return said


def _unlike_order(world: World) -> Iterator[str]:
    """Each need's first run is the first of its runs, and who was admitted stands where that puts it."""
    line = world.line
    for need, shape in line.shapes.items():
        first = min((order, key) for key, (order, other, _) in line.entries.items() if other.need == need)
        heads = [head for band in (FUNDABLE, UNFUNDABLE, UNPAYABLE) if (head := line.head(shape, band)) is not None]
        if min(heads, default=None) != first:
            yield f"line: the first run that wants {need} is {first[1]}, the index has {heads}"
    for key, (order, *_) in sorted(line.entries.items()):
        run = world.run(key)
        if run is None or run.status.admitted_at is None or world.rank(run) is not None:
            continue
        if order != (1.0, run.status.admitted_at.timestamp(), *key):
            yield f"line: run {key}, admitted at {run.status.admitted_at}, stands at {order}"


def _unlike_holds(world: World) -> Iterator[str]:
    """What is held of each envelope, by each owner and before each place is what the holds say."""
    held, line = world.held, world.line
    parts: dict[Payer, list[tuple[Hold, Share]]] = defaultdict(list)
    for hold in sorted(held.by_run.values(), key=lambda hold: hold.order):
        for share in hold.shares:
            parts[share.payer].append((hold, share))
    if held.parts() != parts:
        yield f"held: by envelope {held.parts()}, the holds say {dict(parts)}"
    owners = {hold.owner for hold in held.by_run.values()}
    for owner in sorted({*owners, *line.of_owner}):
        runs = sorted(key for key, hold in held.by_run.items() if hold.owner == owner)
        gpus = sum(share.gpus for key in runs for share in held.by_run[key].shares)
        if (held.of(owner), held.gpus(owner)) != (runs, gpus):
            yield f"held: {owner} has {held.of(owner)}, {held.gpus(owner)} GPUs, the holds say {runs}, {gpus}"
        theirs = {
            queue for shape in line.shapes.values() for ask, queue in shape.queues.items() if ask and ask.owner == owner
        }
        if theirs != set(line.of_owner.get(owner, ())):
            yield f"line: the queues of {owner} are others than those that ask for it"
    for order in sorted(entry.order for entry in line.entries.values()):
        if held.ahead(order) != sum(hold.order < order for hold in held.by_run.values()):
            yield f"held: before {order} there are others than {held.ahead(order)}"


def _waits(run: Run) -> bool:
    asked_out = run.meta.deleting is not None or run.spec.suspend or run.spec.canceled
    return run.status.phase.waits and run.status.ending is None and not asked_out


def _unstarted(run: Run) -> bool:
    return not run.status.phase.begun and run.status.ending is None


def _namespaces(world: World) -> Sequence[str]:
    return sorted({*(n.name for n in world.namespaces()), *(run.key.namespace for run in world.runs())})


def _upstreams(world: World) -> Sequence[Key]:
    named = {Key(run.key.namespace, name) for run in world.runs() for name in run.spec.after}
    return sorted({*named, *(run.key for run in world.runs())})

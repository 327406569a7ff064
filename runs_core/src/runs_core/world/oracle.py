"""Every index of the world held against the plain facts: slow, obvious, and never used in a decision.

`kept` is what the indexes say, `recomputed` (`facts.py`) what the facts say, both in the same words, so that
`differences` only compares. Seats of nodes that left, heap entries of runs that left, and answers remembered for speed
are no part of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from runs_core.values.change import Change
from runs_core.values.funding import Share
from runs_core.values.lease import Payer
from runs_core.values.node import Node
from runs_core.values.template import Requests
from runs_core.world.domains import DomainFleet
from runs_core.world.facts import Load, Said, load_on, namespaces, places_of, recomputed, trimmed, upstreams
from runs_core.world.filters import allows
from runs_core.world.flavors import FlavorFleet
from runs_core.world.held import Hold
from runs_core.world.queues import FUNDABLE, UNFUNDABLE, UNPAYABLE
from runs_core.world.world import World


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


def kept(world: World) -> Said:
    """What the indexes say."""
    said: dict[str, object] = {"dark nodes": sorted(world.fleet.dark)}
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
    said |= {f"owners of namespace {name}": tuple(world.owners(name)) for name in namespaces(world)}
    said |= {f"dependents of run {key}": tuple(world.dependents(key)) for key in upstreams(world)}
    said |= {f"what run {key} holds unpaid": slack for key, slack in world.slack.all().items()}
    return said | _kept_line(world)


def _kept_flavor(name: str, flavor: FlavorFleet) -> Iterator[tuple[str, object]]:
    yield f"flavor {name}", (flavor.nodes, flavor.gpus, flavor.free, flavor.withheld, trimmed(flavor.counts))
    yield f"flavor {name} order", tuple(item for item in flavor.order if _present(flavor.domains[item[1]]))
    for key, domain in flavor.domains.items():
        if not _present(domain):
            continue
        levels = {level: _names(domain, mask) for level, mask in enumerate(domain.levels) if mask}
        yield f"flavor {name} domain {key}", (domain.free, levels)
        whole = {gpus: _names(domain, mask) for gpus, mask in enumerate(domain.empty_levels()) if mask}
        yield f"flavor {name} domain {key} empty", whole


def _present(domain: DomainFleet) -> bool:
    return any(state.node is not None for state in domain.states)


def _names(domain: DomainFleet, mask: int) -> tuple[str, ...]:
    return tuple(state.name for bit, state in enumerate(domain.states) if mask >> bit & 1)


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
    pledges = [place for pledge in world.pledges() for place in places_of(pledge)]
    return load_on(name, list(world.ledger.open.values()), list(world.gangs.pods.values()), pledges)


def fits(node: Node, load: Load, requests: Requests) -> bool:
    """Whether one more pod of these requests fits beside the load, GPUs aside."""
    _, _, _, cpu, memory, ephemeral, pods, *_ = load
    return (
        pods + 1 <= node.pods
        and (not requests.cpu_milli or cpu + requests.cpu_milli <= node.cpu_milli)
        and (not requests.memory_bytes or memory + requests.memory_bytes <= node.memory_bytes)
        and (not requests.ephemeral_bytes or ephemeral + requests.ephemeral_bytes <= node.ephemeral_bytes)
    )


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

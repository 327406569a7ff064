"""What must hold after every cycle, whatever happened: section 11 of the semantics, as far as the core can break it.

Slow and obvious: each check reads the plain facts and none of the indexes that it guards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from runs_core.values.demand import Demand
from runs_core.values.lease import Lease, Opened, Role
from runs_core.values.meta import Key
from runs_core.values.node import Node
from runs_core.values.pod import Pod
from runs_core.values.run import Phase, Run, Spread
from runs_core.world.ledger import entry, fold
from runs_core.world.world import World


class Breach(NamedTuple):
    """invariant: its number in the semantics. what: a sentence with the names."""

    invariant: int
    what: str


def breaches(world: World, opened: Collection[Key] | None = None) -> list[Breach]:
    """Every breach of invariants 1, 2, 4 and 5, by number.

    opened: the leases that are held against the nodes as they now are, since nodes may change later; None: those that
    opened at `world.now`.
    """
    leases = [world.ledger.open[key] for key in sorted(world.ledger.open)]
    new = [lease for lease in leases if (lease.spec.start == world.now if opened is None else lease.key in opened)]
    fresh = [lease for lease in new if lease.spec.reason is not Opened.REPAID]  # else it takes no place that it had not
    return [
        *(Breach(1, what) for what in _shared_slots(leases)),
        *(Breach(2, what) for what in _overfull(world, leases, fresh)),
        *(Breach(4, what) for what in _out_of_phase(world, leases)),
        *(Breach(5, what) for what in _scattered(world, fresh)),
    ]


def shrunken(world: World) -> list[str]:
    """Nodes that offer fewer GPUs than their open leases hold, by name: they shrank, nobody decided it."""
    held = _places(world.ledger.open.values())
    return [node.name for node in world.nodes() if any(place >= node.gpus for place in held[node.name])]


def _places(leases: Iterable[Lease]) -> defaultdict[str, set[int]]:
    """By node."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for lease in leases:
        for slots in lease.spec.slots:
            found[slots.node].update(slots.ordinals)
    return found


def _shared_slots(leases: Sequence[Lease]) -> Iterator[str]:
    """Invariant 1. A lease that names a slot twice shares it with itself."""
    holders: defaultdict[tuple[str, int], list[Lease]] = defaultdict(list)
    for lease in leases:
        for slots in lease.spec.slots:
            for place in slots.ordinals:
                holders[slots.node, place].append(lease)
    for (node, place), found in sorted(holders.items()):
        active = [str(lease.key) for lease in found if lease.spec.role is Role.ACTIVE]
        spare = [str(lease.key) for lease in found if lease.spec.role is Role.SPARE]
        if len(active) > 1 or len(spare) > 1:
            yield f"place {place} of node {node} has the open leases {', '.join(active + spare)}"
        elif active and spare and any(lease.spec.payer for lease in found if lease.spec.role is Role.ACTIVE):
            yield f"place {place} of node {node} is the spare {spare[0]} and the funded {active[0]}"


def _overfull(world: World, leases: Sequence[Lease], fresh: Sequence[Lease]) -> Iterator[str]:
    """Invariant 2, as far as it is decided: a node may shrink under its leases (`shrunken`), but takes nothing then."""
    held = _places(leases)
    for lease in fresh:
        for slots in lease.spec.slots:
            node = world.node(slots.node)
            beyond = sorted(at for at in held[slots.node] if isinstance(node, Node) and at >= node.gpus)
            if isinstance(node, Node) and beyond:
                yield f"lease {lease.key} opened on node {node.name} of {node.gpus} GPUs, of which {beyond} are leased"


def _out_of_phase(world: World, leases: Sequence[Lease]) -> Iterator[str]:
    """Invariant 4."""
    held: defaultdict[tuple[Key, str], list[Lease]] = defaultdict(list)
    living: defaultdict[tuple[Key, str], list[Pod]] = defaultdict(list)
    for lease in leases:
        held[lease.run, lease.spec.run_ref.uid].append(lease)
    for pod in world.gangs.pods.values():
        if pod.rank is not None and not pod.phase.ended:
            living[pod.rank.run, pod.rank.uid].append(pod)
    for run in world.runs():
        this = (run.key, run.uid)
        yield from _one_out_of_phase(run, held[this], living[this], world.demand(run))


def _one_out_of_phase(run: Run, leases: Sequence[Lease], living: Sequence[Pod], demand: Demand | None) -> Iterator[str]:
    phase, ending = run.status.phase, run.status.ending
    width = sum(lease.gpus for lease in leases if lease.spec.role is Role.ACTIVE)
    if phase in (Phase.STARTING, Phase.RUNNING):
        wants = str(run.gpus) if demand is None else f"{demand.least} at least"
        if width != run.status.width or not (width == run.gpus if demand is None else width >= demand.least):
            yield f"run {run.key} is {phase} with {width} GPUs leased, says {run.status.width} and wants {wants}"
        if any(lease.spec.attempt != run.status.attempt for lease in leases):
            yield f"run {run.key} holds a lease of another attempt than its {run.status.attempt}."
    elif ending is None and (leases or living or run.status.width):
        held = f"{len(leases)} open leases, {len(living)} live pods and width {run.status.width}"
        yield f"run {run.key} is {phase} with {held}"
    elif phase.terminal and ending is not None:
        yield f"run {run.key} is {phase} and still ending"


def _scattered(world: World, opened: Sequence[Lease]) -> Iterator[str]:
    """Invariant 5, and that a lease lies on nodes that the world knows."""
    domains: defaultdict[tuple[Key, str, int], set[str]] = defaultdict(set)
    for lease in opened:
        run = world.run(lease.run)
        single = run is not None and run.spec.topology.spread is Spread.SINGLE_DOMAIN
        for slots in lease.spec.slots:
            node = world.node(slots.node)
            if not isinstance(node, Node):
                yield f"lease {lease.key} opened on node {slots.node}, which is not there"
                continue
            domains[lease.run, lease.spec.run_ref.uid, -1 if single else lease.spec.group].add(str(node.domain))
    for (key, _, group), found in sorted(domains.items()):
        if len(found) > 1:
            what = f"run {key}" if group < 0 else f"group {group} of run {key}"
            yield f"{what} lies in {', '.join(sorted(found))}"


class Witness:
    """Invariant 6: is shown every lease as it is written, and remembers all of them for ever.

    head: what the ledger's head must be if all that it was shown is all there ever was.
    """

    def __init__(self) -> None:
        self.head = 0
        self.opened = 0
        self.closed: dict[Key, Lease] = {}
        self._open: dict[Key, Lease] = {}
        self._told: list[Breach] = []

    def see(self, lease: Lease) -> None:
        """The lease was written so."""
        known = self._open.get(lease.key)
        past = self.closed.get(lease.key)
        if past is not None and past != lease:
            self._tell(f"lease {lease.key} was closed and is written again")
        elif past is None and known is None:
            self._first(lease)
        elif known is not None:
            self._again(known, lease)

    def _first(self, lease: Lease) -> None:
        if lease.status.closed:
            self._tell(f"lease {lease.key} is closed and was never opened")
            return
        self.opened += 1
        self._open[lease.key] = lease
        self.head = fold(self.head, entry(lease, closing=False))

    def _again(self, known: Lease, lease: Lease) -> None:
        if known.spec != lease.spec:
            self._tell(f"lease {lease.key} changed while it was open")
        if lease.status.closed:
            del self._open[lease.key]
            self.closed[lease.key] = lease
            self.head = fold(self.head, entry(lease, closing=True))

    def _tell(self, what: str) -> None:
        self._told.append(Breach(6, what))

    def breaches(self, world: World) -> list[Breach]:
        """What was written that must not be, and where the world's ledger is not what was written."""
        found = list(self._told)
        if world.ledger.head != self.head:
            found.append(Breach(6, "the ledger's head is not the sum of all openings and closures"))
        lost = sorted(str(key) for key in self._open.keys() ^ world.ledger.open.keys())
        if lost:
            found.append(Breach(6, f"open in the ledger or as written, not both: {', '.join(lost)}"))
        return found

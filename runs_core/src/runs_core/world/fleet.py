"""Free GPUs by flavor, domain and node, as bit masks, so that best fit is two lowest-set-bit operations.

A node is one bit of its domain, in the order of names. `levels[n]` is the mask of the usable nodes with n free GPUs.
Usable: present, ready, not cordoned, not lost, not set aside. Everything is kept by differences; `oracle.fleet`
recomputes it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import attrs

from runs_core.values.lease import Lease, Role, mask_of
from runs_core.values.need import Need, NodeFilter
from runs_core.values.node import Domain, MalformedNode, Node
from runs_core.values.placement import Placement
from runs_core.values.pod import Pod
from runs_core.values.template import Requests
from runs_core.world.filters import allows

if TYPE_CHECKING:
    from runs_core.world.census import Census, Question

MOST_FILTERS = 1024
"""Filters and pod shapes remembered for each domain; past it the memory starts anew."""
MOST_EMPTY_SEATS = 64


@lru_cache(maxsize=4096)
def lowest(mask: int, count: int) -> tuple[int, ...]:
    """Its `count` lowest bits. Remembered: nodes have few places, and so there are few such masks."""
    found = []
    for _ in range(count):
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return tuple(found)


class NodeState:
    """One node name: what is known of it and what lies on it. Outlives the Node object while something holds it.

    open: present, ready, not cordoned, not lost. active, spare: masks of held places; pledged: of those that are bound
    to a run which cannot take them yet; kept: of those that are promised to runs for later. withheld: GPUs that are
    free but for that. The others are sums over pods on it that have not ended; foreign_gpus: of pods not ours.
    """

    __slots__ = (
        "active",
        "bit",
        "cpu",
        "domain",
        "ephemeral",
        "foreign_gpus",
        "kept",
        "level",
        "memory",
        "name",
        "node",
        "open",
        "pledged",
        "pods",
        "spare",
        "withheld",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.node: Node | None = None
        self.open = False
        self.domain: DomainFleet | None = None
        self.bit = 0
        self.level = -1
        self.active = self.spare = self.pledged = self.kept = self.withheld = 0
        self.cpu = self.memory = self.ephemeral = self.pods = self.foreign_gpus = 0

    @property
    def taken(self) -> int:
        """Mask of the places that nothing new may have."""
        return self.active | self.spare | self.pledged | self.kept

    @property
    def held(self) -> int:
        """GPUs with an open lease."""
        return (self.active | self.spare).bit_count()

    @property
    def shrunk(self) -> bool:
        """Offers fewer GPUs than its open leases hold: it takes nothing new until they close or it recovers."""
        return self.node is not None and (self.active | self.spare) >> self.node.gpus != 0

    @property
    def usable(self) -> bool:
        return self.open and not self.shrunk

    def free(self) -> int:
        """GPUs that something new could take here, were the node usable."""
        if self.node is None:
            return 0
        return max(0, self.node.gpus - self.taken.bit_count() - self.foreign_gpus)

    def places(self, count: int, but: int = 0) -> tuple[int, ...]:
        """The lowest `count` free places, leaving out the mask `but`."""
        assert self.node is not None
        return lowest(((1 << self.node.gpus) - 1) & ~(self.taken | but), count)

    def room(self, requests: Requests, *, empty: bool = False) -> int:
        """How many pods of these requests fit beside what is there, or as if nothing were; GPUs aside."""
        node = self.node
        assert node is not None
        used = 0 if empty else 1
        most = node.pods - used * self.pods
        if requests.cpu_milli:
            most = min(most, (node.cpu_milli - used * self.cpu) // requests.cpu_milli)
        if requests.memory_bytes:
            most = min(most, (node.memory_bytes - used * self.memory) // requests.memory_bytes)
        if requests.ephemeral_bytes:
            most = min(most, (node.ephemeral_bytes - used * self.ephemeral) // requests.ephemeral_bytes)
        return max(0, most)

    def idle(self) -> bool:
        """Nothing is known of it: the name can be forgotten."""
        return self.node is None and not (self.taken or self.pods or self.foreign_gpus)


class DomainFleet:
    """One flavor's nodes in one fabric domain. free: usable free GPUs; levels, counts: by free GPUs of a node.

    moved: the flavor's `moved` when this domain last took part in it.
    """

    __slots__ = ("bits", "counts", "empty", "filtered", "free", "key", "levels", "moved", "names", "short", "states")

    def __init__(self, key: Domain) -> None:
        self.key = key
        self.names: list[str] = []
        self.states: list[NodeState] = []
        self.bits: dict[str, int] = {}
        self.levels: list[int] = [0]
        self.counts: list[int] = [0]
        self.free = 0
        self.filtered: dict[NodeFilter, int] = {}
        self.short: dict[Requests, int] = {}
        self.empty: list[int] | None = None
        self.moved = 0

    def seats(self, gpus_per_pod: int) -> int:
        """Pods that fit by free GPUs alone."""
        return sum(mask.bit_count() * (level // gpus_per_pod) for level, mask in enumerate(self.levels))

    def empty_levels(self) -> list[int]:
        """Nodes by all the GPUs they have, as if nothing ran and none were cordoned; lost ones are not there.

        O(nodes) after a node changed, O(1) until the next does.
        """
        if self.empty is None:
            self.empty = [0]
            for state in self.states:
                node = state.node
                if node is not None and not node.lost:
                    if node.gpus >= len(self.empty):
                        self.empty.extend([0] * (node.gpus + 1 - len(self.empty)))
                    self.empty[node.gpus] |= 1 << state.bit
        return self.empty

    def eligible(self, filter_: NodeFilter) -> int:
        """Mask of the nodes, usable or not, that the filter allows. O(nodes) the first time, O(1) then."""
        mask = self.filtered.get(filter_)
        if mask is None:
            if len(self.filtered) >= MOST_FILTERS:
                self.filtered.clear()
            mask = 0
            for state in self.states:
                if state.node is not None and allows(filter_, state.node):
                    mask |= 1 << state.bit
            self.filtered[filter_] = mask
        return mask

    def remember_short(self, requests: Requests, bit: int) -> None:
        """That node has no room for even one such pod; forgotten as soon as something on it ends."""
        if requests not in self.short and len(self.short) >= MOST_FILTERS:
            self.short.clear()
        self.short[requests] = self.short.get(requests, 0) | bit

    def nodes(self, mask: int) -> Iterator[NodeState]:
        """The nodes of a mask, by name."""
        while mask:
            low = mask & -mask
            yield self.states[low.bit_length() - 1]
            mask ^= low


class FlavorFleet:
    """One flavor.

    counts: usable nodes by free GPUs; free: their sum; withheld: GPUs that would be free were they not promised to
    somebody for later; order: domains by (free, key); nodes, gpus: of present ones.

    never: needs that the fleet could not take even empty, as of `changed`. recent: domains, the last to move last.

    freed counts up whenever the flavor may take more than before, moved whenever it may take more or less, changed
    whenever its nodes change.
    """

    __slots__ = (
        "_order",
        "censuses",
        "changed",
        "counts",
        "domains",
        "free",
        "freed",
        "gpus",
        "latest",
        "misplaced",
        "moved",
        "never",
        "nodes",
        "recent",
        "withheld",
    )

    def __init__(self) -> None:
        self.domains: dict[Domain, DomainFleet] = {}
        self.counts: list[int] = [0]
        self._order: list[tuple[int, Domain]] = []
        self.misplaced: dict[DomainFleet, int] = {}
        self.latest: DomainFleet | None = None
        self.nodes = self.gpus = 0
        self.free = self.withheld = 0
        self.never: dict[Need, bool] = {}
        self.recent: dict[DomainFleet, None] = {}
        self.censuses: dict[Question, Census] = {}
        self.freed = self.moved = 0
        self.changed = 0

    @property
    def order(self) -> list[tuple[int, Domain]]:
        """Domains by (free, key), put in order when somebody asks: a gang that comes or goes moves each only once."""
        if self.misplaced:
            for domain, was in self.misplaced.items():
                if was != domain.free:
                    del self._order[bisect_left(self._order, (was, domain.key))]
                    insort(self._order, (domain.free, domain.key))
            self.misplaced.clear()
        return self._order

    def move(self, domain: DomainFleet) -> None:
        """Something in that domain may take more or less than before."""
        self.moved += 1
        domain.moved = self.moved
        if domain is not self.latest:
            self.recent.pop(domain, None)
            self.recent[domain] = None
            self.latest = domain

    def pods(self, gpus: int) -> int:
        """Most pods of that many GPUs that free GPUs alone would take."""
        counts, most = self.counts, 0
        for level in range(gpus, len(counts)):
            if counts[level]:
                most += counts[level] * (level // gpus)
        return most


class Before(NamedTuple):
    """What a what-if changes of one node, as it was."""

    state: NodeState
    active: int
    cpu: int
    memory: int
    ephemeral: int
    pods: int


class Keeping:
    """What if other places were promised to others than are: these, then those; only what differs is touched."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._before: dict[str, tuple[NodeState, int]] = {}

    def only(self, masks: Mapping[str, int]) -> None:
        """These of these nodes."""
        for name, mask in masks.items():
            state = self._fleet.states.get(name)
            if state is not None and state.kept != mask:
                self._before.setdefault(name, (state, state.kept))
                self._fleet.keep_as_if(state, mask)

    def undo(self) -> None:
        """It was only a what-if."""
        for state, mask in self._before.values():
            self._fleet.keep_as_if(state, mask)
        self._before.clear()


class Fleet:
    """All flavors, and the nodes that were set aside. freed, changed: the sums over flavors.

    shared: nodes with a place that two leases of one role hold, as may seem so while a closure is being written.
    """

    def __init__(self) -> None:
        self.shared: set[str] = set()
        self.states: dict[str, NodeState] = {}
        self.flavors: dict[str, FlavorFleet] = {}
        self.malformed: dict[str, MalformedNode] = {}
        self.freed = self.changed = 0
        self.nodes_visited = 0
        self.rebuilds = 0

    def state(self, name: str) -> NodeState:
        """The node's state, made when it is first heard of."""
        found = self.states.get(name)
        if found is None:
            found = self.states[name] = NodeState(name)
        return found

    # -- what changes -----------------------------------------------------------------------------------------------

    def replace_node(self, name: str, new: Node | MalformedNode | None) -> None:
        """The node is now `new`; None: it is gone."""
        self.malformed.pop(name, None)
        state = self.state(name)
        old = state.node
        if isinstance(new, MalformedNode):
            self.malformed[name] = new
            new = None
        if old is not None and (new is None or (new.flavor, new.domain) != (old.flavor, old.domain)):
            self._relevel(state, -1)
            if state.withheld:
                self._withhold(state)
            self._leave(state, old)
        state.node = new
        state.open = new is not None and new.ready and not new.cordoned and not new.lost
        if new is not None:
            self._join(state, new)
            self._refresh(state)
        for node in (old, new):
            if node is not None:
                flavor = self.flavors[node.flavor]
                flavor.changed += 1
                self.changed += 1
                domain = flavor.domains[node.domain]
                self._offers_more(flavor, domain)
                flavor.never.clear()
                domain.empty = None
        if old is not None:
            self.flavors[old.flavor].gpus -= old.gpus
        if new is not None:
            self.flavors[new.flavor].gpus += new.gpus
        self._forget(state)

    def hold(self, lease: Lease, *, opened: bool) -> None:
        """The lease's places are taken, or free again."""
        active = lease.spec.role is Role.ACTIVE
        for slots in lease.spec.slots:
            state, mask = self.state(slots.node), slots.mask
            held = state.active if active else state.spare
            if opened and held & mask:
                self.shared.add(slots.node)
            held = held | mask if opened else held & ~mask
            if active:
                state.active = held
            else:
                state.spare = held
            self._refresh(state)
            if not opened:
                self._freed(state)
                self._forget(state)

    def bind(self, placement: Placement, *, bound: bool) -> None:
        """The places of a pledge are kept from everybody else, or no longer."""
        for group in placement.groups:
            for pod in group.pods:
                state = self.state(pod.node)
                mask = mask_of(pod.ordinals)
                state.pledged = state.pledged | mask if bound else state.pledged & ~mask
                self._refresh(state)
                if not bound:
                    self._freed(state)
                    self._forget(state)

    def keep(self, name: str, mask: int) -> None:
        """So many of its places are promised to somebody for later, and no others."""
        state = self.state(name)
        state.kept = mask
        self._refresh(state)
        self._freed(state)
        self._forget(state)

    def empty(self, leases: Iterable[Lease], pods: Iterable[Pod]) -> Sequence[Before]:
        """What if these leases were closed and these pods gone. Returns what `refill` undoes it with."""
        before: dict[str, Before] = {}
        for lease in leases:
            for slots in lease.spec.slots:
                state = self._before(slots.node, before)
                if state is not None and lease.spec.role is Role.ACTIVE:
                    state.active &= ~slots.mask
        for pod in pods:
            state = self._before(pod.node or "", before)
            if state is not None and not pod.phase.ended:
                state.cpu -= pod.requests.cpu_milli
                state.memory -= pod.requests.memory_bytes
                state.ephemeral -= pod.requests.ephemeral_bytes
                state.pods -= 1
        for one in before.values():
            self._refresh(one.state)
            short = one.state.domain.short if one.state.domain is not None else {}
            for requests in short:
                short[requests] &= ~(1 << one.state.bit)
        return tuple(before.values())

    def refill(self, before: Iterable[Before]) -> None:
        """It was only a what-if."""
        for one in before:
            state = one.state
            state.active, state.cpu, state.memory, state.ephemeral, state.pods = one[1:]
            self._refresh(state)

    def _before(self, name: str, before: dict[str, Before]) -> NodeState | None:
        state = self.states.get(name)
        if state is not None and name not in before:
            before[name] = Before(state, state.active, state.cpu, state.memory, state.ephemeral, state.pods)
        return state

    @contextmanager
    def keeping(self, masks: Mapping[str, int]) -> Iterator[None]:
        """What if only these places of these nodes were promised to others."""
        trial = Keeping(self)
        trial.only(masks)
        try:
            yield
        finally:
            trial.undo()

    def keep_as_if(self, state: NodeState, mask: int) -> None:
        """As `keep`, but nobody hears of it."""
        state.kept = mask
        self._refresh(state)

    def retake(self, name: str, leases: Iterable[Lease]) -> None:
        """These leases hold places on a shared node; one that held the same places does not any more."""
        state = self.state(name)
        state.active = state.spare = 0
        self.shared.discard(name)
        self._refresh(state)
        for lease in leases:
            here = tuple(slots for slots in lease.spec.slots if slots.node == name)
            self.hold(attrs.evolve(lease, spec=attrs.evolve(lease.spec, slots=here)), opened=True)

    def load(self, pod: Pod, *, there: bool) -> None:
        """A pod that has not ended is, or is no longer, on its node."""
        if pod.node is None:
            return
        sign = 1 if there else -1
        state = self.state(pod.node)
        requests = pod.requests
        state.cpu += sign * requests.cpu_milli
        state.memory += sign * requests.memory_bytes
        state.ephemeral += sign * requests.ephemeral_bytes
        state.pods += sign
        if there and state.node is not None and state.domain is not None:
            self.flavors[state.node.flavor].move(state.domain)
        if pod.rank is None and pod.gpus:
            state.foreign_gpus += sign * pod.gpus
            self._refresh(state)
        if not there:
            self._freed(state)
            self._forget(state)

    # -- bookkeeping ------------------------------------------------------------------------------------------------

    def _join(self, state: NodeState, node: Node) -> None:
        flavor = self.flavors.setdefault(node.flavor, FlavorFleet())
        domain = flavor.domains.get(node.domain)
        if domain is None:
            domain = flavor.domains[node.domain] = DomainFleet(node.domain)
            insort(flavor.order, (0, node.domain))
        if state.domain is None:
            flavor.nodes += 1
            state.domain = domain
            self._seat(domain, state)
        domain.empty = None
        clear = ~(1 << state.bit)
        for filter_ in domain.filtered:
            allowed = allows(filter_, node)
            domain.filtered[filter_] = domain.filtered[filter_] & clear | (allowed << state.bit)
        for requests in domain.short:
            domain.short[requests] &= clear

    def _seat(self, domain: DomainFleet, state: NodeState) -> None:
        """Give the node its bit: its old one, the next one, or, out of order, a place among the others."""
        bit = domain.bits.get(state.name)
        if bit is None:
            self._compact(domain)
            bit = bisect_left(domain.names, state.name)
            if bit == len(domain.names):
                domain.names.append(state.name)
                domain.states.append(state)
                domain.bits[state.name] = bit
            else:
                domain.names.insert(bit, state.name)
                domain.states.insert(bit, state)
                self._renumber(domain, bit)
        state.bit = bit
        domain.states[bit] = state

    def _compact(self, domain: DomainFleet) -> None:
        """Drop the seats of nodes that left, once most are empty: names that never come back must not add up."""
        kept = [state for state in domain.states if state.node is not None]
        if len(domain.states) < MOST_EMPTY_SEATS or 2 * len(kept) > len(domain.states):
            return
        self.rebuilds += 1
        levels = [state.level for state in kept]
        domain.states, domain.names = kept, [state.name for state in kept]
        domain.bits = {state.name: bit for bit, state in enumerate(kept)}
        domain.levels = [0] * len(domain.levels)
        domain.filtered.clear()
        domain.short.clear()
        for bit, (state, level) in enumerate(zip(kept, levels, strict=True)):
            state.bit = bit
            if level >= 0:
                domain.levels[level] |= 1 << bit

    def _renumber(self, domain: DomainFleet, bit: int) -> None:
        """A name came in between: all masks open a gap at `bit`.

        Happens as nodes are discovered, never while deciding.
        """
        low = (1 << bit) - 1

        def gap(mask: int) -> int:
            return (mask & low) | ((mask & ~low) << 1)

        domain.empty = None
        domain.levels = [gap(mask) for mask in domain.levels]
        domain.filtered = {filter_: gap(mask) for filter_, mask in domain.filtered.items()}
        domain.short = {requests: gap(mask) for requests, mask in domain.short.items()}
        for at in range(bit, len(domain.names)):
            domain.bits[domain.names[at]] = at
            domain.states[at].bit = at

    def _leave(self, state: NodeState, node: Node) -> None:
        """The seat stays, empty, so that the same node comes back to it (a what-if does so at once)."""
        domain = state.domain
        assert domain is not None
        for filter_ in domain.filtered:
            domain.filtered[filter_] &= ~(1 << state.bit)
        domain.states[state.bit] = empty = NodeState(state.name)
        empty.bit = state.bit
        self.flavors[node.flavor].nodes -= 1
        state.domain = None

    def _forget(self, state: NodeState) -> None:
        if state.node is None and state.idle():
            self.states.pop(state.name, None)

    def _freed(self, state: NodeState) -> None:
        if state.node is not None and state.domain is not None:
            self._offers_more(self.flavors[state.node.flavor], state.domain)
            short = state.domain.short
            for requests in short:
                short[requests] &= ~(1 << state.bit)

    def counts_of_freed(self) -> Sequence[tuple[FlavorFleet, int]]:
        """What `nothing_freed` goes back to."""
        return [(flavor, flavor.freed) for flavor in self.flavors.values()]

    def nothing_freed(self, counts: Sequence[tuple[FlavorFleet, int]]) -> None:
        """What came free since was only a what-if, and is taken again."""
        for flavor, freed in counts:
            self.freed -= flavor.freed - freed
            flavor.freed = freed

    def _offers_more(self, flavor: FlavorFleet, domain: DomainFleet) -> None:
        flavor.freed += 1
        flavor.move(domain)
        self.freed += 1

    def _refresh(self, state: NodeState) -> None:
        """Bring the masks and sums in step with what the node now has free."""
        node, held = state.node, state.active | state.spare
        if node is None or state.domain is None or not state.open or held >> node.gpus:
            self._relevel(state, -1)
        else:
            self._relevel(
                state, max(0, node.gpus - (held | state.pledged | state.kept).bit_count() - state.foreign_gpus)
            )
        if state.kept or state.withheld:
            self._withhold(state)

    def _withhold(self, state: NodeState) -> None:
        withheld = 0
        if state.level >= 0 and state.node is not None:
            held = (state.active | state.spare | state.pledged).bit_count()
            withheld = max(0, state.node.gpus - held - state.foreign_gpus) - state.level
        if state.node is not None and withheld != state.withheld:
            self.flavors[state.node.flavor].withheld += withheld - state.withheld
            state.withheld = withheld

    def _relevel(self, state: NodeState, level: int) -> None:
        """level: usable free GPUs; -1: not usable."""
        old = state.level
        if old == level:
            return
        domain, node = state.domain, state.node
        assert domain is not None
        assert node is not None
        flavor = self.flavors[node.flavor]
        difference = 0
        if old >= 0:
            difference -= old
            domain.levels[old] ^= 1 << state.bit
            domain.counts[old] -= 1
            flavor.counts[old] -= 1
        if level >= 0:
            difference += level
            if level >= len(domain.levels) or level >= len(flavor.counts):
                for counts in (domain.levels, domain.counts, flavor.counts):
                    counts.extend([0] * (level + 1 - len(counts)))
            domain.levels[level] ^= 1 << state.bit
            domain.counts[level] += 1
            flavor.counts[level] += 1
        state.level = level
        flavor.move(domain)
        if difference:
            flavor.free += difference
            flavor.misplaced.setdefault(domain, domain.free)
            domain.free += difference

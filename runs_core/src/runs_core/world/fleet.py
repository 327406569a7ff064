"""Free GPUs by flavor, domain and node, as bit masks, so that best fit is two lowest-set-bit operations.

Usable: present, ready, not cordoned, not lost, not set aside. Everything is kept by differences; `oracle.fleet`
recomputes it.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence

import attrs

from runs_core.values.lease import Lease, Role, mask_of
from runs_core.values.node import MalformedNode, Node
from runs_core.values.placement import Placement
from runs_core.values.pod import Pod
from runs_core.world.domains import DomainFleet
from runs_core.world.filters import allows
from runs_core.world.flavors import FlavorFleet
from runs_core.world.nodes import NodeState


class Fleet:
    """All flavors, and the nodes that were set aside. freed, changed: the sums over flavors.

    shared: nodes with a place that two leases of one role hold, as may seem so while a closure is being written. dark:
    names of nodes that are lost, and of those that are not there though something lies on them.
    """

    def __init__(self) -> None:
        self.shared: set[str] = set()
        self.dark: set[str] = set()
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
            self.dark.add(name)
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
        if new is None or new.lost:
            self.dark.add(name)
        else:
            self.dark.discard(name)
        if new is not None:
            self._join(state, new)
            self.refresh(state)
        for node in (old, new):
            if node is not None:
                flavor = self.flavors[node.flavor]
                flavor.changed += 1
                self.changed += 1
                domain = flavor.domains[node.domain]
                self._offers_more(flavor, domain)
                flavor.never.clear()
                flavor.empty.clear()
                domain.empty = None
                domain.changes += 1
        state.changes += 1
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
            state.changed()
            self.refresh(state)
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
                state.changed()
                self.refresh(state)
                if not bound:
                    self._freed(state)
                    self._forget(state)

    def keep(self, name: str, mask: int) -> None:
        """So many of its places are promised to somebody for later, and no others."""
        state = self.state(name)
        state.kept = mask
        self.refresh(state)
        self._freed(state)
        self._forget(state)

    def retake(self, name: str, leases: Iterable[Lease]) -> None:
        """These leases hold places on a shared node; one that held the same places does not any more."""
        state = self.state(name)
        state.active = state.spare = 0
        self.shared.discard(name)
        self.refresh(state)
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
        if there and state.domain is not None and state.flavor is not None:
            state.flavor.move(state.domain)
        if pod.rank is None and pod.gpus:
            state.foreign_gpus += sign * pod.gpus
            state.changed()
            self.refresh(state)
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
            state.domain, state.flavor = domain, flavor
            self.rebuilds += domain.seat(state)
        for counts in (domain.levels, flavor.counts):
            counts.extend([0] * (node.gpus + 1 - len(counts)))
        domain.empty = None
        clear = ~(1 << state.bit)
        for filter_ in domain.filtered:
            allowed = allows(filter_, node)
            domain.filtered[filter_] = domain.filtered[filter_] & clear | (allowed << state.bit)
        for requests in domain.short:
            domain.short[requests] &= clear

    def _leave(self, state: NodeState, node: Node) -> None:
        """The seat stays, empty, so that the same node comes back to it (a what-if does so at once)."""
        domain = state.domain
        assert domain is not None
        for filter_ in domain.filtered:
            domain.filtered[filter_] &= ~(1 << state.bit)
        domain.states[state.bit] = empty = NodeState(state.name)
        empty.bit = state.bit
        self.flavors[node.flavor].nodes -= 1
        state.domain = state.flavor = None

    def _forget(self, state: NodeState) -> None:
        if state.node is None and state.idle():
            self.states.pop(state.name, None)
            self.dark.discard(state.name)

    def _freed(self, state: NodeState) -> None:
        if state.domain is not None and state.flavor is not None:
            self._offers_more(state.flavor, state.domain)
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

    def refresh(self, state: NodeState) -> None:
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
            flavor = self.flavors[state.node.flavor]
            flavor.withheld += withheld - state.withheld
            flavor.moved += 1  # what is told of it may be otherwise, though no more or less is free
            state.withheld = withheld

    def _relevel(self, state: NodeState, level: int) -> None:
        """level: usable free GPUs; -1: not usable."""
        old = state.level
        if old == level:
            return
        domain, flavor = state.domain, state.flavor
        assert domain is not None
        assert flavor is not None
        bit, difference = 1 << state.bit, 0
        if old >= 0:
            difference -= old
            domain.levels[old] ^= bit
            flavor.counts[old] -= 1
        if level >= 0:
            difference += level
            domain.levels[level] ^= bit
            flavor.counts[level] += 1
        state.level = level
        flavor.move(domain)
        if difference:
            flavor.free += difference
            flavor.misplaced.setdefault(domain, domain.free)
            domain.free += difference

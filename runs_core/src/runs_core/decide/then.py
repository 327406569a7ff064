"""Domains as they will be at a moment: copied, nodes too, only once the planner looks at them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, SupportsIndex, overload

from runs_core.values.meta import Key
from runs_core.values.node import Domain
from runs_core.world.domains import DomainFleet
from runs_core.world.flavors import FlavorFleet
from runs_core.world.nodes import NodeState
from runs_core.world.timetable import Hours

if TYPE_CHECKING:
    from runs_core.decide.ahead import Ahead, Moment

UNUSABLE = -1


class Domains(dict[Domain, DomainFleet]):
    """Each made when somebody asks for it."""

    def __init__(self, made: Callable[[Domain], DomainFleet]) -> None:
        super().__init__()
        self._made = made

    def __missing__(self, key: Domain) -> DomainFleet:
        found = self[key] = self._made(key)
        return found


class Nodes(list[NodeState]):
    """By bit; each copied when somebody asks for it by that."""

    def __init__(self, states: list[NodeState], copied: Callable[[NodeState], NodeState]) -> None:
        super().__init__(states)
        self._copied = copied
        self._known: dict[SupportsIndex, NodeState] = {}

    @overload
    def __getitem__(self, bit: SupportsIndex) -> NodeState: ...
    @overload
    def __getitem__(self, bit: slice) -> list[NodeState]: ...
    def __getitem__(self, bit: SupportsIndex | slice) -> NodeState | list[NodeState]:
        if isinstance(bit, slice):
            return [self[at] for at in range(*bit.indices(len(self)))]
        found = self._known.get(bit)
        if found is None:
            found = self._known[bit] = self._copied(super().__getitem__(bit))
        return found


class Then(FlavorFleet):
    """Those domains in which any of a run can lie. kept: places that it must leave, by node."""

    def __init__(self, ahead: Ahead, moment: Moment, kept: Mapping[str, int]) -> None:
        super().__init__()
        self.domains = Domains(self._domain)
        self._ahead = ahead
        self._moment = moment
        self._kept = kept
        self._there: dict[Domain, tuple[DomainFleet, Hours, int, Mapping[int, int]]] = {}

    def put(self, domain: DomainFleet, hours: Hours, exactly: Mapping[int, NodeState]) -> None:
        """One more. exactly: nodes of which the timetable does not tell how they are then, by their bits."""
        at = self._moment.at
        free = bisect_right(hours.pods(1), at)
        levels = {}
        for bit, state in exactly.items():
            level = levels[bit] = self._level(state)
            free += max(level, 0) - bisect_right(hours.frees[bit], at)
        self._there[domain.key] = domain, hours, free, levels
        self._order.append((free, domain.key))

    def sort(self) -> None:
        """All are there."""
        self._order.sort()

    def pods(self, gpus: int) -> int:
        """No more pods of that many GPUs than this."""
        return sum(free // gpus for free, _ in self._order)

    def _domain(self, key: Domain) -> DomainFleet:
        domain, hours, free, exactly = self._there[key]
        at, least = self._moment.at, self._ahead.need.gpus_per_pod
        found = DomainFleet(key)
        found.filtered, found.free = domain.filtered, free
        found.levels = levels = [0] * (1 + hours.widest)
        for bit, level in exactly.items():
            if level > 0:
                levels[level] |= 1 << bit
        whole = 0
        for bit, times in enumerate(hours.frees):
            if len(times) >= least and times[least - 1] <= at and bit not in exactly:
                level = len(times) if times[-1] <= at else bisect_right(times, at)
                levels[level] |= 1 << bit
                if level == len(hours.nodes[bit].at):
                    whole |= 1 << bit
        found.states = Nodes(domain.states, lambda state: self._copy(state, whole=bool(whole >> state.bit & 1)))
        return found

    def _level(self, state: NodeState) -> int:
        """GPUs that are free then."""
        node = state.node
        if node is None or not state.open:
            return UNUSABLE
        held = self._active(state) | state.spare
        if held >> node.gpus:
            return UNUSABLE
        taken = held | state.pledged | self._kept.get(state.name, 0)
        return max(0, node.gpus - taken.bit_count() - state.foreign_gpus)

    def _active(self, state: NodeState) -> int:
        """Its places that are held then."""
        active = state.active
        for key, mask in self._ahead.on(state.name):
            if self._ahead.gone(key, self._moment):
                active &= ~mask
        return active

    def _copy(self, state: NodeState, *, whole: bool) -> NodeState:
        """The node as it will be. whole: nothing is left on it then."""
        node, need = state.node, self._ahead.need
        copy = NodeState(state.name)
        copy.node, copy.open, copy.bit = node, state.open, state.bit
        copy.cpu, copy.memory, copy.ephemeral, copy.pods = state.cpu, state.memory, state.ephemeral, state.pods
        if not whole:
            copy.active, copy.spare, copy.pledged = self._active(state), state.spare, state.pledged
            copy.foreign_gpus, copy.kept = state.foreign_gpus, self._kept.get(state.name, 0)
        if node is None:
            return copy
        room = node.pods - state.pods if self._ahead.plain else state.room(need.requests)
        if room < node.gpus // need.gpus_per_pod:
            for key in dict.fromkeys(key for key, _ in self._ahead.on(state.name)):
                if self._ahead.gone(key, self._moment):
                    self._unload(copy, key)
        return copy

    def _unload(self, copy: NodeState, key: Key) -> None:
        for pod in self._ahead.world.pods_of(key):
            if pod.node == copy.name and not pod.phase.ended:
                copy.cpu -= pod.requests.cpu_milli
                copy.memory -= pod.requests.memory_bytes
                copy.ephemeral -= pod.requests.ephemeral_bytes
                copy.pods -= 1

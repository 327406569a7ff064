"""Domains as they will be at a moment: copied, nodes too, only once the planner looks at them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, SupportsIndex, overload

from runs_core.values.lease import mask_of
from runs_core.values.meta import Key
from runs_core.values.node import Domain
from runs_core.values.placement import Placement
from runs_core.world.domains import Bare, DomainFleet
from runs_core.world.flavors import FlavorFleet
from runs_core.world.hours import Hours, Times
from runs_core.world.nodes import NodeState

if TYPE_CHECKING:
    from runs_core.decide.ahead import Ahead


class Moment(NamedTuple):
    """at: seconds since 1970. last: of those who go at that very moment, who has gone: the first; None: all."""

    at: float
    last: Collection[Key] | None = None


class Own:
    """When a domain comes free for a run that reckons with some who go before their ends. frees: by the bit of a node.

    places: of nodes where that is otherwise than the timetable says, by place.
    """

    __slots__ = ("_times", "frees", "hours", "places")

    def __init__(self, hours: Hours, frees: Sequence[Times], places: Mapping[int, Sequence[float]]) -> None:
        self.hours = hours
        self.frees = frees
        self.places = places
        self._times: Sequence[float] | None = None

    def at(self, bit: int) -> Sequence[float]:
        """From when on each place of that node is free."""
        return self.places[bit] if bit in self.places else self.hours.nodes[bit].at

    def free(self, at: float) -> int:
        """GPUs that are free then."""
        if self._times is None:
            self._times = sorted(chain.from_iterable(self.frees)) if self.places else self.hours.pods(1)
        return bisect_right(self._times, at)

    def levels(self, least: int, at: float) -> tuple[list[int], int]:
        """Masks of the nodes by free GPUs, where those are so many at least; and of those with nothing on them."""
        hours, above, whole = self.hours, 0, 0
        levels = [0] * (1 + hours.widest)
        for level in range(len(levels) - 1, least - 1, -1):
            reached = hours.reached(level, at)
            levels[level] = reached & ~above
            above = reached
        if self.places:
            levels = without(levels, self.places)
            for bit in self.places:
                if (level := bisect_right(self.frees[bit], at)) >= least:
                    levels[level] |= 1 << bit
        for gpus, mask in hours.sizes.items():
            whole |= levels[gpus] & mask
        return levels, whole


def without(masks: Sequence[int], bits: Iterable[int]) -> list[int]:
    """The masks, these bits aside."""
    others = ~sum(1 << bit for bit in bits)
    return [mask & others for mask in masks]


class On(NamedTuple):
    """Who is on a node. mask: places that it will leave."""

    run: Key
    mask: int


class Parted:
    """A node where not all have gone who go at one moment. active: held by who does not, and by these.

    going: as the so-manieth of all of them, sorted, and from which places.
    """

    __slots__ = ("_active", "_at", "_levels", "state")

    def __init__(self, state: NodeState, active: int, going: Sequence[tuple[int, int]]) -> None:
        self.state = state
        self._at = [at for at, _ in going]
        self._active = [active]
        for _, mask in going:
            self._active.append(self._active[-1] & ~mask)
        self._levels: dict[int, Sequence[int]] = {}

    def level(self, gone: int, kept: int) -> int:
        """GPUs that are free once so many have gone, of all. kept: mask of what is left to others."""
        levels = self._levels.get(kept)
        if levels is None:
            levels = self._levels[kept] = [self._free(active, kept) for active in self._active]
        return levels[bisect_left(self._at, gone)]

    def _free(self, active: int, kept: int) -> int:
        state, node, held = self.state, self.state.node, active | self.state.spare
        if node is None or not state.open or held >> node.gpus:
            return 0
        return max(0, node.gpus - (held | state.pledged | kept).bit_count() - state.foreign_gpus)


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
    """Those domains in which any of a run can lie. kept: places that it must leave, by node; part: its own of them."""

    def __init__(self, ahead: Ahead, moment: Moment, kept: Mapping[str, int], part: Mapping[str, int]) -> None:
        super().__init__()
        self.domains = Domains(self._domain)
        self._ahead = ahead
        self._moment = moment
        self._kept = kept
        self._part = part
        self._there: dict[Domain, tuple[DomainFleet, Own, int, Mapping[int, int]]] = {}

    def beside(self, placement: Placement) -> Then:
        """The same, where a part of it lies already."""
        part = dict(self._part)
        for group in placement.groups:
            for pod in group.pods:
                part[pod.node] = part.get(pod.node, 0) | mask_of(pod.ordinals)
        return self._ahead.fleet_at(self._moment, part)

    def put(self, domain: DomainFleet, own: Own, others: Mapping[int, NodeState], parted: Mapping[int, Parted]) -> None:
        """One more. others: nodes where places may be kept. parted: where not all have gone who go at that moment."""
        at, kept = self._moment.at, self._kept
        free = own.free(at)
        gone = len(self._moment.last or ())
        levels = {bit: one.level(gone, kept.get(one.state.name, 0)) for bit, one in parted.items()}
        for bit, state in others.items():
            if bit not in levels and (mask := kept.get(state.name)):
                places = sum(when <= at and not mask >> place & 1 for place, when in enumerate(own.at(bit)))
                levels[bit] = max(0, places - state.foreign_gpus)
        for bit, level in levels.items():
            free += level - bisect_right(own.frees[bit], at)
        self._there[domain.key] = domain, own, free, levels
        self._order.append((free, domain.key))

    def sort(self) -> None:
        """All are there."""
        self._order.sort()

    def pods(self, gpus: int) -> int:
        """No more pods of that many GPUs than this."""
        return sum(free // gpus for free, _ in self._order)

    def _domain(self, key: Domain) -> DomainFleet:
        domain, own, free, exactly = self._there[key]
        found = DomainFleet(key)
        found.filtered, found.free = domain.filtered, free
        levels, whole = own.levels(self._ahead.need.gpus_per_pod, self._moment.at)
        if exactly:
            *levels, whole = without([*levels, whole], exactly)
            for bit, level in exactly.items():
                levels[level] |= 1 << bit
        found.levels = levels
        if self._ahead.plain:
            found.bare = Bare(whole & own.hours.roomy(domain), domain.states)
        found.states = Nodes(domain.states, partial(self._copy, whole=whole))
        return found

    def _copy(self, state: NodeState, *, whole: int) -> NodeState:
        """The node as it will be. whole: mask of those on which nothing is left then."""
        node, need = state.node, self._ahead.need
        copy = NodeState(state.name)
        copy.node, copy.open, copy.bit = node, state.open, state.bit
        copy.cpu, copy.memory, copy.ephemeral, copy.pods = state.cpu, state.memory, state.ephemeral, state.pods
        if not whole >> state.bit & 1:
            copy.active, copy.spare, copy.pledged = self._ahead.active(state, self._moment), state.spare, state.pledged
            copy.foreign_gpus, copy.kept = state.foreign_gpus, self._kept.get(state.name, 0)
        if node is None:
            return copy
        room = node.pods - state.pods if self._ahead.plain else state.room(need.requests)
        if room < node.gpus // need.gpus_per_pod:
            for key in dict.fromkeys(one.run for one in self._ahead.on(state.name)):
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

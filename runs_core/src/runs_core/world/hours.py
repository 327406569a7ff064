"""When the GPUs of one node, and of one domain, come free: as the timetable has worked it out."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import inf
from operator import or_
from typing import NamedTuple

from runs_core.world.domains import DomainFleet
from runs_core.world.nodes import NodeState

Times = tuple[float, ...]
"""Of a node: from when on it has one GPU free, from when on two, and so on; seconds since 1970, sorted."""


class Comes:
    """One node. at: from when on each of its places is free; times: the same, sorted. It holds as `Hours` do."""

    __slots__ = ("at", "changes", "end", "estimated", "since", "state", "times")

    def __init__(self, state: NodeState, at: Sequence[float], since: float, end: float, estimated: int | None) -> None:
        self.state = state
        self.at = at
        self.times = sorted_times(state, at)
        self.changes = state.changes
        self.since = since
        self.end = end
        self.estimated = estimated

    def holds(self, state: NodeState, now: float, estimated: int) -> bool:
        """Whether that is still so."""
        return (
            self.state is state
            and self.changes == state.changes
            and self.since <= now < self.end
            and (self.estimated is None or self.estimated == estimated)
        )


class Reached(NamedTuple):
    """times: from when on a first node has so many GPUs free, a second, and so on. masks: of none, the first, both."""

    times: Sequence[float]
    masks: Sequence[int]


class Hours:
    """One domain. nodes, frees: by a node's bit. It holds from `since` on until `end`, while nothing changes there.

    sizes: masks of nodes by the GPUs they have. estimated: the number of the estimates that it rests on; None: on none.
    """

    __slots__ = ("_counts", "_reached", "_roomy", "changes", "end", "estimated", "frees", "nodes", "since", "sizes")

    def __init__(self, nodes: Sequence[Comes], changes: int, now: float) -> None:
        self.nodes = nodes
        self.frees = [node.times for node in nodes]
        self.changes = changes
        self.since = now
        self.end = min((node.end for node in nodes), default=inf)
        self.estimated = next((node.estimated for node in nodes if node.estimated is not None), None)
        self.sizes: dict[int, int] = {}
        for bit, one in enumerate(nodes):
            if (node := one.state.node) is not None:
                self.sizes[node.gpus] = self.sizes.get(node.gpus, 0) | 1 << bit
        self._counts: dict[int, Sequence[float]] = {}
        self._reached: dict[int, Reached] = {}
        self._roomy = (-1, 0)

    @property
    def widest(self) -> int:
        """GPUs of the biggest node."""
        return max(self.sizes, default=0)

    def holds(self, now: float, estimated: int) -> bool:
        """Whether that is still so, where nothing has changed."""
        return self.since <= now < self.end and (self.estimated is None or self.estimated == estimated)

    def pods(self, gpus: int) -> Sequence[float]:
        """From when on it takes one pod of so many GPUs, from when on two, and so on, by GPUs alone."""
        found = self._counts.get(gpus)
        if found is None:
            found = self._counts[gpus] = pods(self.frees, gpus)
        return found

    def reached(self, gpus: int, at: float) -> int:
        """Mask of the nodes that have so many GPUs free then."""
        found = self._reached.get(gpus)
        if found is None:
            found = self._reached[gpus] = _reached(self.frees, gpus)
        return found.masks[bisect_right(found.times, at)]

    def roomy(self, domain: DomainFleet) -> int:
        """Mask of the nodes that take one more pod for each of their GPUs, beside all that are there now."""
        if self._roomy[0] != domain.moved:
            here = [1 << bit for bit, one in enumerate(self.nodes) if has_room(one.state)]
            self._roomy = domain.moved, sum(here)
        return self._roomy[1]


def has_room(state: NodeState) -> bool:
    """For one more pod for each of its GPUs, beside all that are there now."""
    node = state.node
    return node is not None and node.pods - state.pods >= node.gpus


def sorted_times(state: NodeState, at: Sequence[float]) -> Times:
    """When its GPUs come free. at: by place."""
    here = sorted(at)
    if state.foreign_gpus:
        here = here[state.foreign_gpus :]
    if here and here[-1] == inf:
        here = here[: bisect_left(here, inf)]
    return tuple(here)


def but_between(times: Times, begin: float, end: float, floor: float) -> Times:
    """The same where nothing can be had after `begin` and before `end`. floor: earlier is no use."""
    first = 0 if floor > begin else bisect_right(times, begin)
    last = bisect_left(times, end)
    if last <= first or floor >= end:
        return times
    return times[:first] + ((end,) * (last - first) if end < inf else ()) + times[last:]


def pods(frees: Sequence[Times], gpus: int) -> Sequence[float]:
    """As `Hours.pods`, of some nodes."""
    found: list[float] = []
    for times in frees:
        if len(times) >= gpus:
            found += times[gpus - 1 :: gpus]
    found.sort()
    return found


def _reached(frees: Sequence[Times], gpus: int) -> Reached:
    each = sorted((times[gpus - 1], 1 << bit) for bit, times in enumerate(frees) if len(times) >= gpus)
    return Reached([at for at, _ in each], [*accumulate((bit for _, bit in each), or_, initial=0)])

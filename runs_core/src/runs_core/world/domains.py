"""The nodes of one flavor in one fabric domain, as bit masks.

A node is one bit, in the order of names. `levels[n]` is the mask of the usable nodes with n free GPUs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from runs_core.values.need import NodeFilter
from runs_core.values.node import Domain
from runs_core.values.template import Requests
from runs_core.world.filters import allows
from runs_core.world.nodes import NodeState

MOST_FILTERS = 1024
"""Filters and pod shapes remembered for each domain; past it the memory starts anew."""
MOST_EMPTY_SEATS = 64


class Bare(NamedTuple):
    """Nodes with all their places free, and room for pods on all of them. mask: which; states: of all nodes, by bit."""

    mask: int
    states: Sequence[NodeState]


class DomainFleet:
    """One flavor's nodes in one fabric domain. free: usable free GPUs; levels: the nodes by theirs.

    moved: the flavor's `moved` when this domain last took part in it. changes: counts up whenever anything comes or
    goes there, but for what-ifs. bare: None: nobody has looked. look_at: with so many seats it is looked again whether
    most are empty.
    """

    __slots__ = (
        "bare",
        "bits",
        "changes",
        "empty",
        "filtered",
        "free",
        "key",
        "levels",
        "look_at",
        "moved",
        "names",
        "short",
        "states",
    )

    def __init__(self, key: Domain) -> None:
        self.key = key
        self.names: list[str] = []
        self.states: list[NodeState] = []
        self.bits: dict[str, int] = {}
        self.levels: list[int] = [0]
        self.free = 0
        self.bare: Bare | None = None
        self.filtered: dict[NodeFilter, int] = {}
        self.short: dict[Requests, int] = {}
        self.empty: list[int] | None = None
        self.moved = self.changes = 0
        self.look_at = 0

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

    def gpus(self, filter_: NodeFilter) -> int:
        """All the GPUs of nodes that the filter allows, as of `empty_levels`."""
        eligible = self.eligible(filter_)
        return sum(level * (mask & eligible).bit_count() for level, mask in enumerate(self.empty_levels()))

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

    # -- seats ------------------------------------------------------------------------------------------------------

    def seat(self, state: NodeState) -> bool:
        """Give the node its bit: its old one, the next one, or, out of order, a place among the others.

        Returns whether seats that had been left were dropped first.
        """
        bit, compacted = self.bits.get(state.name), False
        if bit is None:
            compacted = self._compact()
            bit = bisect_left(self.names, state.name)
            if bit == len(self.names):
                self.names.append(state.name)
                self.states.append(state)
                self.bits[state.name] = bit
            else:
                self.names.insert(bit, state.name)
                self.states.insert(bit, state)
                self._renumber(bit)
        state.bit = bit
        self.states[bit] = state
        return compacted

    def _compact(self) -> bool:
        """Drop the seats of nodes that left, once most are empty: names that never come back must not add up."""
        if len(self.states) < max(MOST_EMPTY_SEATS, self.look_at):
            return False
        kept = [state for state in self.states if state.node is not None]
        if 2 * len(kept) > len(self.states):
            self.look_at = len(self.states) * 9 // 8
            return False
        self.look_at = 0
        levels = [state.level for state in kept]
        self.states, self.names = kept, [state.name for state in kept]
        self.bits = {state.name: bit for bit, state in enumerate(kept)}
        self.levels = [0] * len(self.levels)
        self.filtered.clear()
        self.short.clear()
        for bit, (state, level) in enumerate(zip(kept, levels, strict=True)):
            state.bit = bit
            if level >= 0:
                self.levels[level] |= 1 << bit
        return True

    def _renumber(self, bit: int) -> None:
        """A name came in between: all masks open a gap at `bit`.

        Happens as nodes are discovered, never while deciding.
        """
        low = (1 << bit) - 1

        def gap(mask: int) -> int:
            return (mask & low) | ((mask & ~low) << 1)

        self.empty = None
        self.levels = [gap(mask) for mask in self.levels]
        self.filtered = {filter_: gap(mask) for filter_, mask in self.filtered.items()}
        self.short = {requests: gap(mask) for requests, mask in self.short.items()}
        for at in range(bit, len(self.names)):
            self.bits[self.names[at]] = at
            self.states[at].bit = at

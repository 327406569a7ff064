"""One domain as a trial of a placement sees it: what is free on its nodes, less what the trial has taken there.

Source: section "Place" of the semantics; best fit is two lowest-set-bit operations on the domain's masks.
"""

from __future__ import annotations

from collections.abc import Iterable

from runs_core.values.need import Need
from runs_core.world.domains import DomainFleet
from runs_core.world.nodes import NodeState

Seats = list[NodeState]


class Room:
    """One domain as a trial sees it. levels: usable, allowed nodes by free GPUs, less what the trial took.

    bare: nodes with all their places free, and room for pods on all of them, as far as that is known; single: those of
    them of which it took one seat.
    """

    __slots__ = ("bare", "domain", "empty", "free", "levels", "need", "short", "single", "taken", "visited")

    def __init__(self, domain: DomainFleet, need: Need, *, empty: bool = False) -> None:
        self.domain = domain
        self.need = need
        self.empty = empty
        eligible = domain.eligible(need.filter)
        self.levels = [mask & eligible for mask in (domain.empty_levels() if empty else domain.levels)]
        self.short = 0 if empty else domain.short.get(need.requests, 0)
        self.free = domain.gpus(need.filter) if empty else domain.free
        self.taken: dict[int, int] = {}
        self.visited = self.single = 0
        self.bare = domain.bare.mask if domain.bare is not None and not empty else 0

    def bound(self) -> int:
        """No more pods than this fit: by GPUs alone."""
        gpus, levels, most = self.need.gpus_per_pod, self.levels, 0
        for level in range(gpus, len(levels)):
            if levels[level]:
                most += levels[level].bit_count() * (level // gpus)
        return most

    def take(self, pods: int) -> Seats:
        """Seats for up to that many pods, each on the node with the least free GPUs that fits it, tie by name."""
        gpus, levels, taken, states = self.need.gpus_per_pod, self.levels, self.taken, self.domain.states
        seats: Seats = []
        left = pods
        for level in range(gpus, len(levels)):
            mask, most = levels[level] & ~self.short, level // gpus
            if mask and most == 1 and not mask & ~self.bare:
                seats += self._take_bare(mask, level, left)
                left = pods - len(seats)
                mask = 0
            while mask and left:
                low = mask & -mask
                mask ^= low
                self.visited += 1
                state = states[low.bit_length() - 1]
                fits = min(left, most, self._room(state, low))
                if fits:
                    self.bare &= ~low
                    seats.extend([state] * fits)
                    levels[level] ^= low
                    levels[level - fits * gpus] |= low
                    taken[low] = taken.get(low, 0) + fits
                    left -= fits
            if not left:
                break
        self.free -= len(seats) * gpus
        return seats

    def _take_bare(self, mask: int, level: int, pods: int) -> Seats:
        """One on each of the first of these nodes: they have room for it."""
        assert self.domain.bare is not None
        seats: Seats = []
        left, taken, states = mask, self.taken, self.domain.bare.states
        while left and len(seats) < pods:
            low = left & -left
            left ^= low
            seats.append(states[low.bit_length() - 1])
            taken[low] = 1
        self.visited += len(seats)
        took = mask ^ left
        self.single |= took
        self.levels[level] ^= took
        self.levels[level - self.need.gpus_per_pod] |= took
        return seats

    def give_back(self, seats: Iterable[NodeState]) -> None:
        """Undo a take that did not suffice."""
        gpus = self.need.gpus_per_pod
        for state in seats:
            bit = 1 << state.bit
            level = next(level for level, mask in enumerate(self.levels) if mask & bit)
            self.levels[level] ^= bit
            self.levels[level + gpus] |= bit
            self.taken[bit] -= 1
            if not self.taken[bit]:
                del self.taken[bit]
            self.short &= ~bit
            self.single &= ~bit
            self.free += gpus

    def _room(self, state: NodeState, bit: int) -> int:
        requests = self.need.requests
        taken = self.taken.get(bit, 0)
        room = state.room(requests, empty=self.empty) - taken
        if room <= 0:
            self.short |= bit
            if not taken and not self.empty:
                self.domain.remember_short(requests, bit)
        return max(room, 0)

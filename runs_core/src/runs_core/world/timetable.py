"""When the GPUs of each node come free, by the expected ends of what is on it: so that nobody needs to replay them.

Worked out for a domain when somebody asks, and anew once something in it has changed or an end has passed. Places that
are promised to somebody for later count as what is on them now: who asks adds those that it has to leave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING

from runs_core.values.lease import Role
from runs_core.values.meta import Key
from runs_core.world.domains import DomainFleet
from runs_core.world.nodes import NodeState

if TYPE_CHECKING:
    from runs_core.world.known import Known

NOW = -inf
"""Free as it is."""
Times = tuple[float, ...]
"""Of a node: from when on it has one GPU free, from when on two, and so on; seconds since 1970, sorted."""
Until = Callable[[int, float], float]
"""From when on a place can be had that what is on it leaves then."""


class Hours:
    """One domain. frees: by the bit of a node. It holds from `since` on until `end`, while nothing changes there."""

    __slots__ = ("_counts", "changes", "end", "estimated", "frees", "since")

    def __init__(self, frees: Sequence[Times], changes: int, since: float, end: float, estimated: int | None) -> None:
        self.frees = frees
        self.changes = changes
        self.since = since
        self.end = end
        self.estimated = estimated
        self._counts: dict[int, Sequence[float]] = {}

    def pods(self, gpus: int) -> Sequence[float]:
        """From when on it takes one pod of so many GPUs, from when on two, and so on, by GPUs alone."""
        found = self._counts.get(gpus)
        if found is None:
            found = self._counts[gpus] = pods(self.frees, gpus)
        return found


def pods(frees: Sequence[Times], gpus: int) -> Sequence[float]:
    """As `Hours.pods`, of some nodes."""
    found: list[float] = []
    for times in frees:
        if len(times) >= gpus:
            found += times[gpus - 1 :: gpus]
    found.sort()
    return found


class Timetable:
    """By domain; of ends as they are expected, and as nine of ten runs have had theirs."""

    def __init__(self, world: Known) -> None:
        self._world = world
        self._known: tuple[dict[DomainFleet, Hours], dict[DomainFleet, Hours]] = ({}, {})

    def moved(self, key: Key) -> None:
        """That run is expected to end at another time than before."""
        if not (self._known[0] or self._known[1]):
            return
        states = self._world.fleet.states
        for lease in self._world.ledger.by_run.get(key, {}).values():
            for slots in lease.spec.slots:
                state = states.get(slots.node)
                if state is not None and state.domain is not None:
                    for known in self._known:
                        known.pop(state.domain, None)

    def hours(self, flavor: str, *, most: bool) -> Mapping[DomainFleet, Hours]:
        """All domains of that flavor. Cost: those that changed since somebody asked last."""
        world, known = self._world, self._known[most]
        world.ends.begin()
        now, estimated = world.now.timestamp(), world.lengths.estimated
        found, told = {}, dict[Key, float]()
        for domain in world.fleet.flavors[flavor].domains.values():
            hours = known.get(domain)
            if (
                hours is None
                or hours.changes != domain.changes
                or not hours.since <= now < hours.end
                or (hours.estimated is not None and hours.estimated != estimated)
            ):
                hours = known[domain] = self._worked_out(domain, flavor, told, most=most)
            found[domain] = hours
        return found

    def _worked_out(self, domain: DomainFleet, flavor: str, told: dict[Key, float], *, most: bool) -> Hours:
        """told: ends that were looked up before."""
        ends, end, estimates = self._world.ends, inf, False

        def leaves(key: Key) -> float:
            nonlocal end, estimates
            estimates = estimates or ends.estimates(key)
            at = told.get(key)
            if at is None:
                found = ends.leaving(key, flavor, most=most)
                at = told[key] = inf if found is None else found.at
            end = min(end, at)
            return at

        frees = [self.frees(state, leaves) for state in domain.states]
        now, estimated = self._world.now.timestamp(), self._world.lengths.estimated if estimates else None
        return Hours(frees, domain.changes, now, end, estimated)

    def frees(self, state: NodeState, leaves: Callable[[Key], float], until: Until | None = None) -> Times:
        """When a node's GPUs come free. leaves: when a run is gone. until: when its places are anybody's then."""
        node, active, fixed = state.node, state.active, state.spare | state.pledged
        if node is None or not state.open:
            return ()
        if not (active or fixed or until or state.foreign_gpus):
            return (NOW,) * node.gpus
        held = active | state.spare
        at = [NOW] * max(node.gpus, held.bit_length())
        rest = active
        for lease in self._world.ledger.by_node.get(state.name, {}).values():
            if lease.spec.role is not Role.ACTIVE:
                continue
            when = leaves(lease.run)
            for slots in lease.spec.slots:
                if slots.node == state.name:
                    for place in slots.ordinals:
                        if rest >> place & 1:
                            at[place] = when
                        elif active >> place & 1:
                            at[place] = min(at[place], when)  # shared while a closure is being written
                    rest &= ~slots.mask
        for place in range(len(at)):
            if (rest | fixed) >> place & 1:
                at[place] = inf
        if len(at) > node.gpus:
            usable = max(at[node.gpus :])
            at = [max(when, usable) for when in at[: node.gpus]]
        if until is not None:
            at = [until(place, when) for place, when in enumerate(at)]
        at.sort()
        return tuple(when for when in at[state.foreign_gpus :] if when < inf)

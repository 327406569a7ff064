"""When the GPUs of each node come free, by the expected ends of what is on it: so that nobody needs to replay them.

Worked out for a node when somebody asks, and anew once something on it has changed or an end has passed. Places that
are promised to somebody for later count as what is on them now: who asks adds those that it has to leave.
"""

from __future__ import annotations

from bisect import bisect_left
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


class Hours:
    """One domain. nodes, frees: by a node's bit. It holds from `since` on until `end`, while nothing changes there.

    widest: GPUs of the biggest node. estimated: the number of the estimates that it rests on; None: on none.
    """

    __slots__ = ("_counts", "changes", "end", "estimated", "frees", "nodes", "since", "widest")

    def __init__(self, nodes: Sequence[Comes], changes: int, now: float) -> None:
        self.nodes = nodes
        self.frees = [node.times for node in nodes]
        self.changes = changes
        self.since = now
        self.end = min((node.end for node in nodes), default=inf)
        self.estimated = next((node.estimated for node in nodes if node.estimated is not None), None)
        self.widest = max((node.state.node.gpus for node in nodes if node.state.node is not None), default=0)
        self._counts: dict[int, Sequence[float]] = {}

    def pods(self, gpus: int) -> Sequence[float]:
        """From when on it takes one pod of so many GPUs, from when on two, and so on, by GPUs alone."""
        found = self._counts.get(gpus)
        if found is None:
            found = self._counts[gpus] = pods(self.frees, gpus)
        return found


def sorted_times(state: NodeState, at: Sequence[float]) -> Times:
    """When its GPUs come free. at: by place."""
    here = sorted(at)
    if state.foreign_gpus:
        here = here[state.foreign_gpus :]
    if here and here[-1] == inf:
        here = here[: bisect_left(here, inf)]
    return tuple(here)


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
        states = self._world.fleet.states
        for lease in self._world.ledger.by_run.get(key, {}).values():
            for slots in lease.spec.slots:
                state = states.get(slots.node)
                if state is not None and state.domain is not None:
                    state.changed()

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
                hours = known[domain] = self._worked_out(domain, hours, flavor, told, most=most)
            found[domain] = hours
        return found

    def _worked_out(
        self, domain: DomainFleet, old: Hours | None, flavor: str, told: dict[Key, float], *, most: bool
    ) -> Hours:
        """Only nodes that changed. told: ends that were looked up before."""
        now, estimated = self._world.now.timestamp(), self._world.lengths.estimated
        before = old.nodes if old is not None else ()
        nodes = [
            before[bit]
            if bit < len(before) and before[bit].holds(state, now, estimated)
            else self._comes(state, flavor, told, most=most)
            for bit, state in enumerate(domain.states)
        ]
        return Hours(nodes, domain.changes, now)

    def _comes(self, state: NodeState, flavor: str, told: dict[Key, float], *, most: bool) -> Comes:
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

        at = self.places(state, leaves)
        return Comes(state, at, self._world.now.timestamp(), end, self._world.lengths.estimated if estimates else None)

    def places(self, state: NodeState, leaves: Callable[[Key], float]) -> Sequence[float]:
        """When a node's places come free. leaves: when a run is gone."""
        node, active, fixed = state.node, state.active, state.spare | state.pledged
        if node is None or not state.open:
            return ()
        if not (active or fixed):
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
        return at

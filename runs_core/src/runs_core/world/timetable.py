"""When the GPUs of each node come free, by the expected ends of what is on it: so that nobody needs to replay them.

Worked out for a node when somebody asks, and anew once something on it has changed or an end has passed. Places that
are promised to somebody for later count as what is on them now: who asks adds those that it has to leave.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from enum import Enum
from functools import partial
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from runs_core.values.lease import Role
from runs_core.values.meta import Key
from runs_core.values.need import NodeFilter
from runs_core.world.domains import DomainFleet
from runs_core.world.hours import Comes, Hours, Times, pods
from runs_core.world.nodes import NodeState

if TYPE_CHECKING:
    from runs_core.world.known import Known

NOW = -inf
"""Free as it is."""
MOST_COUNTS = 16
"""Kinds of pods whose counts are kept for each flavor; past it the memory starts anew."""


class Reckoning(Enum):
    """When who runs is gone. LOTS: as expected, or past its quantum: from then on it may be drawn."""

    ENDS = "as expected"
    LONGEST = "as nine of ten"
    LOTS = "as expected, or drawn"


class Counts:
    """From when on each domain takes pods of so many GPUs, by GPUs alone, where a filter lets them: if anywhere.

    narrow: domains with nodes that it does not allow.
    """

    def __init__(self, filter_: NodeFilter, gpus: int) -> None:
        self.times: dict[DomainFleet, Sequence[float]] = {}
        self.narrow: set[DomainFleet] = set()
        self._filter = filter_
        self._gpus = gpus
        self._number = 0

    def follow(self, table: Table) -> None:
        """Cost: the domains that were worked out anew since the last time."""
        for domain in table.since(self._number):
            self._put(domain, table.hours[domain])
        self._number = table.number

    def _put(self, domain: DomainFleet, hours: Hours) -> None:
        eligible = domain.eligible(self._filter)
        self.times.pop(domain, None)
        if eligible.bit_count() == len(domain.states):
            self.narrow.discard(domain)
            self.times[domain] = hours.pods(self._gpus)
            return
        self.narrow.add(domain)
        if eligible:
            self.times[domain] = pods(allowed(hours.frees, eligible), self._gpus)


class Table:
    """One flavor. number: counts up with each domain that is worked out anew."""

    def __init__(self) -> None:
        self.hours: dict[DomainFleet, Hours] = {}
        self.number = 0
        self._recent: dict[DomainFleet, int] = {}
        self._counts: dict[tuple[NodeFilter, int], Counts] = {}
        self._since, self._estimated = NOW, 0

    def put(self, domain: DomainFleet, hours: Hours) -> None:
        """That domain is so now."""
        self.number += 1
        self.hours[domain] = hours
        self._recent.pop(domain, None)
        self._recent[domain] = self.number

    def since(self, number: int) -> Iterator[DomainFleet]:
        """Which domains were worked out anew since then."""
        for domain in reversed(self._recent):
            if self._recent[domain] <= number:
                return
            yield domain

    def outdated(self, domains: Collection[DomainFleet], now: float, estimated: int) -> list[DomainFleet]:
        """Those that may be otherwise by now. Others hold unless time goes backwards, or estimates move."""
        every = now < self._since or estimated != self._estimated
        self._since, self._estimated = now, estimated
        found = [
            domain
            for domain, hours in self.hours.items()
            if hours.changes != domain.changes or hours.end <= now or (every and not hours.holds(now, estimated))
        ]
        if len(domains) > len(self.hours):
            found += [domain for domain in domains if domain not in self.hours]
        return found

    def counts(self, filter_: NodeFilter, gpus: int) -> Counts:
        """Until something changes."""
        found = self._counts.get((filter_, gpus))
        if found is None:
            if len(self._counts) >= MOST_COUNTS:
                self._counts.clear()
            found = self._counts[filter_, gpus] = Counts(filter_, gpus)
        found.follow(self)
        return found


class Goes(NamedTuple):
    """When a run is gone, and when it ends; never: infinite."""

    at: float
    end: float


Gone = dict[Key, Goes]


class Timetable:
    """By flavor, and by how it is reckoned."""

    def __init__(self, world: Known) -> None:
        self._world = world
        self._tables: dict[tuple[str, Reckoning], Table] = {}

    def moved(self, key: Key) -> None:
        """That run is expected to end at another time than before."""
        states = self._world.fleet.states
        for lease in self._world.ledger.by_run.get(key, {}).values():
            for slots in lease.spec.slots:
                state = states.get(slots.node)
                if state is not None and state.domain is not None:
                    state.changed()

    def of(self, flavor: str, reckoned: Reckoning) -> Table:
        """As of now. Cost: the domains that changed since somebody asked last."""
        world, table, gone = self._world, self._tables.setdefault((flavor, reckoned), Table()), Gone()
        world.ends.begin()
        if reckoned is Reckoning.LOTS:
            world.quanta.begin()
        now, estimated = world.now.timestamp(), world.lengths.estimated
        for domain in table.outdated(world.fleet.flavors[flavor].domains.values(), now, estimated):
            table.put(
                domain, self._worked_out(domain, table.hours.get(domain), partial(self._gone, flavor, reckoned, gone))
            )
        return table

    def _worked_out(self, domain: DomainFleet, old: Hours | None, gone: Callable[[Key], Goes]) -> Hours:
        """Only nodes that changed."""
        now, estimated = self._world.now.timestamp(), self._world.lengths.estimated
        before = old.nodes if old is not None else ()
        nodes = [
            before[bit] if bit < len(before) and before[bit].holds(state, now, estimated) else self._comes(state, gone)
            for bit, state in enumerate(domain.states)
        ]
        return Hours(nodes, domain.changes, now)

    def _comes(self, state: NodeState, gone: Callable[[Key], Goes]) -> Comes:
        end, estimates = inf, False

        def leaves(key: Key) -> float:
            nonlocal end, estimates
            estimates = estimates or self._world.ends.estimates(key)
            goes = gone(key)
            end = min(end, goes.end)
            return goes.at

        at = self.places(state, leaves)
        return Comes(state, at, self._world.now.timestamp(), end, self._world.lengths.estimated if estimates else None)

    def _gone(self, flavor: str, reckoned: Reckoning, known: Gone, key: Key) -> Goes:
        """known: those that were looked up before."""
        found = known.get(key)
        if found is None:
            leaves = self._world.ends.leaving(key, flavor, most=reckoned is Reckoning.LONGEST)
            end = inf if leaves is None else leaves.at
            over = self._world.quanta.over(key, flavor) if reckoned is Reckoning.LOTS else None
            found = known[key] = Goes(end if over is None else min(end, over), end)
        return found

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


def allowed(frees: Sequence[Times], eligible: int) -> Sequence[Times]:
    """Those of some nodes. eligible: their mask."""
    return [times for bit, times in enumerate(frees) if eligible >> bit & 1]

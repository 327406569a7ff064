"""The fleet as it will be once some have gone, seen by a run that waits: what it leaves to others is not free.

Nothing is emptied: domains in which any of it can lie are copied as they will be, and the others are left out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from math import inf
from typing import NamedTuple

from runs_core.decide.slices import left, met
from runs_core.values.lease import Lease, Role
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.node import Domain
from runs_core.values.reservation import Basis
from runs_core.world.domains import DomainFleet
from runs_core.world.flavors import FlavorFleet
from runs_core.world.nodes import NodeState
from runs_core.world.promises import Standing
from runs_core.world.timetable import Times, pods
from runs_core.world.world import World


class Sooner(NamedTuple):
    """Who goes before its end. order: among those who go at one moment."""

    at: float
    basis: Basis
    order: tuple[int, int]


class Moment(NamedTuple):
    """at: seconds since 1970. last: of those who go at that very moment, who has gone; None: all."""

    at: float
    last: Collection[Key] | None = None


class Ahead:
    """What one run waits for. sooner: who goes before its end. length: how long it will be there; None: unknown."""

    def __init__(
        self,
        world: World,
        key: Key,
        need: Need,
        fleet: FlavorFleet,
        *,
        most: bool,
        sooner: Mapping[Key, Sooner],
        those: Sequence[Standing],
        length: timedelta | None,
    ) -> None:
        self.world = world
        self.key = key
        self.need = need
        self.fleet = fleet
        self.most = most
        self.sooner = sooner
        self.those = those
        self.length = length
        self.special = self._special()
        self._eligible: dict[DomainFleet, Sequence[float]] = {}
        self._frees: dict[DomainFleet, Sequence[Times]] = {}
        self._others: dict[DomainFleet, dict[int, NodeState]] = {}
        self._hours = world.timetable.hours(need.flavor, most=most)
        requests = need.requests
        self._plain = not (requests.cpu_milli or requests.memory_bytes or requests.ephemeral_bytes)
        self._work_out()

    # -- when ------------------------------------------------------------------------------------------------------

    def leaves(self, key: Key) -> float:
        """When a run is gone; never: infinite."""
        early = self.sooner.get(key)
        if early is not None:
            return early.at
        if key == self.key:
            return inf
        found = self.world.ends.leaving(key, self.need.flavor, most=self.most)
        return inf if found is None else found.at

    def gone(self, key: Key, moment: Moment) -> bool:
        """Whether it is by then."""
        at = self.leaves(key)
        return at < moment.at or (at == moment.at and (moment.last is None or key in moment.last))

    def _special(self) -> Mapping[str, int]:
        """Nodes that are otherwise for it than the timetable says, and the places there that it may have to leave."""
        found: dict[str, int] = {}
        for one in self.those:
            for node, mask in one.masks.items():
                found[node] = found.get(node, 0) | mask
        for key in (*self.sooner, self.key):
            for lease in self.world.ledger.by_run.get(key, {}).values():
                for slots in lease.spec.slots:
                    found.setdefault(slots.node, 0)
        return found

    def _work_out(self) -> None:
        """When each domain takes how many pods, by GPUs alone and at best."""
        need, fleet, gpus = self.need, self.world.fleet, self.need.gpus_per_pod
        others = self._others
        for name in self.special:
            state = fleet.states.get(name)
            if state is not None and state.domain is not None:
                others.setdefault(state.domain, {})[state.bit] = state
        for domain, hours in self._hours.items():
            eligible = domain.eligible(need.filter)
            if not eligible:
                continue
            frees = hours.frees
            if domain in others:
                frees = list(frees)
                for state in others[domain].values():
                    until = self.until(state.name) if self.special[state.name] else None
                    frees[state.bit] = self.world.timetable.frees(state, self.leaves, until)
            self._frees[domain] = frees
            if eligible.bit_count() < len(domain.states):
                frees = [times for bit, times in enumerate(frees) if eligible >> bit & 1]
            elif domain not in others:
                self._eligible[domain] = hours.pods(gpus)
                continue
            self._eligible[domain] = pods(frees, gpus)

    def until(self, name: str) -> Callable[[int, float], float]:
        """From when on it can have a place there for the first time: a hole before another's time may do."""
        here = [(one.start, one.end, mask) for one in self.those if (mask := one.masks.get(name))]
        length, now = None if self.length is None else self.length.total_seconds(), self.world.now.timestamp()
        spans = [
            (-inf if length is None else start.timestamp() - length, inf if end is None else end.timestamp(), mask)
            for start, end, mask in here
        ]

        def first(place: int, when: float) -> float:
            moved = True
            while moved:
                moved = False
                for begin, end, mask in spans:
                    if mask >> place & 1 and begin < max(when, now) < end:
                        when, moved = end, True
            return when

        return first

    def enough(self) -> float:
        """From when on there are as many pods' worth of GPUs free as it wants, where it wants them; never: infinite.

        At best: nothing says yet that they are whole.
        """
        need, counts = self.need, self._eligible.values()
        if need.single_domain:
            return min((times[need.pods - 1] for times in counts if len(times) >= need.pods), default=inf)
        if need.group_pods is None or need.group_pods == 1:
            return _nth([times for times in counts if times], need.pods)
        full, short = divmod(need.pods, need.group_pods)
        groups = sorted(at for times in counts for at in times[need.group_pods - 1 :: need.group_pods])
        if not short:
            return groups[full - 1] if len(groups) >= full else inf
        if len(groups) < full:
            return inf
        since = groups[full - 1] if full else -inf
        more = groups[full] if len(groups) > full else inf
        return min([more, *(_short(times, since, need.group_pods, short) for times in counts)])

    # -- what is there then ----------------------------------------------------------------------------------------

    def fleet_at(self, moment: Moment) -> FlavorAhead:
        """Domains in which any of it can lie."""
        kept = left(self.world, met(self.those, datetime.fromtimestamp(moment.at, UTC), self.length))
        found = FlavorAhead()
        for domain, times in self._eligible.items():
            if self._takes_any(times, moment.at):
                found.add(self._domain(domain, moment, kept))
        return found

    def _takes_any(self, times: Sequence[float], at: float) -> bool:
        """Whether a domain that has room for pods from these moments on can have any part of it."""
        need = self.need
        least = need.pods if need.single_domain else min(need.pods, need.group_pods or 1)
        if need.group_pods and not need.single_domain and need.pods % need.group_pods:
            least = need.pods % need.group_pods
        return len(times) >= least and times[least - 1] <= at

    def concerns(self, key: Key, at: float) -> bool:
        """Whether that run is where any part of it can lie then: elsewhere its end changes nothing."""
        states = self.world.fleet.states
        for lease in self.world.ledger.by_run.get(key, {}).values():
            for slots in lease.spec.slots:
                state = states.get(slots.node)
                if state is not None and state.domain is not None:
                    times = self._eligible.get(state.domain)
                    if times is not None and self._takes_any(times, at):
                        return True
        return False

    def _domain(self, domain: DomainFleet, moment: Moment, kept: Mapping[str, int]) -> DomainFleet:
        found = DomainFleet(domain.key)
        found.filtered = domain.filtered
        found.states = list(domain.states)
        at, least, frees = moment.at, self.need.gpus_per_pod, self._frees[domain]
        found.levels = levels = [0] * (1 + max(state.node.gpus for state in domain.states if state.node is not None))
        others = self._others.get(domain, {})
        partly = {bit for bit, times in enumerate(frees) if at in times} if moment.last is not None else ()
        exactly = {*others, *partly}
        for bit in exactly:
            found.states[bit] = copy = self._copy(domain.states[bit], moment, kept.get(domain.states[bit].name, 0))
            if copy.usable:
                level = copy.free()
                levels[level] |= 1 << bit
                found.free += level
        if exactly:
            found.free += sum(bisect_right(times, at) for bit, times in enumerate(frees) if bit not in exactly)
        else:
            found.free = bisect_right(self._hours[domain].pods(1), at)
        for bit, times in enumerate(frees):
            if len(times) >= least and times[least - 1] <= at and bit not in exactly:
                level = len(times) if times[-1] <= at else bisect_right(times, at)
                state = domain.states[bit]
                whole = state.node is not None and level == state.node.gpus
                found.states[bit] = self._copy(state, moment, 0, whole=whole)
                levels[level] |= 1 << bit
        return found

    def _copy(self, state: NodeState, moment: Moment, kept: int, *, whole: bool = False) -> NodeState:
        """The node as it will be. whole: nothing is left on it then."""
        node = state.node
        copy = NodeState(state.name)
        copy.node, copy.open, copy.bit, copy.kept = node, state.open, state.bit, kept
        copy.cpu, copy.memory, copy.ephemeral, copy.pods = state.cpu, state.memory, state.ephemeral, state.pods
        if not whole:
            copy.active, copy.spare, copy.pledged = state.active, state.spare, state.pledged
            copy.foreign_gpus = state.foreign_gpus
            for lease in self._gone_from(state.name, moment):
                if lease.spec.role is Role.ACTIVE:
                    for slots in lease.spec.slots:
                        if slots.node == state.name:
                            copy.active &= ~slots.mask
        if node is None:
            return copy
        room = node.pods - state.pods if self._plain else state.room(self.need.requests)
        if room < node.gpus // self.need.gpus_per_pod:
            for key in {lease.run for lease in self._gone_from(state.name, moment)}:
                self._unload(copy, key)
        return copy

    def _gone_from(self, node: str, moment: Moment) -> Iterator[Lease]:
        leases = self.world.ledger.by_node.get(node, {}).values()
        return (lease for lease in leases if self.gone(lease.run, moment))

    def _unload(self, copy: NodeState, key: Key) -> None:
        for pod in self.world.pods_of(key):
            if pod.node == copy.name and not pod.phase.ended:
                copy.cpu -= pod.requests.cpu_milli
                copy.memory -= pod.requests.memory_bytes
                copy.ephemeral -= pod.requests.ephemeral_bytes
                copy.pods -= 1


class FlavorAhead(FlavorFleet):
    """Copies, of some domains."""

    def add(self, domain: DomainFleet) -> None:
        """One more."""
        self.domains[domain.key] = domain
        self._order.append((domain.free, domain.key))

    @property
    def order(self) -> list[tuple[int, Domain]]:
        """Domains by (free, key)."""
        return sorted(self._order)

    def pods(self, gpus: int) -> int:
        """Most pods of that many GPUs that free GPUs alone would take."""
        return sum(domain.seats(gpus) for domain in self.domains.values())


def _nth(counts: Sequence[Sequence[float]], number: int) -> float:
    """The so-manieth of all of them; infinite: there are not so many."""
    every = sorted(chain.from_iterable(times[:number] for times in counts))
    return every[number - 1] if len(every) >= number else inf


def _short(times: Sequence[float], since: float, group: int, short: int) -> float:
    """From when on, at that time or later, it takes so many pods beside whole groups."""
    groups, rest = divmod(bisect_right(times, since), group)
    at = groups * group + short - 1
    return since if rest >= short else times[at] if at < len(times) else inf

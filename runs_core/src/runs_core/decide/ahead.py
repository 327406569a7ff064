"""The fleet as it will be once some have gone, seen by a run that waits: what it leaves to others is not free.

Nothing is emptied: what the planner looks at is copied as it will be, of domains in which any of the run can lie.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from math import inf
from operator import itemgetter

from runs_core.decide.early import Early
from runs_core.decide.slices import left, met
from runs_core.decide.then import Moment, On, Own, Parted, Then
from runs_core.values.lease import Role
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.world.domains import DomainFleet
from runs_core.world.flavors import FlavorFleet
from runs_core.world.hours import Times, but_between, pods, sorted_times
from runs_core.world.nodes import NodeState
from runs_core.world.promises import Standing
from runs_core.world.timetable import allowed
from runs_core.world.world import World

NOWHERE: Mapping[str, int] = {}
Span = tuple[float, float, int]
"""From when on it would be in another's way, until when, and in which places."""


class Ahead:
    """What one run waits for. early: who goes before its end. length: how long it will be there; None: unknown.

    floor: moments before it are not asked for.
    """

    def __init__(
        self,
        world: World,
        key: Key,
        need: Need,
        fleet: FlavorFleet,
        *,
        early: Early,
        those: Sequence[Standing],
        length: timedelta | None,
    ) -> None:
        self.world = world
        self.key = key
        self.need = need
        self.fleet = fleet
        self.early = early
        self.those = those
        self.length = length
        self.floor = world.now.timestamp() if early.lots is None else early.lots.first
        self._leaves = dict(early.otherwise())
        self._spans = self._spans_of_others()
        self._own: dict[DomainFleet, Own] = {}
        self._otherwise = self._by_node()
        self._early = self._by_domain(self._otherwise)
        self._others = self._by_domain(self._spans)
        self._parted: Mapping[DomainFleet, Mapping[int, Parted]] = {}
        self._on: dict[str, Sequence[On]] = {}
        self._takers: dict[float, Sequence[DomainFleet]] = {}
        self._table = world.timetable.of(need.flavor, early.reckoned)
        self.counts = self._table.counts(need.filter, need.gpus_per_pod)
        requests = need.requests
        self.plain = not (requests.cpu_milli or requests.memory_bytes or requests.ephemeral_bytes)
        self._least = self._least_part()
        self._times: Mapping[DomainFleet, Sequence[float]] = {**self.counts.times, **dict(self._otherwise_counted())}

    # -- when ------------------------------------------------------------------------------------------------------

    def leaves(self, key: Key) -> float:
        """When a run is gone; never: infinite."""
        at = self._leaves.get(key)
        if at is None:
            found = self.early.drawn(key) or self.world.ends.leaving(key, self.need.flavor, most=self.early.most)
            at = self._leaves[key] = inf if found is None else found.at
        return at

    def gone(self, key: Key, moment: Moment) -> bool:
        """Whether it is by then."""
        at = self.leaves(key)
        return at < moment.at or (at == moment.at and (moment.last is None or key in moment.last))

    def part(self, keys: Sequence[Key], at: float) -> None:
        """Of these, who go at that moment, some may have gone, and others not."""
        before, order = Moment(at, ()), {key: number for number, key in enumerate(keys)}
        self._parted = {
            domain: {
                bit: Parted(
                    state,
                    self.active(state, before),
                    sorted((order[one.run], one.mask) for one in self.on(state.name) if one.run in order),
                )
                for bit, state in states.items()
            }
            for domain, states in self._by_domain(self._nodes_of(keys)).items()
        }

    def active(self, state: NodeState, moment: Moment) -> int:
        """Its places that are held then."""
        active = state.active
        for key, mask in self.on(state.name):
            if mask and self.gone(key, moment):
                active &= ~mask
        return active

    def _spans_of_others(self) -> Mapping[str, Sequence[Span]]:
        """By the nodes where it may have to leave places."""
        length, found = None if self.length is None else self.length.total_seconds(), dict[str, list[Span]]()
        for one in self.those:
            begin = -inf if length is None else one.start.timestamp() - length
            end = inf if one.end is None else one.end.timestamp()
            for node, mask in one.masks.items():
                if mask:
                    found.setdefault(node, []).append((begin, end, mask))
        return found

    def _by_node(self) -> Mapping[str, Sequence[tuple[tuple[int, ...], float]]]:
        """Where those are who go before their ends, in which places, and from when on no more."""
        found: dict[str, list[tuple[tuple[int, ...], float]]] = {}
        for key, when in self._leaves.items():
            for lease in self.world.ledger.by_run.get(key, {}).values():
                if lease.spec.role is Role.ACTIVE:
                    for slots in lease.spec.slots:
                        found.setdefault(slots.node, []).append((slots.ordinals, when))
        return found

    def _nodes_of(self, keys: Iterable[Key]) -> Collection[str]:
        leases = (lease for key in keys for lease in self.world.ledger.by_run.get(key, {}).values())
        return {slots.node for lease in leases for slots in lease.spec.slots}

    def _by_domain(self, names: Iterable[str]) -> Mapping[DomainFleet, Mapping[int, NodeState]]:
        found: dict[DomainFleet, dict[int, NodeState]] = {}
        states = self.world.fleet.states
        for name in names:
            state = states.get(name)
            if state is not None and state.domain is not None:
                found.setdefault(state.domain, {})[state.bit] = state
        return found

    def _otherwise_counted(self) -> Iterator[tuple[DomainFleet, Sequence[float]]]:
        """When each domain takes how many pods, by GPUs alone and at best: where that is not as the timetable says."""
        need, others = self.need, self._others
        for domain in self._early.keys() | others.keys():
            if domain not in self.counts.times:
                continue
            own = self._own_of(domain)
            frees = own.frees
            if domain in others:
                frees = list(frees)
                for bit, state in others[domain].items():
                    frees[bit] = self._times_after_others(state, own)
            if domain in self.counts.narrow:
                frees = allowed(frees, domain.eligible(need.filter))
            yield domain, pods(frees, need.gpus_per_pod)

    def _own_of(self, domain: DomainFleet) -> Own:
        """As the timetable tells, but for who goes before its end."""
        found = self._own.get(domain)
        if found is not None:
            return found
        hours, early = self._table.hours[domain], self._early.get(domain)
        frees, places = hours.frees, dict[int, Sequence[float]]()
        if early is not None:
            frees = list(frees)
            for bit, state in early.items():
                places[bit] = at = self._places_of(state, hours.nodes[bit].at)
                frees[bit] = sorted_times(state, at)
        found = self._own[domain] = Own(hours, frees, places)
        return found

    def _places_of(self, state: NodeState, at: Sequence[float]) -> Sequence[float]:
        """Of a node where somebody goes before its end. at: as if nobody did."""
        if state.name in self.world.fleet.shared or state.shrunk or not at:
            return self.world.timetable.places(state, self.leaves)
        found, fixed = list(at), state.spare | state.pledged
        for ordinals, when in self._otherwise[state.name]:
            for place in ordinals:
                if not fixed >> place & 1:
                    found[place] = when
        return found

    def _times_after_others(self, state: NodeState, own: Own) -> Times:
        """The times of a node where it has to leave places. Most often all of them, and to one."""
        spans, node, bit = self._spans[state.name], state.node, state.bit
        if len(spans) == 1 and node is not None and not (state.foreign_gpus or ~spans[0][2] & (1 << node.gpus) - 1):
            begin, end, _ = spans[0]
            return but_between(own.frees[bit], begin, end, self.floor)
        return sorted_times(state, self._after_others(state.name, own.at(bit)))

    def _after_others(self, name: str, at: Sequence[float]) -> Sequence[float]:
        """The same of a node where it has to leave places: from when on it can have each for the first time.

        A hole before another's time may do.
        """
        found, spans, moved = list(at), self._spans[name], True
        while moved:
            moved = False
            for begin, end, mask in spans:
                for place, when in enumerate(found):
                    if mask >> place & 1 and begin < max(when, self.floor) < end:
                        found[place], moved = end, len(spans) > 1
        return found

    def enough(self) -> float:
        """From when on there may be enough."""
        return enough(self.need, self._times.values())

    # -- what is there then ----------------------------------------------------------------------------------------

    def fleet_at(self, moment: Moment, part: Mapping[str, int] = NOWHERE) -> Then:
        """Domains in which any of it can lie. part: places, by node, where a part of it is planned to lie already."""
        kept = dict(left(self.world, met(self.those, datetime.fromtimestamp(moment.at, UTC), self.length)))
        for name, mask in part.items():
            kept[name] = kept.get(name, 0) | mask
        found, parts = Then(self, moment, kept, part), self._by_domain(part)
        parted = self._parted if moment.last is not None else {}
        for domain in self._taking(moment.at):
            kept_on = {**self._others.get(domain, {}), **parts.get(domain, {})}
            found.put(domain, self._own_of(domain), kept_on, parted.get(domain, {}))
        found.sort()
        return found

    def on(self, node: str) -> Sequence[On]:
        """Who is there, and holds which places that it will leave."""
        found = self._on.get(node)
        if found is None:
            found = self._on[node] = [
                On(lease.run, slots.mask if lease.spec.role is Role.ACTIVE else 0)
                for lease in self.world.ledger.by_node.get(node, {}).values()
                for slots in lease.spec.slots
                if slots.node == node
            ]
        return found

    def _taking(self, at: float) -> Sequence[DomainFleet]:
        """Domains that can have any part of it then."""
        if (found := self._takers.get(at)) is None:
            last = self._least - 1
            found = [domain for domain, times in self._times.items() if len(times) > last and times[last] <= at]
            self._takers[at] = found
        return found

    def _least_part(self) -> int:
        """Pods that have to lie in one domain, at least."""
        need = self.need
        if need.single_domain:
            return need.pods
        size = min(need.pods, need.group_pods or 1)
        return need.pods % size or size

    def concerning(self, keys: Iterable[Key], at: float) -> list[Key]:
        """Those of the runs that are where any part of it can lie then: elsewhere their ends change nothing."""
        taking, states = set(self._taking(at)), self.world.fleet.states
        return [
            key
            for key in keys
            if any(name in states and states[name].domain in taking for name in self._nodes_of((key,)))
        ]


def enough(need: Need, counts: Collection[Sequence[float]]) -> float:
    """From when on there are as many pods' worth of GPUs free as it wants, where it wants them; never: infinite.

    At best: nothing says yet that they are whole. counts: of each domain, from when on it takes how many pods.
    """
    if need.single_domain:
        return min((times[need.pods - 1] for times in counts if len(times) >= need.pods), default=inf)
    if need.group_pods is None or need.group_pods == 1:
        return _nth([times for times in counts if times], need.pods)
    full, short = divmod(need.pods, need.group_pods)
    each = slice(need.group_pods - 1, None, need.group_pods)
    groups = sorted(chain.from_iterable(map(itemgetter(each), counts)))
    if not short:
        return groups[full - 1] if len(groups) >= full else inf
    if len(groups) < full:
        return inf
    since = groups[full - 1] if full else -inf
    more = groups[full] if len(groups) > full else inf
    return min([more, *(_short(times, since, need.group_pods, short) for times in counts)])


def _nth(counts: Sequence[Sequence[float]], number: int) -> float:
    """The so-manieth of all of them; infinite: there are not so many."""
    every = sorted(chain.from_iterable(times[:number] for times in counts))
    return every[number - 1] if len(every) >= number else inf


def _short(times: Sequence[float], since: float, group: int, short: int) -> float:
    """From when on, at that time or later, it takes so many pods beside whole groups."""
    groups, rest = divmod(bisect_right(times, since), group)
    at = groups * group + short - 1
    return since if rest >= short else times[at] if at < len(times) else inf

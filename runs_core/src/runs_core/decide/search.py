"""The first moment at which a run that waits fits, if all ends as it is expected to.

Who is expected to have gone by then is known from the timetable: nothing is emptied, and moments at which there could
not be enough are not looked at.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from math import inf
from typing import NamedTuple

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.ahead import Ahead, enough
from runs_core.decide.early import Early
from runs_core.decide.paid import parts, place_paid
from runs_core.decide.recalled import NOBODY, Recalls
from runs_core.decide.slices import standing
from runs_core.decide.then import Moment
from runs_core.values.funding import Cover, Share
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.placement import Placement
from runs_core.values.reservation import Basis
from runs_core.values.run import Run
from runs_core.world.domains import DomainFleet
from runs_core.world.ends import End
from runs_core.world.flavors import FlavorFleet
from runs_core.world.timetable import Counts
from runs_core.world.world import World


@attrs.frozen(kw_only=True)
class Question:
    """Who wants to know. need: with its flavor named. said: who would pay; None: nobody keeps quotas.

    behind: whether it leaves those behind it in line what they were promised, as well as those before it.
    patient: when its patience is over; None: no lots are drawn for it. tried: they were to be drawn for it by now, and
    that came to nothing. before: only something sooner is of interest; None: anything. recalls: who is left without
    a payer by its claim, and those of others.
    """

    run: Run
    need: Need
    fleet: FlavorFleet
    said: Cover | None
    behind: bool = False
    patient: datetime | None = None
    tried: bool = False
    before: datetime | None = None
    recalls: Recalls = NOBODY


class Found(NamedTuple):
    """blockers: who had those places, by their ends."""

    at: datetime
    placement: Placement
    blockers: Sequence[End]

    @property
    def until(self) -> datetime:
        """So long all goes as it says, if nobody ends before: to the first of those ends."""
        return min([self.at, *(end.at for end in self.blockers[:1])])


class Search:
    """For the first moment at which it fits, where it goes then, and who had those places.

    patient: from then on who may be taken from is gone as well; None: only who ends. before: which moments count.
    """

    def __init__(
        self,
        world: World,
        asked: Question,
        advice: Advice,
        *,
        most: bool,
        patient: datetime | None = None,
        before: datetime | None = None,
    ) -> None:
        self.world = world
        self.asked = asked
        self.advice = advice
        self.before = before
        self.early = Early(world, asked, advice, most=most, patient=patient)
        self.those = standing(world, asked.run.key, behind=asked.behind)

    @cached_property
    def ahead(self) -> Ahead:
        """What is to come, for it."""
        asked = self.asked
        length = self.world.ends.length(asked.run)
        key, need, fleet = asked.run.key, asked.need, asked.fleet
        return Ahead(self.world, key, need, fleet, early=self.early, those=self.those, length=length)

    @cached_property
    def counts(self) -> Counts:
        """When there is how much, were nothing left to others and nobody spared."""
        need = self.asked.need
        return self.world.timetable.of(need.flavor, self.early.reckoned).counts(need.filter, need.gpus_per_pod)

    @property
    def narrow(self) -> Collection[DomainFleet]:
        """Domains with nodes that will not do."""
        return self.counts.narrow

    def first(self) -> Found | None:
        """None: never, as far as is known."""
        since = self._since() if self._may_be() else None
        if since is None:
            return None
        found = self._fits(Moment(since))
        if found is None:
            later = self._later(since)
            if later is None:
                return None
            since, found = later
        return self._one_by_one(since, found)

    def at(self, when: datetime) -> Found | None:
        """Whether it fits then."""
        moment = Moment(when.timestamp())
        placement = self._fits(moment)
        return None if placement is None else Found(when, placement, self._blockers(moment, placement))

    # -- moments ---------------------------------------------------------------------------------------------------

    def _may_be(self) -> bool:
        """Whether there may be enough in time, were nothing left to others and nobody spared."""
        before = inf if self.before is None else self.before.timestamp()
        return any(one.at < before for _, one in self.early.others) or (
            enough(self.asked.need, self.counts.times.values()) < before
        )

    def _since(self) -> float | None:
        """The first moment at which there may be enough."""
        floor, now = self.ahead.floor, self.world.now.timestamp()
        since = max(self.ahead.enough(), floor)
        if since == floor:
            first = next((at for at in self._moments() if at >= since and (at > now or not self.asked.tried)), None)
            return first if first is None or self.before is None or first < self.before.timestamp() else None
        return since if since < inf and (self.before is None or since < self.before.timestamp()) else None

    def _moments(self) -> Iterator[float]:
        """When somebody goes, or has what was promised to him no more: sorted; a moment may come more than once."""
        early, key = self.early, self.asked.run.key
        ends = self.world.ends.soonest(self.asked.need.flavor, most=early.most)
        over = sorted(one.end.timestamp() for one in self.those if one.end is not None and one.end > self.world.now)
        return heapq.merge(
            (end.at.timestamp() for end in ends if end.run != key and early.of(end.run) is None),
            sorted(one.at for one in early.told.values()),
            early.moments(),
            over,
        )

    def _later(self, since: float) -> tuple[float, Placement] | None:
        """The first moment after that one at which it fits.

        A gang of several parts is planned one after another, and may not fit where more is free: each moment is tried.
        Any other that fits fits later as well, until the time of somebody comes who was promised some of it: from one
        such time to the next, moments are tried further and further ahead, and then halved.
        """
        until = inf if self.before is None else self.before.timestamp()
        moments = sorted({at for at in self._moments() if since < at < until})
        if self._in_parts:
            tried = ((at, self._fits(Moment(at))) for at in moments)
            return next(((at, found) for at, found in tried if found is not None), None)
        times = sorted({bisect_right(moments, at) for at in self._others_times()} | {len(moments)})
        low = 0
        for high in times:
            if low < high and (len(times) == 1 or self._fits(Moment(moments[high - 1])) is not None):
                found = self._halved(moments[low:high])
                if found is not None:
                    return found
            low = max(low, high)
        return None

    def _others_times(self) -> Iterator[float]:
        """Until when it could start in others' places, were they free, and be gone when they come."""
        if self.ahead.length is not None:
            yield from ((one.start - self.ahead.length).timestamp() for one in self.those)

    def _halved(self, moments: Sequence[float]) -> tuple[float, Placement] | None:
        low, high, step = -1, 0, 1
        while (placement := self._fits(Moment(moments[high]))) is None:
            if high == len(moments) - 1:
                return None
            low, step = high, 2 * step
            high = min(high + step, len(moments) - 1)
        while high - low > 1:
            middle = (low + high) // 2
            if (found := self._fits(Moment(moments[middle]))) is not None:
                high, placement = middle, found
            else:
                low = middle
        return moments[high], placement

    def _one_by_one(self, at: float, placement: Placement) -> Found:
        """Of those who go at one moment no more are waited for than have to be: nobody, if the first goes elsewhere."""
        every = self._going(at)
        going = self.ahead.concerning(every, at)
        low, high, moment = 0 if every[:1] == going[:1] else -1, len(going), Moment(at)
        if high - low > 1:
            self.ahead.part(going, at)
        while high - low > 1:
            middle = low + 1 if self._in_parts else (low + high) // 2
            trial = Moment(at, frozenset(going[:middle]))
            if (found := self._fits(trial)) is not None:
                high, placement, moment = middle, found, trial
            else:
                low = middle
        return Found(datetime.fromtimestamp(at, UTC), placement, self._blockers(moment, placement))

    def _going(self, at: float) -> list[Key]:
        """Who goes at that very moment, in the order in which they do."""
        early, key = self.early, self.asked.run.key
        ends = self.world.ends.at(self.asked.need.flavor, at, most=early.most)
        return [*(one for one in ends if one != key and early.of(one) is None), *early.at(at)]

    # -- where -------------------------------------------------------------------------------------------------------

    @cached_property
    def _shares(self) -> Sequence[Share]:
        return self.asked.said.shares if self.asked.said is not None else ()

    @cached_property
    def _in_parts(self) -> bool:
        """Whether its payers want it in different places."""
        return len(parts(self.asked.need, self._shares)) > 1

    def _fits(self, moment: Moment) -> Placement | None:
        return place_paid(self.world, self.ahead.fleet_at(moment), self.asked.need, self._shares, self.advice)

    def _blockers(self, moment: Moment, placement: Placement) -> list[End]:
        """In the order in which they go."""
        world, flavor = self.world, self.asked.need.flavor
        nodes = dict.fromkeys(pod.node for group in placement.groups for pod in group.pods)
        runs = {lease.run for node in nodes for lease in world.ledger.by_node.get(node, {}).values()}
        found: list[tuple[float, tuple[int, float, Key], Key, Basis]] = []
        for key in runs:
            if self.ahead.gone(key, moment):
                early = self.early.of(key)
                if early is not None:
                    found.append((early.at, early.order, key, early.basis))
                elif (end := world.ends.leaving(key, flavor, most=self.early.most)) is not None:
                    found.append((end.at, (-1, 0.0, key), key, end.basis))
        return [End(datetime.fromtimestamp(at, UTC), key, basis) for at, _, key, basis in sorted(found)]

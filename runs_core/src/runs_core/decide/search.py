"""The first moment at which a run that waits fits, if all ends as it is expected to.

Who is expected to have gone by then is known from the timetable: nothing is emptied, and moments at which there could
not be enough are not looked at.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from typing import NamedTuple

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.ahead import Ahead, Sooner
from runs_core.decide.paid import place_paid
from runs_core.decide.patience import ripening
from runs_core.decide.slices import guests, is_due, standing
from runs_core.decide.then import Moment
from runs_core.values.funding import Cover
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.placement import Placement
from runs_core.values.reservation import Basis
from runs_core.values.run import Run
from runs_core.world.domains import DomainFleet
from runs_core.world.ends import End
from runs_core.world.flavors import FlavorFleet
from runs_core.world.world import World


@attrs.frozen(kw_only=True)
class Question:
    """Who wants to know. need: with its flavor named. said: who would pay; None: nobody keeps quotas.

    behind: whether it leaves those behind it in line what they were promised, as well as those before it.
    patient: when its patience is over; None: no lots are drawn for it. tried: they were to be drawn for it by now, and
    that came to nothing.
    """

    run: Run
    need: Need
    fleet: FlavorFleet
    said: Cover | None
    behind: bool = False
    patient: datetime | None = None
    tried: bool = False


class Found(NamedTuple):
    """blockers: who had those places, by their ends."""

    at: datetime
    placement: Placement
    blockers: Sequence[End]


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
        self.most = most
        self.before = before
        self.those = standing(world, asked.run.key, behind=asked.behind)
        self.ahead = Ahead(
            world,
            asked.run.key,
            asked.need,
            asked.fleet,
            most=most,
            sooner=self._sooner(patient),
            those=self.those,
            length=world.ends.length(asked.run),
        )

    @property
    def narrow(self) -> Collection[DomainFleet]:
        """Domains with nodes that will not do."""
        return self.ahead.counts.narrow

    def first(self) -> Found | None:
        """None: never, as far as is known."""
        since = self._since()
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

    def _since(self) -> float | None:
        """The first moment at which there may be enough."""
        enough, now = self.ahead.enough(), self.world.now.timestamp()
        if enough <= now:
            first = next((at for at in self._moments() if at >= enough and (at > now or not self.asked.tried)), None)
            return first if first is None or self.before is None or first < self.before.timestamp() else None
        return enough if enough < inf and (self.before is None or enough < self.before.timestamp()) else None

    def _moments(self) -> Iterator[float]:
        """When somebody goes, or has what was promised to him no more: sorted; a moment may come more than once."""
        sooner, key = self.ahead.sooner, self.asked.run.key
        ends = self.world.ends.soonest(self.asked.need.flavor, most=self.most)
        over = sorted(one.end.timestamp() for one in self.those if one.end is not None and one.end > self.world.now)
        return heapq.merge(
            (end.at.timestamp() for end in ends if end.run not in sooner and end.run != key),
            sorted(early.at for early in sooner.values()),
            over,
        )

    def _later(self, since: float) -> tuple[float, Placement] | None:
        """The first moment after that one at which it fits.

        Who fits fits later as well, until the time of somebody comes who was promised some of it: from one such time to
        the next, moments are tried further and further ahead, and then halved.
        """
        until = inf if self.before is None else self.before.timestamp()
        moments = sorted({at for at in self._moments() if since < at < until})
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
            middle = (low + high) // 2
            trial = Moment(at, frozenset(going[:middle]))
            if (found := self._fits(trial)) is not None:
                high, placement, moment = middle, found, trial
            else:
                low = middle
        return Found(datetime.fromtimestamp(at, UTC), placement, self._blockers(moment, placement))

    def _going(self, at: float) -> list[Key]:
        """Who goes at that very moment, in the order in which they do."""
        sooner = self.ahead.sooner
        early = sorted((one.order, key) for key, one in sooner.items() if one.at == at)
        ends = self.world.ends.at(self.asked.need.flavor, at, most=self.most)
        return [*(key for key in ends if key not in sooner and key != self.asked.run.key), *(key for _, key in early)]

    # -- who goes before its end -------------------------------------------------------------------------------------

    def _sooner(self, patient: datetime | None) -> Mapping[Key, Sooner]:
        found: dict[Key, Sooner] = {}
        told = [*(self._taken(patient) if patient is not None else ()), *self._sent_away(), *self._staying_on()]
        for key, early in told:
            end = self.world.ends.leaving(key, self.asked.need.flavor, most=self.most)
            if (end is None or early.at < end.at) and (key not in found or early.at < found[key].at):
                found[key] = early
        return found

    def _sent_away(self) -> Iterator[tuple[Key, Sooner]]:
        """Who uses the places that it was promised is there until then at most, where anybody can be sent away."""
        world, key, said = self.world, self.asked.run.key, self.asked.said
        known = world.promises.by_run.get(key)
        if known is None or said is None or not (said.shares and self.advice.stages) or is_due(world, key):
            return
        at, basis = known.status.earliest_start, known.status.basis
        if at is not None and basis is not None:
            for number, guest in enumerate(guests(world, key)):
                yield guest, Sooner(at.timestamp(), basis, (1, number))

    def _staying_on(self) -> Iterator[tuple[Key, Sooner]]:
        """Who may be sent away at any time is gone with the first that ends by itself.

        Not sooner: with nothing but its places this one would have started already.
        """
        ends, flavor = self.world.ends, self.asked.need.flavor
        first = next(ends.soonest(flavor, most=self.most), None)
        gone = ends.leaving(first.run, flavor, most=self.most) if first is not None else None
        if first is not None and gone is not None:
            for number, key in enumerate(ends.staying_on(flavor)):
                if key not in (first.run, self.asked.run.key):
                    yield key, Sooner(gone.at, Basis.ENDS, (2, number))

    def _taken(self, patient: datetime) -> Iterator[tuple[Key, Sooner]]:
        asked = self.asked
        taken = ripening(self.world, asked.run, asked.need.flavor, patient, self.advice)
        for number, end in enumerate(taken):
            if self.before is not None and end.at >= self.before:
                return
            yield end.run, Sooner(end.at.timestamp(), end.basis, (0, number))

    # -- where -------------------------------------------------------------------------------------------------------

    def _fits(self, moment: Moment) -> Placement | None:
        shares = self.asked.said.shares if self.asked.said is not None else ()
        return place_paid(self.world, self.ahead.fleet_at(moment), self.asked.need, shares, self.advice)

    def _blockers(self, moment: Moment, placement: Placement) -> list[End]:
        """In the order in which they go."""
        world, flavor = self.world, self.asked.need.flavor
        nodes = dict.fromkeys(pod.node for group in placement.groups for pod in group.pods)
        runs = {lease.run for node in nodes for lease in world.ledger.by_node.get(node, {}).values()}
        found: list[tuple[float, tuple[int, int], Key, Basis]] = []
        for key in runs:
            if self.ahead.gone(key, moment):
                early = self.ahead.sooner.get(key)
                if early is not None:
                    found.append((early.at, early.order, key, early.basis))
                elif (end := world.ends.leaving(key, flavor, most=self.most)) is not None:
                    found.append((end.at, (-1, 0), key, end.basis))
        return [End(datetime.fromtimestamp(at, UTC), key, basis) for at, _, key, basis in sorted(found)]

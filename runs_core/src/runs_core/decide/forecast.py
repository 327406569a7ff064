"""When a run that waits will start: what runs is let end, in the order in which it is expected to, until the run fits.

The rule is section "Reservations and forecasts" of the semantics. Nothing is written: places are emptied and filled
again, and only those that come free before it fits are looked at.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.cover import cover
from runs_core.decide.opening import opening
from runs_core.decide.paid import place_paid
from runs_core.decide.patience import patient_until, ripening
from runs_core.decide.place import fits_when_empty
from runs_core.decide.slices import Standing, guests, is_due, left, met, others, standing, why_not
from runs_core.values.funding import Cover
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.placement import Placement
from runs_core.values.reservation import MOST_BLOCKERS, Basis, ShortOf
from runs_core.values.run import Run
from runs_core.world.ends import End
from runs_core.world.flavors import FlavorFleet
from runs_core.world.supposed import Before, Keeping, empty, keeping, refill
from runs_core.world.world import World

MOST_ENDS = 5_000
"""Ends that are looked at before nothing is promised."""


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


@attrs.frozen(kw_only=True)
class Forecast:
    """latest: where nine of ten such runs have ended. deficit_gpus: that are missing now. blocked_by: by their ends."""

    at: datetime
    latest: datetime
    basis: Basis
    deficit_gpus: int
    short_of: ShortOf
    blocked_by: tuple[Key, ...]
    placement: Placement


def forecast(world: World, asked: Question, advice: Advice) -> Forecast | None:
    """None: nothing says when it will fit. Cost: the runs that end before it fits."""
    found = _Replay(world, asked, advice, most=False).first()
    basis: Basis | None = None
    if asked.patient is not None and (found is None or asked.patient < found[0]):
        sooner = _Replay(world, asked, advice, most=False, patient=asked.patient).first()
        if sooner is not None and (found is None or sooner[0] < found[0]):
            found, basis = sooner, Basis.PATIENCE
    if found is None:
        return None
    at, placement, blockers = found
    basis = basis or _basis(world, asked, placement, blockers)
    late = _Replay(world, asked, advice, most=True).first() if basis is Basis.HISTORY else found
    deficit = _deficit(world, asked)
    return Forecast(
        at=at,
        latest=max(at, late[0]) if late is not None else at,
        basis=basis,
        deficit_gpus=deficit,
        short_of=ShortOf.CAPACITY if deficit else ShortOf.TOPOLOGY,
        blocked_by=tuple(end.run for end in blockers[:MOST_BLOCKERS]),
        placement=placement,
    )


def at_opening(world: World, asked: Question, at: datetime, unpaid: int, advice: Advice) -> Forecast | None:
    """For a run that is paid for in full then; None: as far as is known it finds no room. unpaid: GPUs, now."""
    found = _Replay(world, asked, advice, most=False).at(at)
    if found is None:
        return None
    placement, blockers = found
    return Forecast(
        at=at,
        latest=at,
        basis=Basis.WINDOW,
        deficit_gpus=unpaid,
        short_of=ShortOf.QUOTA,
        blocked_by=tuple(end.run for end in blockers[:MOST_BLOCKERS]),
        placement=placement,
    )


def foresee(world: World, run: Run, advice: Advice) -> Forecast | None:
    """As of now, for a run that waits or is about to; None: nobody would pay, it fits never, or nothing says when."""
    need = world.need(run)
    name = need.flavor or world.sole_flavor()
    fleet = world.fleet.flavors.get(name) if name else None
    if fleet is None or name is None:
        return None
    need = (need if need.flavor else attrs.evolve(need, flavor=name)).as_wide(need.gpus)
    ask = world.ask(run)
    said = cover(world, advice, ask, world.order(run)).of(need.gpus) if advice.funding else None
    if not fits_when_empty(world.fleet, fleet, need):
        return None
    known = world.promises.by_run.get(run.key)
    if said is not None and not said.fundable:
        if (opens := opening(world, ask, world.order(run), said, advice)) is None:
            return None
        asked = Question(run=run, need=need, fleet=fleet, said=opens.said.of(need.gpus), behind=True)
        return at_opening(world, asked, opens.at, said.left, advice)
    kept = known is None or not why_not(world, known)
    patient = patient_until(world, run, need, said, advice)
    tried = is_due(world, run.key)
    asked = Question(run=run, need=need, fleet=fleet, said=said, behind=kept, patient=patient, tried=tried)
    return forecast(world, asked, advice)


class _Replay:
    """moments: when something changes, and who is gone from then on; those of one time follow each other.

    gone: so many of them are emptied now.
    patient: from then on who may be taken from is gone as well; None: only who ends.
    """

    def __init__(
        self, world: World, asked: Question, advice: Advice, *, most: bool, patient: datetime | None = None
    ) -> None:
        self.world = world
        self.asked = asked
        self.advice = advice
        self.length = world.ends.length(asked.run)
        self.standing = standing(world, asked.run.key, behind=asked.behind)
        self.moments: list[tuple[datetime, End | None]] = []
        self.gone: list[Sequence[Before]] = []
        self.sends_away = asked.said is not None and bool(asked.said.shares and advice.stages)
        self._seen: set[Key] = set()
        self._coming = self._upcoming(most=most, taken=self._taken(patient, advice) if patient is not None else ())
        self._left = MOST_ENDS
        self._keeping = Keeping(world.fleet)
        self._met: Sequence[Standing] | None = None
        self._freed = asked.fleet.free + asked.fleet.withheld

    def first(self) -> tuple[datetime, Placement, list[End]] | None:
        """The first moment at which it fits, where it goes then, and who had those places.

        Tried further and further ahead, and then halved: who fits fits later as well, but for others' reservations.
        """
        try:
            return self._first()
        finally:
            self._undo()

    def at(self, when: datetime) -> tuple[Placement, list[End]] | None:
        """Where it goes at that moment, and who had those places."""
        count = 0
        while (count < len(self.moments) or self._more()) and self.moments[count][0] <= when:
            count += 1
        try:
            placement = self._fits(count, when)
            return None if placement is None else (placement, self._blockers(count, placement))
        finally:
            self._undo()

    def _first(self) -> tuple[datetime, Placement, list[End]] | None:
        low = 0
        if self.asked.tried:
            while (following := self._next(low)) is not None and self.moments[following - 1][0] <= self.world.now:
                low = following
        high, step = self._next(low), 1
        placement: Placement | None = None
        while high is not None and (placement := self._fits(high, self.moments[high - 1][0])) is None:
            low, step = high, 2 * step
            high = self._next(high, step)
        if high is None or placement is None:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            if (found := self._fits(middle, self.moments[middle - 1][0])) is not None:
                high, placement = middle, found
            else:
                low = middle
        return self.moments[high - 1][0], placement, self._blockers(high, placement)

    def _upcoming(self, *, most: bool, taken: Iterable[tuple[datetime, End]]) -> Iterator[tuple[datetime, End | None]]:
        world, name = self.world, self.asked.need.flavor
        ends = ((end.at, end) for end in world.ends.soonest(name, most=most) if end.run != self.asked.run.key)
        over = sorted(one.end for one in self.standing if one.end is not None and one.end > world.now)
        return heapq.merge(ends, taken, self._sent_away(), ((at, None) for at in over), key=lambda one: one[0])

    def _sent_away(self) -> Iterator[tuple[datetime, End]]:
        """Who uses the places that it was promised is there until then at most, where anybody can be sent away."""
        world, key = self.world, self.asked.run.key
        known = world.promises.by_run.get(key)
        if known is None or not self.sends_away or is_due(world, key):
            return
        at, basis = known.status.earliest_start, known.status.basis
        if at is not None and basis is not None:
            yield from ((at, End(at, guest, basis)) for guest in guests(world, key))

    def _taken(self, patient: datetime, advice: Advice) -> Iterator[tuple[datetime, End]]:
        asked = self.asked
        return ((end.at, end) for end in ripening(self.world, asked.run, asked.need.flavor, patient, advice))

    def _next(self, at: int, step: int = 1) -> int | None:
        """So many moments further, and at least until so much is free as it wants; None: there are no more."""
        while len(self.moments) < at + step or self._freed < self.asked.need.gpus:
            if not self._more():
                break
        last = len(self.moments)
        return None if last <= at or self._freed < self.asked.need.gpus else last

    def _more(self) -> bool:
        for when, end in self._coming:
            if end is not None:
                if end.run in self._seen:
                    continue  # it ends by itself, or was taken from, before
                self._seen.add(end.run)
                run = self.world.run(end.run)
                self._freed += run.status.width if run is not None else 0
            self.moments.append((when, end))
            self._left -= 1
            return self._left >= 0
        return False

    def _fits(self, moments: int, at: datetime) -> Placement | None:
        self._go_to(moments)
        world, asked = self.world, self.asked
        if (those := met(self.standing, at, self.length)) != self._met:
            self._keeping.only(left(world, those))
            self._met = those
        shares = asked.said.shares if asked.said is not None else ()
        return place_paid(world, asked.fleet, asked.need, shares, self.advice)

    def _undo(self) -> None:
        self._go_to(0)
        self._keeping.undo()
        self._met = None

    def _go_to(self, moments: int) -> None:
        """Empty, or fill again, until all who are gone by that moment are, and nobody else."""
        world = self.world
        while len(self.gone) > moments:
            refill(world.fleet, self.gone.pop())
        while len(self.gone) < moments:
            end = self.moments[len(self.gone)][1]
            leases = world.leases_of(end.run) if end is not None else ()
            pods = world.pods_of(end.run) if end is not None else ()
            self.gone.append(empty(world.fleet, leases, pods))

    def _blockers(self, moments: int, placement: Placement) -> list[End]:
        nodes = {pod.node for group in placement.groups for pod in group.pods}
        return [
            end
            for _, end in self.moments[:moments]
            if end is not None
            and any(slots.node in nodes for lease in self.world.leases_of(end.run) for slots in lease.spec.slots)
        ]


def _basis(world: World, asked: Question, placement: Placement, blockers: Sequence[End]) -> Basis:
    """The least certain of those of the ends that it waits for, and of others' promises on the same nodes."""
    nodes = {pod.node for group in placement.groups for pod in group.pods}
    known = others(world, asked.run.key, behind=asked.behind)
    near = (one for one in known if any(place.node in nodes for place in one.status.places))
    bases = {*(end.basis for end in blockers), *(one.status.basis for one in near)}
    return next((basis for basis in (Basis.PATIENCE, Basis.HISTORY) if basis in bases), Basis.ENDS)


def _deficit(world: World, asked: Question) -> int:
    """GPUs that are missing now, on the nodes that will do."""
    length = world.ends.length(asked.run)
    with keeping(world.fleet, left(world, met(standing(world, asked.run.key, behind=False), world.now, length))):
        free = sum(
            level * (mask & eligible).bit_count()
            for domain in asked.fleet.domains.values()
            if domain.free and (eligible := domain.eligible(asked.need.filter))
            for level, mask in enumerate(domain.levels)
            if mask
        )
    return max(0, asked.need.gpus - free)

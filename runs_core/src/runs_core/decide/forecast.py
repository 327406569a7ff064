"""When a run that waits will start: what runs is let end, in the order in which it is expected to, until the run fits.

The rule is section "Reservations and forecasts" of the semantics. Nothing is written: places are emptied and filled
again, and only those that come free before it fits are looked at.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.cover import cover
from runs_core.decide.paid import place_paid
from runs_core.decide.place import fits_when_empty
from runs_core.decide.slices import left, others, standing, why_not
from runs_core.values.funding import Cover
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.placement import Placement
from runs_core.values.reservation import MOST_BLOCKERS, Basis, ShortOf
from runs_core.values.run import Run
from runs_core.world.ends import End
from runs_core.world.fleet import Before, FlavorFleet
from runs_core.world.world import World

MOST_ENDS = 5_000
"""Ends that are looked at before nothing is promised."""


@attrs.frozen(kw_only=True)
class Question:
    """Who wants to know. need: with its flavor named. said: who would pay; None: nobody keeps quotas.

    behind: whether it leaves those behind it in line what they were promised, as well as those before it.
    """

    run: Run
    need: Need
    fleet: FlavorFleet
    said: Cover | None
    behind: bool = False


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
    if found is None:
        return None
    at, placement, blockers = found
    basis = _basis(world, asked, placement, blockers)
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


def foresee(world: World, run: Run, advice: Advice) -> Forecast | None:
    """As of now, for a run that waits or is about to; None: nobody would pay, it fits never, or nothing says when."""
    need = world.need(run)
    name = need.flavor or world.sole_flavor()
    fleet = world.fleet.flavors.get(name) if name else None
    if fleet is None or name is None:
        return None
    need = (need if need.flavor else attrs.evolve(need, flavor=name)).as_wide(need.gpus)
    said = cover(world, advice, world.ask(run)).of(need.gpus) if advice.funding else None
    if (said is not None and not said.fundable) or not fits_when_empty(world.fleet, fleet, need):
        return None
    known = world.promises.by_run.get(run.key)
    kept = known is None or not why_not(world, known)
    return forecast(world, Question(run=run, need=need, fleet=fleet, said=said, behind=kept), advice)


class _Replay:
    """moments: when something changes, and who is gone by then. gone: so many of them are emptied now."""

    def __init__(self, world: World, asked: Question, advice: Advice, *, most: bool) -> None:
        self.world = world
        self.asked = asked
        self.advice = advice
        self.length = world.ends.length(asked.run)
        self.standing = standing(world, asked.run.key, behind=asked.behind)
        self.moments: list[tuple[datetime, list[End]]] = []
        self.gone: list[Sequence[Before]] = []
        self._coming = self._upcoming(most=most)
        self._left = MOST_ENDS
        self._freed = asked.fleet.free + asked.fleet.withheld

    def first(self) -> tuple[datetime, Placement, list[End]] | None:
        """The first moment at which it fits, where it goes then, and who had those places.

        Tried further and further ahead, and then halved: who fits fits later as well, but for others' reservations.
        """
        try:
            return self._first()
        finally:
            self._go_to(0)

    def _first(self) -> tuple[datetime, Placement, list[End]] | None:
        low, high, step = 0, self._next(0), 1
        placement: Placement | None = None
        while high is not None and (placement := self._fits(high)) is None:
            low, step = high, 2 * step
            high = self._next(high, step)
        if high is None or placement is None:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            if (found := self._fits(middle)) is not None:
                high, placement = middle, found
            else:
                low = middle
        return self.moments[high - 1][0], placement, self._blockers(high, placement)

    def _upcoming(self, *, most: bool) -> Iterator[tuple[datetime, End | None]]:
        world, name = self.world, self.asked.need.flavor
        ends = ((end.at, end) for end in world.ends.soonest(name, most=most) if end.run != self.asked.run.key)
        over = sorted(one.end for one in self.standing if one.end is not None and one.end > world.now)
        return heapq.merge(ends, ((at, None) for at in over), key=lambda one: one[0])

    def _next(self, at: int, step: int = 1) -> int | None:
        """So many moments further, and at least until so much is free as it wants; None: there are no more."""
        while len(self.moments) < at + step or self._freed < self.asked.need.gpus:
            if not self._more():
                break
        last = len(self.moments)
        return None if last <= at or self._freed < self.asked.need.gpus else last

    def _more(self) -> bool:
        for when, end in self._coming:
            if not self.moments or self.moments[-1][0] != when:
                self.moments.append((when, []))
            self._left -= 1
            if end is not None:
                self.moments[-1][1].append(end)
                run = self.world.run(end.run)
                self._freed += run.status.width if run is not None else 0
            return self._left >= 0
        return False

    def _fits(self, moments: int) -> Placement | None:
        self._go_to(moments)
        world, asked = self.world, self.asked
        at = self.moments[moments - 1][0]
        with world.fleet.keeping(left(world, self.standing, at, self.length)):
            shares = asked.said.shares if asked.said is not None else ()
            return place_paid(world, asked.fleet, asked.need, shares, self.advice)

    def _go_to(self, moments: int) -> None:
        """Empty, or fill again, until all who are gone by that moment are, and nobody else."""
        world = self.world
        while len(self.gone) > moments:
            world.fleet.refill(self.gone.pop())
        while len(self.gone) < moments:
            keys = [end.run for end in self.moments[len(self.gone)][1]]
            leases = [lease for key in keys for lease in world.leases_of(key)]
            pods = [pod for key in keys for pod in world.pods_of(key)]
            self.gone.append(world.fleet.empty(leases, pods))

    def _blockers(self, moments: int, placement: Placement) -> list[End]:
        nodes = {pod.node for group in placement.groups for pod in group.pods}
        ends = (end for _, ends in self.moments[:moments] for end in ends)
        return [
            end
            for end in ends
            if any(slots.node in nodes for lease in self.world.leases_of(end.run) for slots in lease.spec.slots)
        ]


def _basis(world: World, asked: Question, placement: Placement, blockers: Sequence[End]) -> Basis:
    """Of history, if anybody whose end it waits for is known by that alone, or another's promise on the same nodes."""
    nodes = {pod.node for group in placement.groups for pod in group.pods}
    known = others(world, asked.run.key, behind=asked.behind)
    near = (one for one in known if any(place.node in nodes for place in one.status.places))
    bases = {*(end.basis for end in blockers), *(one.status.basis for one in near)}
    return Basis.HISTORY if Basis.HISTORY in bases else Basis.ENDS


def _deficit(world: World, asked: Question) -> int:
    """GPUs that are missing now, on the nodes that will do."""
    length = world.ends.length(asked.run)
    with world.fleet.keeping(left(world, standing(world, asked.run.key, behind=False), world.now, length)):
        free = sum(
            level * (mask & eligible).bit_count()
            for domain in asked.fleet.domains.values()
            if domain.free and (eligible := domain.eligible(asked.need.filter))
            for level, mask in enumerate(domain.levels)
            if mask
        )
    return max(0, asked.need.gpus - free)

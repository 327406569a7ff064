"""When a run that waits fits, by letting one after another end and looking each time: no timetable, no halving."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from runs_core.decide.advice import Advice
from runs_core.decide.held import own_cover
from runs_core.decide.paid import place_paid
from runs_core.decide.recalled import NOBODY, Claim, Recall, Recalls, claim_of, least_certain
from runs_core.decide.search import Found, Question
from runs_core.decide.slices import Rank, guests, left, met, others, rank_of, span, standing
from runs_core.decide.victims import is_of_an_earlier_run, protected_until
from runs_core.values.change import PledgeSeen
from runs_core.values.classes import Class
from runs_core.values.funding import Cover
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.placement import Placement
from runs_core.values.reservation import Basis
from runs_core.values.run import Run
from runs_core.world.ends import End
from runs_core.world.supposed import Before, empty, keeping, refill
from runs_core.world.world import World

Upcoming = tuple[datetime, End | None]


def _when(one: Upcoming) -> datetime:
    return one[0]


class Replay:
    """Asked as what it is compared with."""

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
        self.narrow = asked.fleet.domains.values()
        self.those = standing(world, asked.run.key, behind=asked.behind)
        self.moments = self._moments(most=most, taken=self._taken(patient) if patient is not None else ())

    def first(self) -> Found | None:
        gone: list[End] = []
        before: list[Sequence[Before]] = []
        try:
            for when, end in self.moments:
                if self.before is not None and when >= self.before:
                    return None
                if end is not None:
                    if end.run in {one.run for one in gone}:
                        continue
                    before.append(self._emptied(end))
                    gone.append(end)
                if self.asked.tried and when <= self.world.now:
                    continue
                if (placement := self._fits(when)) is not None:
                    return Found(when, placement, self._blockers(gone, placement))
            return None
        finally:
            while before:
                refill(self.world.fleet, before.pop())

    def at(self, when: datetime) -> Found | None:
        gone = [end for at, end in self.moments if at <= when and end is not None]
        before = [self._emptied(end) for end in gone]
        placement = self._fits(when)
        while before:
            refill(self.world.fleet, before.pop())
        return None if placement is None else Found(when, placement, self._blockers(gone, placement))

    def _emptied(self, end: End) -> Sequence[Before]:
        return empty(self.world.fleet, self.world.leases_of(end.run), self.world.pods_of(end.run))

    def _fits(self, at: datetime) -> Placement | None:
        asked, length = self.asked, self.world.ends.length(self.asked.run)
        shares = asked.said.shares if asked.said is not None else ()
        with keeping(self.world.fleet, left(self.world, met(self.those, at, length))):
            return place_paid(self.world, asked.fleet, asked.need, shares, self.advice)

    def _blockers(self, gone: Sequence[End], placement: Placement) -> list[End]:
        nodes = {pod.node for group in placement.groups for pod in group.pods}
        return [
            end
            for end in gone
            if any(slots.node in nodes for lease in self.world.leases_of(end.run) for slots in lease.spec.slots)
        ]

    def _moments(self, *, most: bool, taken: Iterable[Upcoming]) -> Iterator[Upcoming]:
        world, asked = self.world, self.asked
        ends = ((end.at, end) for end in world.ends.soonest(asked.need.flavor, most=most) if end.run != asked.run.key)
        over = sorted(one.end for one in self.those if one.end is not None and one.end > world.now)
        guests, idle = sorted(self._sent_away(), key=_when), self._staying_on(most=most)
        recalls = asked.recalls.runs
        recalled = ((one.since, End(one.since, one.run, one.basis)) for one in recalls if one.since > world.now)
        return heapq.merge(
            ends, taken, guests, sorted(recalled, key=_when), idle, ((at, None) for at in over), key=_when
        )

    def _staying_on(self, *, most: bool) -> Iterator[Upcoming]:
        ends, asked, now = self.world.ends, self.asked, self.world.now
        first, recalls = next(ends.soonest(asked.need.flavor, most=most), None), asked.recalls.runs
        times = [*([first.at] if first is not None else []), *(one.since for one in recalls if one.since > now)]
        ripe = [one.run for one in recalls if one.since <= now]
        for key in (*ends.staying_on(asked.need.flavor), *ripe) if times else ():
            if key != asked.run.key and not (first is not None and key == first.run and first.at == min(times)):
                yield min(times), End(min(times), key, Basis.ENDS)

    def _taken(self, patient: datetime) -> Iterator[Upcoming]:
        world, run = self.world, self.asked.run
        for until, key in world.quanta.ripening(self.asked.need.flavor):
            other = world.run(key)
            if other is None or key == run.key or is_of_an_earlier_run(world, other, run):
                continue
            if not self.advice.protected(other, world, world.now):
                at = max(patient, world.now, until)
                yield at, End(at, key, Basis.PATIENCE)

    def _sent_away(self) -> Iterator[Upcoming]:
        world, key, said = self.world, self.asked.run.key, self.asked.said
        known: Key | None = key if key in world.promises.by_run else None
        if known is None or said is None or not (said.shares and self.advice.stages):
            return
        status = world.promises.by_run[key].status
        if status.earliest_start is not None and status.basis is not None:
            for guest in guests(world, key):
                run, at = world.run(guest), status.earliest_start
                least = protected_until(world, run) if run is not None else None
                at = at if least is None else max(at, least)
                if at > world.now:
                    yield at, End(at, guest, status.basis)


def recalled(world: World, run: Run, need: Need, said: Cover | None, advice: Advice, *, behind: bool) -> Recalls:
    """Whom the family pays for, and nobody would once claims are made: one after another, by looking at every lease."""
    if said is None or not said.fundable or not any(stage.at_once for stage in advice.stages):
        return NOBODY
    theirs = sorted(_claims(world, run, need.flavor, advice, behind=behind), key=lambda one: one[0])
    mine = Claim(at=world.now, pledge=claim_of(world, run, said))
    before, found = _unpaid(world, advice), dict[Key, Recall]()
    claims = tuple(claim for _, claim in theirs)
    for number, at in enumerate([world.now, *sorted({claim.at for claim in claims})]):
        claim = least_certain([one for one in claims if one.at == at]) if number else mine
        with world.supposing([PledgeSeen(one.pledge) for one in (mine, *claims) if one.at <= at]):
            then = _unpaid(world, advice)
        for key in then - before - found.keys() - {run.key}:
            other = world.run(key)
            until = protected_until(world, other) if other is not None else None
            if until is not None:
                since = max(until, claim.at) if number else until
                found[key] = Recall(run=key, since=since, basis=claim.basis)
    return Recalls(mine=mine, claims=claims, runs=tuple(found[key] for key in sorted(found)))


def _claims(
    world: World, run: Run, flavor: str, advice: Advice, *, behind: bool
) -> Iterator[tuple[tuple[datetime, Rank], Claim]]:
    """Of all who are promised a start that is to come, with when that is and where they stand."""
    for known in others(world, run.key, behind=behind):
        entry, other, at = world.line.entries.get(known.run), world.run(known.run), known.status.earliest_start
        said = own_cover(world, entry, advice) if entry is not None else None
        if other is None or said is None or not said.fundable or known.spec.flavor != flavor:
            continue
        if at is not None and at > world.now and known.status.basis is not None:
            pledge, (start, end) = claim_of(world, other, said.of(other.gpus)), span(world, known)
            yield (start, rank_of(world, known.run)), Claim(at=start, end=end, basis=known.status.basis, pledge=pledge)


def _unpaid(world: World, advice: Advice) -> set[Key]:
    leases = (lease for key in world.ledger.by_run for lease in world.leases_of(key))
    return {lease.run for lease in leases if advice.classify(lease, world, world.now) is Class.UNFUNDED}

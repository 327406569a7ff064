"""Who would be left without a payer by claims that are yet to be made: an owner recalls its own quota from its family.

The rule is section "Classes" of the semantics: such work goes on, and may be taken back for whoever is paid for, as any
other that nobody pays for, once its least runtime is over. A run that waits reckons with its own claim, and with those
of others from the time on at which they are promised to start.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from itertools import groupby
from operator import attrgetter, itemgetter

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.held import own_cover
from runs_core.decide.paid import filters
from runs_core.decide.slices import others, rank_of, span
from runs_core.decide.victims import protected_until
from runs_core.values.change import PledgeSeen
from runs_core.values.classes import Tier
from runs_core.values.funding import Cover, Pledge
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.placement import Placement
from runs_core.values.reservation import Basis, Reservation
from runs_core.values.run import Run
from runs_core.world.world import World


@attrs.frozen(kw_only=True)
class Claim:
    """What a run that waits would hold. at: from when on; end: None: for good. basis: what says so."""

    at: datetime
    end: datetime | None = None
    basis: Basis = Basis.ENDS
    pledge: Pledge


@attrs.frozen(kw_only=True)
class Recall:
    """A run that is left without a payer. since: from when on it may be taken back. basis: what says so."""

    run: Key
    since: datetime
    basis: Basis


@attrs.frozen(kw_only=True)
class Recalls:
    """mine: its own claim; None: nobody may be recalled. claims: of others, the first one first. runs: by key."""

    mine: Claim | None = None
    claims: tuple[Claim, ...] = ()
    runs: tuple[Recall, ...] = ()


NOBODY = Recalls()
_CERTAINTY = (Basis.PATIENCE, Basis.HISTORY, Basis.ENDS, Basis.WINDOW)
"""The least certain first."""


def claim_of(world: World, run: Run, said: Cover) -> Pledge:
    """What the run would hold of the budgets, wherever it lies."""
    nowhere = Placement(groups=())
    owner = world.owner(run)
    return Pledge(
        run=run.key, uid=run.uid, owner=owner, shares=said.shares, placement=nowhere, since=world.now, resolution=""
    )


def least_certain(claims: Sequence[Claim]) -> Claim:
    """Of those that are to be made at one moment."""
    return min(claims, key=lambda one: _CERTAINTY.index(one.basis))


def recalled(world: World, run: Run, need: Need, said: Cover | None, advice: Advice, *, behind: bool) -> Recalls:
    """Whom the family pays for now, and nobody would. need: with its flavor named. said: who pays for all of the run.

    behind: as of `others`, whose claims count. Cost: a look at each run that the family pays for; where that is out of
    a Budget which pays for it or for one of them, as to look for victims, and once more for each moment at which claims
    are to be made by which more are recalled.
    """
    made = _claims(world, run, need, said, advice, behind=behind)
    if made.mine is None:
        return made
    first = dict.fromkeys(_displaced(world, need.flavor, [made.mine], advice), made.mine)
    every = _displaced(world, need.flavor, [made.mine, *made.claims], advice) if made.claims else ()
    with ExitStack() as stack:
        stack.enter_context(world.supposing([PledgeSeen(made.mine.pledge)]))
        for _, some in groupby(made.claims, key=attrgetter("at")):
            if first.keys() >= set(every):
                break
            claims = list(some)
            stack.enter_context(world.supposing([PledgeSeen(one.pledge) for one in claims]))
            first = dict.fromkeys(_named(world, need.flavor, advice), least_certain(claims)) | first
    found = []
    for key, claim in sorted(first.items(), key=itemgetter(0)):
        if (until := _protected(world, run, key, advice)) is not None:
            since = until if claim is made.mine else max(until, claim.at)
            found.append(Recall(run=key, since=since, basis=claim.basis))
    return attrs.evolve(made, runs=tuple(found))


def recalled_at(world: World, known: Reservation, advice: Advice, at: datetime) -> Collection[Key]:
    """Whom nobody would pay for then, of those whom the family pays for now, by what covers its run now."""
    run, entry = world.run(known.run), world.line.entries.get(known.run)
    said = own_cover(world, entry, advice) if entry is not None else None
    if run is None or entry is None or said is None:
        return ()
    need = attrs.evolve(entry.shape.need, flavor=known.spec.flavor).as_wide(run.gpus)
    made = _claims(world, run, need, said.of(need.gpus), advice, behind=True)
    named = displaced_at(world, made, need.flavor, advice, at)
    return {key for key in named if _protected(world, run, key, advice) is not None}


def displaced_at(world: World, recalls: Recalls, flavor: str, advice: Advice, at: datetime) -> Collection[Key]:
    """Whom nobody would pay for at that moment: others may have made their claims by then, and be gone again."""
    if recalls.mine is None:
        return ()
    then = [one for one in recalls.claims if one.at <= at and (one.end is None or at < one.end)]
    return _displaced(world, flavor, [recalls.mine, *then], advice)


def _displaced(world: World, flavor: str, claims: Collection[Claim], advice: Advice) -> Collection[Key]:
    """Likewise, with these made."""
    with world.supposing([PledgeSeen(one.pledge) for one in claims]):
        return _named(world, flavor, advice)


def _named(world: World, flavor: str, advice: Advice) -> Collection[Key]:
    """Who may be taken back as soon as somebody who is paid for finds no room."""
    stages = [stage for stage in advice.stages if stage.at_once]
    return {unit.run for stage in stages for unit in advice.victims(stage, flavor, world, world.now)}


def _protected(world: World, run: Run, key: Key, advice: Advice) -> datetime | None:
    """Until when it is left alone; None: it is not recalled, or nothing says until when."""
    other = world.run(key)
    if other is None or key == run.key or other.status.funding.unfunded or other.status.ending is not None:
        return None
    return None if advice.protected(other, world, world.now) else protected_until(world, other)


def _claims(world: World, run: Run, need: Need, said: Cover | None, advice: Advice, *, behind: bool) -> Recalls:
    """Its own claim and those of others, where any of them may displace somebody."""
    if said is None or not said.fundable or not any(stage.at_once for stage in advice.stages):
        return NOBODY
    lenders = set(_lenders(world, run, need.flavor))
    if not lenders or len(filters(world, need, said.shares)) > 1:
        return NOBODY
    theirs = []
    for other in others(world, run.key, behind=behind):
        entry, at = world.line.entries.get(other.run), other.status.earliest_start
        if entry is None or at is None or at <= world.now or other.spec.flavor != need.flavor:
            continue
        if not any(payer.budget in lenders for payer in entry.queue.payers):
            continue
        pays, waits = own_cover(world, entry, advice), world.run(other.run)
        if pays is None or waits is None or not pays.fundable:
            continue
        start, end = span(world, other)
        pledge = claim_of(world, waits, pays.of(other.spec.gpus))
        basis = other.status.basis or Basis.ENDS
        theirs.append((start, rank_of(world, other.run), Claim(at=start, end=end, basis=basis, pledge=pledge)))
    if not (theirs or any(share.tier is Tier.OWN and share.payer.budget in lenders for share in said.shares)):
        return NOBODY
    mine = Claim(at=world.now, pledge=claim_of(world, run, said))
    return Recalls(mine=mine, claims=tuple(claim for _, _, claim in sorted(theirs, key=lambda one: one[:2])))


def _lenders(world: World, run: Run, flavor: str) -> Iterator[str]:
    """Budgets that pay for anything of that flavor which lies within the family of their owner."""
    names = {flavor, ""} if world.sole_flavor() == flavor else {flavor}
    for key, slack in world.slack.all().items():
        if slack.shared and not slack.unfunded and slack.flavor in names and key != run.key:
            other = world.run(key)
            if other is not None:
                yield from (payer.budget for payer in other.status.payers)

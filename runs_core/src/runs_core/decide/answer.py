"""Where a waiting run goes now, or why nowhere; and what it is told."""

from __future__ import annotations

from runs_core.decide.advice import Advice
from runs_core.decide.flavor import find_flavor
from runs_core.decide.held import own_cover
from runs_core.decide.match import no_flavor, no_place
from runs_core.decide.paid import filters, place_paid, place_widest
from runs_core.decide.place import place
from runs_core.decide.quota import beside_quota
from runs_core.decide.reach import might_fit
from runs_core.decide.slices import is_due, leaving
from runs_core.decide.standing import joined, stand
from runs_core.values.decision import Decision, NoPlace, Waits
from runs_core.values.effect import Effect, Emit, SetRunStatus
from runs_core.values.funding import Cover
from runs_core.values.need import Need
from runs_core.values.placement import Placement
from runs_core.values.run import Phase, Run
from runs_core.world.flavors import FlavorFleet
from runs_core.world.queues import UNPAYABLE, Entry, Shape, band_of
from runs_core.world.supposed import keeping
from runs_core.world.world import World


def answer(world: World, run: Run, entry: Entry, advice: Advice, *, explain: bool) -> Placement | NoPlace | None:
    """Where the run goes, or why nowhere; None: nowhere, and nobody asked why."""
    shape, found = entry.shape, find_flavor(world, entry.shape.need)
    if found is None:
        return no_flavor(world, shape.need)
    name, flavor = found
    said = own_cover(world, entry, advice) if world.held.by_run else entry.queue.cover
    unpayable = entry.queue.band == UNPAYABLE or (said is not None and band_of(said) == UNPAYABLE)
    placement = None if unpayable else _place(world, shape, flavor, said, advice)
    if placement is None and flavor.withheld and not unpayable:
        placement = place_beside(world, flavor, shape.need, run, said=said, advice=advice)
    if placement is not None:
        return placement
    if not explain:
        return None
    if shape.answer is None or shape.answered != flavor.moved:
        shape.answer = no_place(world, flavor, name, shape.need)
        shape.answered = flavor.moved
    return beside_quota(shape.answer, shape.need, said) if said is not None else shape.answer


def _place(world: World, shape: Shape, flavor: FlavorFleet, said: Cover | None, advice: Advice) -> Placement | None:
    if shape.need.demand is not None:
        return _widest(world, shape, flavor, said, advice)
    within = filters(world, shape.need, said.shares) if said is not None else ()
    if not within:
        if shape.failed == flavor.freed:
            return None
        placement = place(world.fleet, flavor, shape.need, advice=advice, view=world)
        if placement is None:
            shape.failed = flavor.freed
        return placement
    assert said is not None
    if shape.failed == flavor.freed or shape.narrower.get(within) == flavor.freed:
        return None
    placement = place_paid(world, flavor, shape.need, said.shares, advice)
    if placement is None:
        shape.narrower[within] = flavor.freed
    return placement


def _widest(world: World, shape: Shape, flavor: FlavorFleet, said: Cover | None, advice: Advice) -> Placement | None:
    if shape.failed == flavor.freed:
        return None
    placement = place_widest(world, flavor, shape.need, said, advice)
    if placement is None and not (said is not None and any(share.selector for share in said.shares)):
        shape.failed = flavor.freed
    return placement


def place_beside(
    world: World, flavor: FlavorFleet, need: Need, run: Run, *, said: Cover | None, advice: Advice
) -> Placement | None:
    """Where it goes among places that are promised for later, as far as it may use them.

    Who has a promise of its own leaves those behind it theirs, until its time has come and it finds no other place.
    """
    if flavor.free + flavor.withheld < need.gpus:
        return None
    promised = run.key in world.promises.by_run
    for behind in (True, False) if promised and is_due(world, run.key) else (promised,):
        kept = leaving(world, run, said, advice, behind=behind)
        if might_fit(world, flavor, need, kept):
            with keeping(world.fleet, kept):
                placement = place_widest(world, flavor, need, said, advice)
            if placement is not None:
                return placement
    return None


def waits(world: World, run: Run, verdict: NoPlace) -> Decision | None:
    """Stays in line; None where its status says so already."""
    now, status = world.now, run.status
    if run.key in world.promises.by_run and status.admitted_at is not None and not verdict.never:
        return None  # what it was promised stands in its status
    stands = stand(
        run,
        now,
        phase=Phase.QUEUED,
        reason=verdict.reasons[0].code,
        message=joined(verdict.reasons),
        pending_gpus=world.wanted(run),
        admitted_at=status.admitted_at or now,
        queued_since=status.queued_since or now,
    )
    if stands == run:
        return None
    outcome = Waits(reasons=verdict.reasons, match=verdict.match, never=verdict.never, cover=verdict.cover)
    effects: tuple[Effect, ...] = (SetRunStatus(stands),)
    if status.reason != stands.status.reason:
        effects = (*effects, Emit("Run", run.key, stands.status.reason, stands.status.message, now))
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=effects)

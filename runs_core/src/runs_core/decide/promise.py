"""Who is first in line and finds no room is told when it will start: that is a reservation, and it is kept.

The rules are sections "The decision for one waiting run", step 4, and "Reservations and forecasts" of the semantics.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from functools import partial

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.batch import Batch
from runs_core.decide.forecast import Forecast, at_opening, forecast
from runs_core.decide.held import hold_quota, own_cover, renew_cover
from runs_core.decide.keep import as_reserved, decided, let_go, never_fits, unfundable, waits_for_quota
from runs_core.decide.opening import opening
from runs_core.decide.patience import patient_until
from runs_core.decide.place import fits_when_empty
from runs_core.decide.recalled import NOBODY, recalled
from runs_core.decide.search import Question
from runs_core.decide.slices import is_due, rank_of
from runs_core.decide.why_not import why_not
from runs_core.values.decision import Decision, Moves, Reserves
from runs_core.values.effect import Emit, Promised, PutReservation, SetReservationStatus, SetRunStatus
from runs_core.values.lease import RunRef
from runs_core.values.meta import Key, Meta
from runs_core.values.quantity import format_time
from runs_core.values.reservation import (
    MOST_CAUSES,
    MOST_PROMISES,
    Basis,
    Promise,
    Reservation,
    ReservationSpec,
    ReservationStatus,
    reservation_name,
)
from runs_core.values.run import Run
from runs_core.world.bound import bound_of
from runs_core.world.known import BEGINNING
from runs_core.world.queues import FUNDABLE
from runs_core.world.world import World

EVERY = timedelta(minutes=1)
"""Promises are worked out anew at most so often."""
FIRST = 8
"""So many of the line are told anew that they start earlier; those behind only if what they were told cannot be."""
CLOCK = Key("", "promises")
"""No run: what is woken when promises are to be worked out anew."""
RESTS = {
    Basis.ENDS: "by expected ends",
    Basis.HISTORY: "by how long such runs took",
    Basis.PATIENCE: "by drawing lots for it",
    Basis.WINDOW: "when quota opens for it",
}


def promise(world: World, advice: Advice, batch: Batch) -> None:
    """What is promised to whom is worked out anew where something that it rests on may be otherwise, once a minute."""
    if world.promises.by_run and world.funded:
        _unfundable(world, batch)
    if not (world.promises.stirred and _is_due(world)):
        return
    keys = set(world.promises.by_run)
    first: dict[str, Collection[Key]] = {}
    for flavor in world.flavors():
        if world.funded or world.ends.known(flavor):
            keys.update(_first(world, flavor, first))
    for at, key in enumerate(sorted(keys, key=lambda key: rank_of(world, key))):
        known = world.promises.by_run.get(key)
        if at < FIRST or known is None or why_not(world, known, advice):
            look(world, key, advice, batch, first)
    world.promises.begun = True
    if world.promises.by_run and world.funded:
        _unfundable(world, batch)


def _first(world: World, flavor: str, known: dict[str, Collection[Key]]) -> Collection[Key]:
    """Who is near enough to the front. known: as found out before, in this pass."""
    if flavor not in known:
        fits = partial(fits_when_empty, world.fleet, world.fleet.flavors[flavor])
        known[flavor] = set(world.line.first_of(flavor, world.settings.reservations.max, fits))
    return known[flavor]


def _is_due(world: World) -> bool:
    """At whole minutes, so that a process which begins in between changes nothing."""
    promises, now = world.promises, world.now
    if promises.due is None:
        promises.due = now + (BEGINNING - now) % EVERY
    if now < promises.due:
        world.wake_at(promises.due, CLOCK)
        return False
    promises.due, promises.stirred = None, False
    return True


def _is_unsaid(world: World, key: Key) -> bool:
    """Whether nothing was promised to it, though a reservation may have been made."""
    known = world.promises.by_run.get(key)
    return known is None or not known.status.promises


def _is_its_turn(world: World, key: Key, flavor: str, first: dict[str, Collection[Key]]) -> bool:
    """Whether everybody before it in line is promised something, as far as that can be.

    In a process that has just begun some may not be, though they were seen earlier: the one that saw them was killed.
    All are promised something in the order of the line, then, at the next whole minute; nor is what is promised
    already moved to where they would have been.
    """
    if world.promises.begun:
        return True
    entries = world.line.entries
    mine = entries[key].order
    return all(entries[one].order >= mine or not _is_unsaid(world, one) for one in _first(world, flavor, first))


def look(
    world: World, key: Key, advice: Advice, batch: Batch, first: dict[str, Collection[Key]], *, alone: bool = False
) -> None:
    """Promise this run a start, or something else than before. first: who may be, by flavor, as far as it is known.

    alone: nobody else is looked at now.
    """
    run, entry, known = world.run(key), world.line.entries.get(key), world.promises.by_run.get(key)
    if run is None or entry is None:
        return
    if world.funded:
        renew_cover(world, advice, entry.queue)
    if not (entry.queue.band == FUNDABLE or entry.queue.opens):
        return
    flavor = entry.shape.need.flavor or world.sole_flavor()
    fleet = world.fleet.flavors.get(flavor) if flavor else None
    if flavor is None or fleet is None:
        return
    shaped = entry.shape.need if entry.shape.need.flavor else attrs.evolve(entry.shape.need, flavor=flavor)
    need, cover = shaped.as_wide(shaped.gpus), own_cover(world, entry, advice)
    said = cover.of(need.gpus) if cover is not None else None
    patient = patient_until(world, run, need, said, advice)
    grounds = patient is not None or entry.queue.opens or world.ends.known(flavor)
    recalls = recalled(world, run, need, said, advice, behind=True) if known is None and not grounds else NOBODY
    if known is None and not ((grounds or recalls.runs) and _has_room(world, key, flavor, first)):
        return
    if alone and not _is_its_turn(world, key, flavor, first):
        world.promises.stirred = True
        return
    if not fits_when_empty(world.fleet, fleet, need):
        if known is not None:
            _take(world, batch, never_fits(world, known))
        return
    stands = known is not None and not _is_unsaid(world, key) and not why_not(world, known, advice)
    behind = stands or _is_unsaid(world, key)
    if not recalls.runs:
        recalls = recalled(world, run, need, said, advice, behind=behind)
    asked = Question(
        run=run,
        need=need,
        fleet=fleet,
        said=said,
        behind=behind,
        patient=patient,
        tried=is_due(world, key),
        before=known.status.earliest_start if known is not None and stands else None,
        recalls=recalls,
    )
    if said is not None and not said.fundable:
        opens = opening(world, entry.queue.ask, entry.order, said, advice) if entry.queue.ask is not None else None
        if opens is None:
            if known is not None:
                _take(world, batch, unfundable(world, known))
            return
        asked = attrs.evolve(asked, said=opens.said.of(need.gpus))
        found = at_opening(world, asked, opens.at, said.left, advice)
    else:
        found = forecast(world, asked, advice)
    if found is None:
        _let_go(world, run, None if stands else known, batch)
        return
    _tell(world, run, flavor, found, batch, advice=advice)
    if world.funded:
        hold_quota(world, advice)


def _let_go(world: World, run: Run, known: Reservation | None, batch: Batch) -> None:
    """Nothing says when it starts. known: what it was promised, and cannot be kept."""
    over = let_go(world, run, known) if known is not None else None
    if over is not None:
        _take(world, batch, over)


def _tell(world: World, run: Run, flavor: str, found: Forecast, batch: Batch, *, advice: Advice) -> None:
    """Promise that, if it is not what is promised already, and look again when the first of those it rests on ends."""
    key, known = run.key, world.promises.by_run.get(run.key)
    if known is None:
        _take(world, batch, _reserved(world, run, flavor, found))
    elif not known.status.promises:
        _take(world, batch, _told(world, run, known, found, SetReservationStatus))
    elif (decision := _moved(world, run, known, found, advice)) is not None:
        _take(world, batch, decision)
    else:
        return
    if known is None or found.at != known.status.earliest_start:
        batch.promised.add(key)
    if found.at > world.now:
        world.wake_at(found.until if found.until > world.now else found.at, key)
    else:
        world.touch(key)  # lots are drawn at once


def _has_room(world: World, key: Key, flavor: str, first: dict[str, Collection[Key]]) -> bool:
    """Whether one more run may have places kept for it, and this one stands near enough to the front."""
    most = world.settings.reservations.max
    if len(world.promises.by_run) >= most:
        standing = sum(one.spec.flavor == flavor for one in world.promises.by_run.values())
        if standing >= most:
            return False
    return len(world.line.entries) <= most or key in _first(world, flavor, first)


def _take(world: World, batch: Batch, decision: Decision) -> None:
    batch.take(decision, {})
    world.touched.discard(decision.run)


# -- making and moving ------------------------------------------------------------------------------------------------


def _reserved(world: World, run: Run, flavor: str, found: Forecast) -> Decision:
    now = world.now
    spec = ReservationSpec(run_ref=RunRef(name=run.meta.name, uid=run.uid), flavor=flavor, gpus=run.gpus, at=now)
    meta = Meta(name=reservation_name(run.meta.name, now), namespace=run.key.namespace, created=now)
    return _told(world, run, Reservation(meta=meta, spec=spec), found, PutReservation)


def _told(
    world: World, run: Run, made: Reservation, found: Forecast, write: Callable[[Reservation], Promised]
) -> Decision:
    """What it promises, for the first time. It may stand already: whoever made it was killed before that was said."""
    message = told(found)
    status = _standing(world, attrs.evolve(made.status, message=message), found, (_promise(world, found),))
    told_ = attrs.evolve(made, status=status)
    outcome = Reserves(reservation=made.meta.name, earliest_start=found.at, basis=found.basis, message=message)
    emit = Emit("Run", run.key, "Reserved", message, world.now)
    return decided(run, outcome, write(told_), SetRunStatus(as_reserved(world, run, told_)), emit)


def _moved(world: World, run: Run, known: Reservation, found: Forecast, advice: Advice) -> Decision | None:
    """The promise is kept as long as it can be; a later one says why."""
    status, before = known.status, known.status.earliest_start or found.at
    cause = ""
    if found.at > before:
        cause = why_not(world, known, advice) or ("quota opens later" if found.basis is Basis.WINDOW else "")
        if not cause:
            return None
    elif found.at < before:
        cause = "quota opens earlier" if found.basis is Basis.WINDOW else "capacity comes free earlier"
    promises = status.promises
    if found.at != before:
        promises = remembered((*promises, _promise(world, found, cause)))
    message = told(found) if not cause else f"{told(found)}, not {format_time(before)}: {cause}"
    stands = _standing(
        world, status if found.at == before else attrs.evolve(status, message=message, remedies=()), found, promises
    )
    if stands == status:
        return None
    moved = attrs.evolve(known, status=stands)
    if found.at == before:
        return decided(run, Moves(reason="PlacesMoved", message="other places are kept"), SetReservationStatus(moved))
    emit = Emit("Run", run.key, "PromiseMoved", message, world.now)
    effects = (SetReservationStatus(moved), SetRunStatus(as_reserved(world, run, moved)), emit)
    return decided(run, Moves(reason="PromiseMoved", message=message), *effects)


def _standing(
    world: World, status: ReservationStatus, found: Forecast, promises: tuple[Promise, ...]
) -> ReservationStatus:
    places = bound_of(found.placement)
    return attrs.evolve(
        status,
        basis=found.basis,
        earliest_start=found.at,
        latest=found.latest,
        deficit_gpus=found.deficit_gpus,
        short_of=found.short_of,
        blocked_by=tuple(map(str, found.blocked_by)),
        places=places,
        places_since=status.places_since if places == status.places else world.now,
        promises=promises,
    )


def _promise(world: World, found: Forecast, cause: str = "") -> Promise:
    return Promise(at=world.now, basis=found.basis, earliest_start=found.at, cause=cause)


def remembered(promises: tuple[Promise, ...]) -> tuple[Promise, ...]:
    """All, as far as may be, since each is held against the start; of those between the first and the last, not why."""
    if len(promises) <= MOST_CAUSES:
        return promises
    first, between, last = promises[0], promises[1 : 1 - MOST_CAUSES], promises[1 - MOST_CAUSES :]
    without = (attrs.evolve(one, cause="") if one.cause else one for one in between[MOST_CAUSES - MOST_PROMISES :])
    return (first, *without, *last)


def told(found: Forecast) -> str:
    """The promise in a sentence."""
    late = f", {format_time(found.latest)} at the latest of nine in ten" if found.latest > found.at else ""
    return f"starts about {format_time(found.at)} {RESTS[found.basis]}{late}"


def _unfundable(world: World, batch: Batch) -> None:
    """Nobody would pay any more: nothing is kept for it."""
    for key, known in sorted(world.promises.by_run.items()):
        entry = world.line.entries.get(key)
        if entry is not None and entry.queue.band != FUNDABLE and not waits_for_quota(world, known):
            _take(world, batch, unfundable(world, known))
            world.touch(key)  # it says at once why it waits now, not when something else next happens

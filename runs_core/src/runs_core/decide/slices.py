"""Places that are promised to somebody for later: who may use them until then, and who has stayed too long.

The rule is section "The decision for one waiting run" of the semantics, step 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from runs_core.decide.advice import Advice
from runs_core.decide.victims import protected_until
from runs_core.values.funding import Cover
from runs_core.values.meta import Key
from runs_core.values.reservation import Reservation
from runs_core.values.run import Run
from runs_core.world.needs import min_runtime_of
from runs_core.world.promises import Standing, Stood
from runs_core.world.queues import FUNDABLE, Order
from runs_core.world.world import World

Rank = tuple[int, Order]
LAST: Rank = (FUNDABLE + 3, ())
"""Behind everybody."""


def rank_of(world: World, key: Key) -> Rank:
    """Where a run stands in line; who does not is behind everybody. Who is promised something will be paid for then."""
    entry = world.line.entries.get(key)
    if entry is None:
        return LAST
    band = entry.queue.band
    return (FUNDABLE if band != FUNDABLE and key in world.promises.by_run else band, entry.order)


def stay(world: World, run: Run, said: Cover | None, advice: Advice) -> timedelta | None:
    """How long it would be in others' places at most; None: nobody can tell.

    Who nobody pays for, or knows an estimate of, can be sent away once its least runtime is over.
    """
    length = world.ends.length(run)
    unpaid = said is not None and not said.fundable
    if advice.stages and (length is None or unpaid):
        least = min_runtime_of(run.spec, world.settings.reclaim)
        return least if length is None else min(length, least)
    return length


def others(world: World, key: Key, *, behind: bool) -> Iterator[Reservation]:
    """The reservations that keep places and stand before this run in line, and those behind if so asked, unordered."""
    return (reservation for _, reservation in _others(world, key, behind=behind))


def _others(world: World, key: Key, *, behind: bool) -> Iterator[tuple[Key, Reservation]]:
    mine = rank_of(world, key)
    for run, reservation in world.promises.by_run.items():
        if run != key and reservation.status.places and (behind or rank_of(world, run) < mine):
            yield run, reservation


def span(world: World, reservation: Reservation) -> tuple[datetime, datetime | None]:
    """From when to when its run is to have its places; None: nobody knows, as of who is overdue."""
    promised = reservation.status.earliest_start or world.now
    run = world.run(reservation.run)
    length = world.ends.length(run) if run is not None and promised >= world.now else None
    return max(world.now, promised), None if length is None else promised + length


def standing(world: World, key: Key, *, behind: bool) -> list[Standing]:
    """What a run must leave: to those before it in line, and to those behind it if so asked."""
    return [_standing(world, run, one) for run, one in _others(world, key, behind=behind)]


def _standing(world: World, key: Key, reservation: Reservation) -> Standing:
    """Asked for again and again in one pass: remembered for a run that says how long it takes."""
    run, now, found = world.run(key), world.now, world.promises.standing.get(key)
    if found is not None and found.run is run and found.now == now:
        return found.standing
    standing = Standing(*span(world, reservation), world.promises.kept[key])
    if run is not None and run.spec.runtime.expected_duration is not None:
        world.promises.standing[key] = Stood(run, now, standing)
    return standing


def met(those: Sequence[Standing], at: datetime, length: timedelta | None) -> Sequence[Standing]:
    """Those whose time a run would be there in that starts then, for so long."""
    return [one for one in those if (length is None or at + length > one.start) and (one.end is None or at < one.end)]


def left(world: World, those: Sequence[Standing]) -> Mapping[str, int]:
    """What a run must leave to these: masks by node, of all nodes where places are kept."""
    masks = dict.fromkeys(world.promises.masks, 0)
    for one in those:
        for node, mask in one.masks.items():
            masks[node] |= mask
    return masks


def leaving(world: World, run: Run, said: Cover | None, advice: Advice, *, behind: bool = False) -> Mapping[str, int]:
    """What it must leave if it starts now: as of `left`. behind: as of `standing`."""
    if not world.promises.masks:
        return {}
    length = stay(world, run, said, advice)
    return left(world, met(standing(world, run.key, behind=behind), world.now, length))


def is_due(world: World, key: Key) -> bool:
    """Whether the time that it was promised has come."""
    reservation = world.promises.by_run.get(key)
    at = reservation.status.earliest_start if reservation is not None else None
    return at is not None and at <= world.now


def overdue(world: World, key: Key) -> Iterator[Key]:
    """Its guests that are there though its time has come."""
    if is_due(world, key):
        yield from guests(world, key)


def guests(world: World, key: Key) -> Iterator[Key]:
    """Runs that started in its places after they were promised to it, sorted."""
    reservation = world.promises.by_run.get(key)
    if reservation is None:
        return
    found = set()
    for node, mask in world.promises.kept[key].items():
        for lease in world.ledger.by_node.get(node, {}).values():
            here = any(slots.node == node and slots.mask & mask for slots in lease.spec.slots)
            run = world.run(lease.run)
            if here and run is not None and is_guest(world, reservation, run):
                found.add(lease.run)
    yield from sorted(found)


def sent_away_at(world: World, guest: Run, at: datetime) -> datetime:
    """When, if the time of those whose places it uses is then: not inside its least runtime."""
    return max(at, protected_until(world, guest) or at)


def is_guest(world: World, known: Reservation, other: Run) -> bool:
    """Whether a run in these places started there after they were promised, and not before their run in line.

    Of one moment, who is waited for was there before. Who is paid for, and would come first in line, need not leave
    them: nobody is cut for one behind.
    """
    started, since = other.status.started_at or world.now, known.status.places_since or known.spec.at
    if started < since or (started == since and str(other.key) in known.status.blocked_by):
        return False
    run = world.run(known.run)
    if run is None or (started > since and other.status.funding.unfunded):
        return True
    return world.order(other) > world.order(run)

"""What becomes of a promise: it stands, is kept, or is given up, and the run that it is about says so.

The rules are section "Reservations and forecasts" of the semantics.
"""

from __future__ import annotations

from datetime import datetime

import attrs

from runs_core.decide.match import NEVER_CODES, NEVER_FITS, WAIT_CODES
from runs_core.decide.standing import stand
from runs_core.decide.why_not import leaves
from runs_core.values.decision import Decision, Moves, Outcome
from runs_core.values.effect import Effect, Emit, SetReservationStatus, SetRunStatus
from runs_core.values.meta import Key
from runs_core.values.quantity import format_time
from runs_core.values.reservation import Reservation, ReservationPhase, ShortOf
from runs_core.values.run import Phase, Run
from runs_core.world.world import World


def keep(world: World, key: Key, run: Run | None) -> Decision | None:
    """What is next for the reservation that stands for this run: its end, another state, or None: it stands."""
    known = world.promises.by_run[key]
    if run is None or run.uid != known.spec.run_ref.uid or run.meta.deleting is not None:
        return canceled(world, known, "Deleted", "the run is gone", write_run=False)
    status, phase = run.status, known.status.phase
    if status.phase.begun and not status.phase.terminal:
        return _released(world, run, known)
    if status.phase.terminal or run.spec.canceled:
        return canceled(world, known, "Canceled", "the run is over")
    if run.spec.suspend or status.phase is Phase.HELD:
        return canceled(world, known, "Held", "the run may not stand in line")
    if (run.gpus, run.spec.resources.flavor or known.spec.flavor) != (known.spec.gpus, known.spec.flavor):
        return canceled(world, known, "Edited", "the run wants something else now")
    pledged = world.pledge(key) is not None
    if pledged and phase is ReservationPhase.PENDING:
        told_ = "GPUs were taken back for it; starts once who has them has gone"
        active = attrs.evolve(known.status, phase=ReservationPhase.ACTIVATING, reason="Activating", message=told_)
        outcome = Moves(reason="Activating", message=told_)
        return decided(run, outcome, SetReservationStatus(attrs.evolve(known, status=active)))
    began = bool(world.leases_of(key))  # a start that nobody lived to write to its end is gone on with
    if not pledged and not began and phase is ReservationPhase.ACTIVATING:
        return canceled(world, known, "ResolutionCanceled", "what was taken back will not be given to it")
    return _standing_still(world, run, known)


def _standing_still(world: World, run: Run, known: Reservation) -> Decision | None:
    """It goes on. Its time, if it has come without a start, is to be told anew; and its run says that it stands."""
    lapse, start = _lapse(world, known), known.status.earliest_start
    if lapse is None:
        world.promises.stirred = True
    if (wake := lapse or start) is not None and wake > world.now:
        world.wake_at(wake, run.key)  # also where it may be promised something else: that may be found to stand
    else:
        if (until := overdue_until(world, known)) is not None and until > world.now:
            world.wake_at(until, run.key)
        if known.status.short_of is ShortOf.QUOTA and run.key in world.line.entries:
            world.line.hear(run.key)  # who pays is asked again, whether or not an index tells of it
    answered = run.status.admitted_at is not None  # else it is to be told first why it waits, and stands in line
    promised = known.status.phase is ReservationPhase.PENDING and bool(known.status.promises)
    if answered and promised and run.status.phase is Phase.QUEUED:
        stands = as_reserved(world, run, known)
        return decided(run, Moves(reason="Reserved", message=known.status.message), SetRunStatus(stands))
    return None


def _lapse(world: World, known: Reservation) -> datetime | None:
    """Until when all goes as it was promised, if nobody ends before; None: something does not."""
    times = [known.status.earliest_start or world.now]
    for name in known.status.blocked_by:
        other = world.run(Key(*name.split("/", 1)))
        if other is not None and other.status.phase.begun and not other.status.phase.terminal:
            times.append(leaves(world, known, other) or world.now)
    return min(times) if min(times) > world.now else None


def overdue_until(world: World, known: Reservation) -> datetime | None:
    """How long places are kept for it once its time has come, while nothing says another; None: it keeps none."""
    status, run = known.status, world.run(known.run)
    if not status.places or status.earliest_start is None or run is None:
        return None
    return status.earliest_start + world.settings.patience.holds_after(world.owner(run))


def let_go(world: World, run: Run, known: Reservation) -> Decision | None:
    """Its time is long past and nothing says another: what is free of its places is anybody's. None: not yet.

    It stands, so that it is held against the start, and may be promised a time and places again.
    """
    until = overdue_until(world, known)
    if until is None or until > world.now or known.status.phase is not ReservationPhase.PENDING:
        return None
    start = format_time(known.status.earliest_start or world.now)
    message = f"was to start about {start}; nothing says any more when it does, and no places are kept for it"
    stands = attrs.evolve(known, status=attrs.evolve(known.status, places=(), message=message))
    emit = Emit("Run", run.key, "PromiseOverdue", f"{known.meta.name}: {message}", world.now)
    effects = (SetReservationStatus(stands), SetRunStatus(as_reserved(world, run, stands)), emit)
    return decided(run, Moves(reason="PromiseOverdue", message=message), *effects)


def unkept(world: World, run: Run) -> Decision:
    """Its status tells of a reservation that does not stand."""
    message = "its reservation does not stand any more; stands in line"
    return decided(run, Moves(reason="Unreserved", message=message), SetRunStatus(_as_queued(world, run)))


def _released(world: World, run: Run, known: Reservation) -> Decision:
    """It has started: every forecast is held against that."""
    started = run.status.started_at or world.now
    scored = tuple(
        attrs.evolve(one, error_seconds=round((started - one.earliest_start).total_seconds()))
        for one in known.status.promises
    )
    message = f"started at {format_time(started)}"
    over = attrs.evolve(
        known.status,
        phase=ReservationPhase.RELEASED,
        reason="Started",
        message=message,
        promises=scored,
        places=(),
        end=world.now,
    )
    outcome = Moves(reason="PromiseKept", message=message)
    return decided(run, outcome, SetReservationStatus(attrs.evolve(known, status=over)))


def canceled(world: World, known: Reservation, reason: str, message: str, *, write_run: bool = True) -> Decision:
    """It stands no more, and the places are anybody's."""
    over = attrs.evolve(
        known.status, phase=ReservationPhase.CANCELED, reason=reason, message=message, places=(), end=world.now
    )
    effects: list[Effect] = [SetReservationStatus(attrs.evolve(known, status=over))]
    run = world.run(known.run)
    if write_run and run is not None and run.status.phase is Phase.RESERVED:
        effects.append(SetRunStatus(_as_queued(world, run)))
    told_ = f"{known.meta.name} is canceled: {message}"
    effects.append(Emit("Run", known.run, "ReservationCanceled", told_, world.now))
    outcome = Moves(reason="ReservationCanceled", message=told_)
    return Decision(run=known.run, uid=known.spec.run_ref.uid, outcome=outcome, effects=tuple(effects))


def never_fits(world: World, known: Reservation) -> Decision:
    """Its end, where nodes have gone that it needs."""
    return canceled(world, known, NEVER_FITS, "the present fleet could never take it")


def unfundable(world: World, known: Reservation) -> Decision:
    """Its end, where quotas have changed."""
    return canceled(world, known, "Unfundable", "nobody would pay for it any more")


def waits_for_quota(world: World, known: Reservation) -> bool:
    """Whether somebody is to pay for it only from a time on that is yet to come."""
    at = known.status.earliest_start
    return known.status.short_of is ShortOf.QUOTA and at is not None and at > world.now


def _as_queued(world: World, run: Run) -> Run:
    status = run.status
    return stand(run, world.now, phase=Phase.QUEUED, reason=status.reason, message=_without_promise(status.message))


def _without_promise(message: str) -> str:
    """Why it waits, of what its status says."""
    for told in ("; starts about ", "; was to start about "):
        message = message.partition(told)[0]
    return message


def as_reserved(world: World, run: Run, reservation: Reservation) -> Run:
    """Its reason stays why it waits."""
    status = run.status
    why = _without_promise(status.message)
    reason = status.reason if status.reason in WAIT_CODES - NEVER_CODES else "NotEnoughGPUs"
    message = f"{why}; {reservation.status.message}" if why else reservation.status.message
    return stand(
        run, world.now, phase=Phase.RESERVED, reason=reason, message=message, reservation=reservation.meta.name
    )


def decided(run: Run, outcome: Outcome, *effects: Effect) -> Decision:
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=tuple(effects))

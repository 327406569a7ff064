"""One cycle: what changed is attended to, then the line is asked, first in line first."""

from __future__ import annotations

import heapq

from runs_core.decide.activate import activate
from runs_core.decide.advice import Advice
from runs_core.decide.batch import Batch, Clock
from runs_core.decide.carry_out import cut_now
from runs_core.decide.hold import failed_upstream, hold, holds
from runs_core.decide.keep import keep, unkept
from runs_core.decide.lifecycle import is_at_rest, lifecycle, unwanted
from runs_core.decide.manual import by_hand
from runs_core.decide.paying import reclassed, stamped
from runs_core.decide.release import Cause, late_pods, left_open, orphaned, release, removal
from runs_core.decide.standing import stand
from runs_core.decide.telling import tell
from runs_core.decide.waiting import ask_line
from runs_core.errors import RunsError
from runs_core.values.decision import Decision, Moves, Removed
from runs_core.values.effect import SetRunStatus
from runs_core.values.lease import Closed
from runs_core.values.meta import Key
from runs_core.values.run import Phase, Run
from runs_core.world.world import World

MOST_PASSES = 10_000
MOST_TURNS, AT_LEAST = 100, 10_000
"""Looks of one pass for each run that there is, on average, before it is given up, and how many there may always be."""


def cycle(world: World, advice: Advice, clock: Clock) -> Batch:
    """All decisions that can be taken now. clock: seconds, only to tell how long each stage took."""
    batch = Batch(world)
    if world.requests:
        by_hand(world, advice, batch)
    for _ in range(MOST_PASSES):
        made = len(batch.decisions)
        fresh = _attend(world, advice, batch, clock)
        ask_line(world, advice, batch, fresh, clock)
        if not world.touched and not (len(batch.decisions) > made and _is_news(world)):
            if batch.promised:
                tell(world, advice, batch)
            return batch
    raise RunsError(f"decisions do not settle after {MOST_PASSES} passes: {sorted(map(str, world.touched))[:3]}")


def _is_news(world: World) -> bool:
    """Whether those who wait have not heard yet of what was decided: that places or quota are free for them."""
    line = world.line
    return bool(line.shapes and line.asked != world.fleet.freed) or (world.funded and world.unheard())


def _attend(world: World, advice: Advice, batch: Batch, clock: Clock) -> dict[Key, float]:
    """Runs that a change touched, or a decision of this cycle, each time the first by its key.

    So who was touched in vain, as may depend on the order in which things were seen, changes no order of decisions.
    Returns those that stand in line and are to be answered, with the time spent on holds.
    """
    fresh: dict[Key, float] = {}
    due: set[Key] = set()
    queue: list[Key] = []
    looks = 0
    while world.touched or queue:
        if not queue and len(world.touched) == 1:  # as most often: one pod or one arrival is heard of
            key = world.touched.pop()
        else:
            if world.touched:
                found, world.touched = world.touched - due, set()
                due |= found
                if queue:
                    for one in found:  # in any order: a heap gives them back in theirs
                        heapq.heappush(queue, one)
                else:
                    queue = sorted(found)
            key = heapq.heappop(queue)
            due.discard(key)
        looks += 1
        if looks > AT_LEAST and looks > MOST_TURNS * (world.run_count() + len(queue)):
            raise RunsError(f"decisions do not settle after {looks}, the last about {key}")
        began = clock()
        fresh.pop(key, None)
        decision = attend(world, key, advice)
        seconds = clock() - began
        if decision is not None:
            batch.take(stamped(world, decision, advice) if world.funded else decision, {"attend": seconds})
            if is_at_rest(decision):
                world.touched.discard(key)
        elif key in world.line.entries:
            fresh[key] = seconds
    return fresh


def attend(world: World, key: Key, advice: Advice) -> Decision | None:
    """What is next for this run, the line aside."""
    if world.funded:
        world.step_back(key)
    run = world.run(key)
    if run is None and world.unread(key) is not None:
        return None  # it is there: what it holds is not what a run left that is gone
    leases = world.leases_of(key)
    uid = run.meta.uid if run is not None else None
    strays = [lease for lease in leases if lease.spec.run_ref.uid != uid] if leases else ()
    if strays:
        first = strays[0].spec.run_ref.uid
        decision = orphaned(world, [lease for lease in strays if lease.spec.run_ref.uid == first])
        if decision is not None or run is None:
            return decision
    if key in world.promises.by_run and (kept := keep(world, key, run)) is not None:
        return kept
    if (pledge := world.pledge(key)) is not None:
        return activate(world, run, pledge, advice)
    if run is None:
        return None
    if (late := late_pods(world, run)) is not None:
        return late
    status = run.status
    if status.phase.terminal:
        return left_open(world, run) or _over(world, run) or _answered(world, run)
    if (cut := cut_now(world, run, advice)) is not None:
        return cut
    if status.phase.begun or status.ending is not None or len(leases) > len(strays):
        decision = lifecycle(world, run)
        if decision is not None and decision.effects:
            return decision
        if status.ending is not None:  # an end says it all
            return None
        return (reclassed(world, run, advice) if world.funded else None) or _answered(world, run)
    return _unstarted(world, run, advice)


def _answered(world: World, run: Run) -> Decision | None:
    """Its spec was edited, and nothing is to be done about that: the status says that it is of the new one."""
    status = run.status
    if status.observed_generation == run.meta.generation:
        return None
    stands = stand(run, world.now, phase=status.phase, reason=status.reason, message=status.message)
    outcome = Moves(reason=status.reason, message=status.message)
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=(SetRunStatus(stands),))


def _over(world: World, run: Run) -> Decision | None:
    """A finished run is kept for a while, and as long as another waits for it by name."""
    if run.meta.deleting is not None:
        return _removed(world, run, "Deleted")
    finished = run.status.finished_at
    if finished is None or world.dependents(run.key):
        return None
    due = finished + world.settings.retention.runs
    if world.now < due:
        world.wake_at(due, run.key)
        return None
    return _removed(world, run, "Retention")


def _removed(world: World, run: Run, reason: str) -> Decision:
    outcome = Removed(reason=reason, phase=run.status.phase)
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=removal(world, run))


def _unstarted(world: World, run: Run, advice: Advice) -> Decision | None:
    cause = None if run.spec.suspend and run.meta.deleting is None and not run.spec.canceled else unwanted(run)
    upstream = failed_upstream(world, run)
    if cause is None and upstream is not None:
        message = f"run {upstream.meta.name} failed"
        cause = Cause(closure=Closed.RUN_FAILED, reason="UpstreamFailed", message=message, then=Phase.FAILED)
    if cause is not None:
        return release(world, run, cause)
    held = holds(world, run, advice)
    if held is not None:
        return hold(world, run, held)
    if run.status.phase is Phase.HELD:
        return _let_in(world, run)
    if run.status.phase is Phase.RESERVED and run.key not in world.promises.by_run:
        return unkept(world, run)
    return None


def _let_in(world: World, run: Run) -> Decision:
    """No longer held: it stands in line from now on, at its admission time if it had one."""
    now = world.now
    stands = stand(
        run,
        now,
        phase=Phase.QUEUED,
        reason="Admitted",
        message="stands in line",
        admitted_at=run.status.admitted_at or now,
        queued_since=now,
    )
    outcome = Moves(reason="Admitted", message="no longer held; stands in line")
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=(SetRunStatus(stands),))

"""What happens next to a run that holds GPUs, or is being undone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

import attrs

from runs_core.decide.claimed import misfits, waits_for
from runs_core.decide.ended import missing_of, note_ended, over_of, ranks_of
from runs_core.decide.pods import Seat, rank_pods, seats_of, selections
from runs_core.decide.release import Cause, end_pods, is_lost, release, resume_release
from runs_core.decide.standing import stand
from runs_core.decide.start import started
from runs_core.values.classes import Tier
from runs_core.values.decision import Decision, Moves
from runs_core.values.effect import Effect, Emit, SetRunStatus
from runs_core.values.funding import Share
from runs_core.values.lease import Closed, Lease
from runs_core.values.node import Node
from runs_core.values.pod import Pod, PodPhase
from runs_core.values.quantity import counted, format_duration
from runs_core.values.run import OnLoss, OnPodFailure, Phase, Run
from runs_core.world.filters import allows
from runs_core.world.world import World

PODS_READY = "PodsReady"


def lifecycle(world: World, run: Run) -> Decision | None:
    """The next step, None while there is nothing to do.

    Wakes the run by itself when time alone will give it something.
    """
    if run.status.ending is not None:
        return resume_release(world, run)
    cause = unwanted(run) or _node_loss(world, run)
    if cause is not None:
        return release(world, run, cause)
    if not run.status.phase.begun:
        return _half_started(world, run)
    return _gang(world, run)


def _half_started(world: World, run: Run) -> Decision:
    """Leases stand and the status does not say so: whoever began the start did not come to its end.

    Minted whole and not refused, it is finished; anything else is undone.
    """
    leases, attempt, refusal = world.leases_of(run.key), run.status.attempt + 1, world.refusal(run.key)
    width = sum(lease.gpus for lease in leases)
    whole = _is_whole(world, run, leases) and all(lease.spec.attempt == attempt for lease in leases)
    if not whole or refusal is not None:
        message = refusal.message if refusal is not None else "the start was left half done"
        cause = Cause(closure=Closed.START_FAILED, reason="StartRefused", message=message, then=Phase.QUEUED)
        spent = attrs.evolve(run, status=attrs.evolve(run.status, attempt=attempt))
        return release(world, spent, cause)
    message = f"{counted(width, 'GPU')}; a start that was left half done goes on"
    began = min(lease.spec.start for lease in leases)
    # of which class they are is found out next
    paid = [Share(lease.spec.payer, Tier.OWN, lease.gpus) for lease in leases if lease.spec.payer is not None]
    pending = world.wanted(run) - width
    stands = started(run, began, attempt, message, width=width, pending=pending, shares=paid)
    here = {pod.name for pod in world.pods_of(run.key)}
    seats = list(seats_of(run, leases))
    made = rank_pods(world, run, seats, ranks=len(seats), attempt=attempt, retry=0)
    missing = [effect for effect in made if effect.pod.name not in here]
    return _moves(run, "Started", message, (*selections(world, run, seats), *missing, SetRunStatus(stands)))


def _is_whole(world: World, run: Run, leases: Sequence[Lease]) -> bool:
    """Whether they are all the leases of a start: its width is one that the run may have, and no rank is missing."""
    width, demand = sum(lease.gpus for lease in leases), world.demand(run)
    if demand is None:
        return width == run.gpus
    ranks = sorted(rank for lease in leases for rank in lease.spec.ranks)
    return demand.at_most(width) == width and ranks == list(range(len(ranks)))


def unwanted(run: Run) -> Cause | None:
    """Somebody asked for its end: deleted before canceled before suspended."""
    if run.meta.deleting is not None:
        return Cause(closure=Closed.DELETED, reason="Deleted", message="the run was deleted", then=Phase.FAILED)
    if run.spec.canceled:
        return Cause(closure=Closed.CANCELED, reason="Canceled", message="the run was canceled", then=Phase.FAILED)
    if run.spec.suspend:
        message = f"suspended; `runs resume {run.meta.name}` puts it back in line"
        return Cause(closure=Closed.SUSPENDED, reason="Suspended", message=message, then=Phase.HELD)
    return None


def _node_loss(world: World, run: Run) -> Cause | None:
    if world.nothing_lost():
        return None
    leases = world.leases_of(run.meta.key)
    held = [(lease, slots.node) for lease in leases for slots in lease.spec.slots]
    lost = sorted({node for lease, node in held if is_lost(world, node) or world.replaced(lease, node)})
    if not lost:
        return None
    then = Phase.QUEUED if run.spec.on_node_loss is OnLoss.REQUEUE else Phase.FAILED
    word = "node" if len(lost) == 1 else "nodes"
    return Cause(closure=Closed.NODE_LOST, reason="NodeLost", message=f"lost {word} {', '.join(lost)}", then=then)


def _gang(world: World, run: Run) -> Decision | None:
    status, pods = run.status, run.ranks
    tally = world.gangs.tally(run.uid, status.attempt, status.retries)
    seen = tally.seen
    if status.retried_at is not None and not seen:
        return _retry(world, run, status.retried_at)
    ranks = ranks_of(world, run) if tally.failed or seen < pods else ()
    failed = [pod for pod in ranks if pod.phase is PodPhase.FAILED and pod.deleting is None]
    if failed and run.spec.on_pod_failure.policy is not OnPodFailure.IGNORE:
        return _failed(world, run, failed)
    gone = 0
    if seen < pods:
        if missing := missing_of(world, run, ranks, tally):
            tally.due = None
            return _evicted(world, run, missing)
        gone = pods - seen
        if gone > len(over_of(run, tally) - {pod.rank.rank for pod in ranks if pod.rank is not None}):
            return None  # of some nothing is left, no lease either: that is no success, and the audit's matter
    ignores = tally.ended + gone == pods and run.spec.on_pod_failure.policy is OnPodFailure.IGNORE
    if tally.succeeded + gone == pods or ignores:
        told = "all ranks ended" if gone and ignores else "all ranks succeeded"
        if tally.failed:
            were = "was" if tally.failed == 1 else "were"
            told = f"{tally.failed} of {counted(pods, 'rank')} failed and {were} ignored"
        return release(
            world, run, Cause(closure=Closed.SUCCEEDED, reason="Succeeded", message=told, then=Phase.SUCCEEDED)
        )
    if status.phase is Phase.STARTING:
        return _running(world, run) if not tally.pending else _timeout(world, run)
    if tally.succeeded or tally.failed or gone:
        return note_ended(world, run, tally, gone)
    return None


def _running(world: World, run: Run) -> Decision:
    message = f"all {run.ranks} pods run" if run.ranks > 1 else "its pod runs"
    stands = stand(
        run, world.now, phase=Phase.RUNNING, reason="PodsReady", message=message, start_timeouts=0, retried_at=None
    )
    emit = Emit("Run", run.key, "PodsReady", message, world.now)
    return _moves(run, PODS_READY, message, (SetRunStatus(stands), emit))


def is_at_rest(decision: Decision) -> bool:
    """Whether the run has nothing more to do until something changes that this decision did not change itself."""
    return isinstance(decision.outcome, Moves) and decision.outcome.reason == PODS_READY


def _timeout(world: World, run: Run) -> Decision | None:
    status = run.status
    since = status.retried_at or status.started_at or world.now
    due = since + run.spec.start_timeout
    if world.now >= due:  # unless they were made later: after others had their grace to end, or for those evicted
        made = [
            pod.created for pod in ranks_of(world, run) if pod.phase is PodPhase.PENDING and pod.created is not None
        ]
        since_ready = [one.last_transition_time for one in status.conditions if one.type == PODS_READY]
        told = [at for at in made or since_ready if at <= world.now]  # by the cluster's clock, which may be ahead
        due = max(due, min(told, default=since) + run.spec.start_timeout)
    if world.now < due:
        world.wake_at(due, run.key)
        return None
    starts = world.settings.starts
    count = status.start_timeouts + 1
    message = f"not all pods ran within {format_duration(run.spec.start_timeout)} of the start (start {count})"
    if count > starts.tries:
        cause = Cause(closure=Closed.START_FAILED, reason="StartTimeout", message=message, then=Phase.FAILED)
        return release(world, run, cause)
    cause = Cause(closure=Closed.START_FAILED, reason="StartTimeout", message=message, then=Phase.QUEUED)
    return release(world, _backing_off(world, run, count), cause)


def _backing_off(world: World, run: Run, count: int) -> Run:
    """Doubles from one timed-out start to the next."""
    pause = world.settings.starts.backoff * 2 ** (count - 1)
    status = run.status
    return stand(
        run,
        world.now,
        phase=status.phase,
        reason=status.reason,
        message=status.message,
        start_timeouts=count,
        not_before=world.now + pause,
    )


def _failed(world: World, run: Run, failed: Sequence[Pod]) -> Decision:
    policy, status = run.spec.on_pod_failure, run.status
    failed = sorted(failed, key=lambda pod: pod.rank.rank if pod.rank is not None else -1)
    ranks = ", ".join(str(pod.rank.rank) for pod in failed if pod.rank is not None)
    word = "rank" if len(failed) == 1 else "ranks"
    message = f"{word} {ranks} failed" + (f": {failed[0].message}" if failed[0].message else "")
    match policy.policy:
        case OnPodFailure.RETRY if status.retries < policy.limit:
            return _begin_retry(world, run, message)
        case OnPodFailure.RETRY:
            message += f" after {counted(status.retries, 'retry', 'retries')}"
        case OnPodFailure.FAIL | OnPodFailure.IGNORE:
            pass
        case _:
            assert_never(policy.policy)
    return release(world, run, Cause(closure=Closed.RUN_FAILED, reason="PodFailed", message=message, then=Phase.FAILED))


def _begin_retry(world: World, run: Run, message: str) -> Decision:
    """The gang restarts on the same slots: the leases stay open, whoever still runs is ended."""
    policy, status = run.spec.on_pod_failure, run.status
    told = f"{message}; retry {status.retries + 1} of {policy.limit}"
    stands = stand(
        run,
        world.now,
        phase=Phase.STARTING,
        reason="Retrying",
        message=told,
        retries=status.retries + 1,
        ended_ranks=(),
        retried_at=world.now + policy.backoff,
    )
    ended = end_pods(world, run, world.pods_of(run.key))
    emit = Emit("Run", run.key, "Retrying", told, world.now, warning=True)
    return _moves(run, "Retrying", told, (*ended.effects, SetRunStatus(stands), emit))


def _retry(world: World, run: Run, due: datetime) -> Decision | None:
    if world.gangs.live.get(run.key):
        return None
    if world.now < due:
        world.wake_at(due, run.key)
        return None
    if _paused(world, run):
        return None
    retry, seats = run.status.retries, list(seats_of(run, world.leases_of(run.key)))
    closed = _closed_to(world, run, seats)
    if closed is not None:
        return _elsewhere(world, run, f"retry {retry} cannot start again on node {closed}, which takes nothing new")
    made = rank_pods(world, run, seats, ranks=run.ranks, attempt=run.status.attempt, retry=retry)
    if not made:
        return _unmade(world, run, "Retrying", f"retry {retry}", len(seats))
    return _moves(run, "Retried", f"retry {retry} starts on the same slots", made)


def _evicted(world: World, run: Run, missing: Sequence[Seat]) -> Decision | None:
    """Pods went unasked: the same ranks again, or, where a node takes nothing new, the gang elsewhere."""
    names = ", ".join(str(seat.rank) for seat in missing)
    told = f"rank {names} was evicted" if len(missing) == 1 else f"ranks {names} were evicted"
    closed = _closed_to(world, run, missing)
    if closed is not None:
        return _elsewhere(world, run, f"{told}, and node {closed} takes nothing new")
    if _paused(world, run):
        return None
    made = rank_pods(world, run, missing, ranks=run.ranks, attempt=run.status.attempt, retry=run.status.retries)
    if not made:
        return _unmade(world, run, "Evicted", told, len(missing))
    again = "starts again" if len(missing) == 1 else "start again"
    message = f"{told} and {again}"
    stands = stand(run, world.now, phase=Phase.STARTING, reason="Evicted", message=message)
    emit = Emit("Run", run.key, "Evicted", message, world.now, warning=True)
    return _moves(run, "Evicted", told, (*made, SetRunStatus(stands), emit))


def _unmade(world: World, run: Run, reason: str, told: str, pods: int) -> Decision | None:
    """Nobody has made the pods that are missing: they have as long as a start may take, and then the gang is undone."""
    status, wrong = run.status, misfits(world, run)
    message = f"{told}; waits for {waits_for(run, pods)}" + (f": {wrong}" if wrong is not None else "")
    if status.phase is Phase.STARTING and status.message == message:
        return _timeout(world, run)
    stands = stand(run, world.now, phase=Phase.STARTING, reason=reason, message=message)
    emit = Emit("Run", run.key, reason, message, world.now, warning=True)
    return _moves(run, reason, message, (SetRunStatus(stands), emit))


def _paused(world: World, run: Run) -> bool:
    """Whether the cluster would not make its pods a moment ago: it is asked again when the pause is over."""
    refusal = world.refusal(run.key)
    if refusal is None or refusal.until <= world.now:
        return False
    world.wake_at(refusal.until, run.key)
    return True


def _closed_to(world: World, run: Run, seats: Sequence[Seat]) -> str | None:
    """The first node of these seats where a new pod of the run must not, or would not long, be."""
    wanted = world.need(run).filter
    for name in sorted({seat.node for seat in seats}):
        node = world.node(name)
        if not isinstance(node, Node) or node.cordoned or not node.ready or not allows(wanted, node):
            return name
    return None


def _elsewhere(world: World, run: Run, message: str) -> Decision:
    return release(world, run, Cause(closure=Closed.EVICTED, reason="Evicted", message=message, then=Phase.QUEUED))


def _moves(run: Run, reason: str, message: str, effects: Sequence[Effect]) -> Decision:
    meta, outcome = run.meta, Moves(reason=reason, message=message)
    return Decision(run=meta.key, uid=meta.uid, outcome=outcome, effects=tuple(effects))

"""The one way out: every terminal edge, and every way back to the line, closes all leases and ends all pods here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import attrs

from runs_core.decide.pods import DEFAULT_GRACE, grace_of
from runs_core.decide.standing import stand
from runs_core.values.changed import changer
from runs_core.values.classes import NOTHING
from runs_core.values.decision import Decision, Ends, Moves, Outcome, Released
from runs_core.values.effect import CloseLease, Effect, Emit, EndPod, RemovePod, RemoveRun, SetRunStatus
from runs_core.values.lease import Closed, Lease, LeaseStatus
from runs_core.values.meta import Key
from runs_core.values.node import Node
from runs_core.values.pod import Pod
from runs_core.values.run import Ending, Phase, Run
from runs_core.world.world import World

_lease_with = changer(Lease, "status")
_pod_with = changer(Pod, "deleting", "grace")
SECOND = timedelta(seconds=1)
_FORGOTTEN = (Closed.NODE_LOST, Closed.EVICTED)
"""Causes that nothing tells of any more once the leases are closed: whoever goes on finds them in the status."""


@attrs.frozen(kw_only=True)
class Cause:
    """Why an attempt ends. reason, message: what the run's status says afterwards. then: the phase that follows.

    detail: what its leases say, where that is not the message.
    """

    closure: Closed
    reason: str
    message: str
    then: Phase
    detail: str = ""

    @property
    def told(self) -> str:
        """Why its leases close."""
        return self.detail or self.message


def release(world: World, run: Run, cause: Cause) -> Decision:
    """End what still lives; once nothing does, close the leases and let the run stand where `cause.then` says.

    Asked again whenever a pod of the run goes; the cause is kept in the run's status, so any scheduler can finish it.
    """
    pods = end_pods(world, run, pods_of(world, run))
    if pods.living:
        return _ending(world, run, cause, pods.effects)
    return _released(world, run, cause, pods.effects)


def resume_release(world: World, run: Run) -> Decision:
    """Go on with a release that was begun. A run that was canceled or deleted meanwhile will not come back."""
    ending = run.status.ending
    assert ending is not None
    cause = Cause(
        closure=Closed(ending.reason), reason=run.status.reason, message=ending.detail, then=Phase(ending.then)
    )
    back, was = ending.then in (Phase.QUEUED, Phase.HELD), cause.reason
    over = partial(attrs.evolve, cause, then=Phase.FAILED, detail=ending.detail)
    if run.meta.deleting is not None and (back or was == "Deleted"):
        cause = over(reason="Deleted", message="the run was deleted")
    elif run.spec.canceled and (back or was == "Canceled"):
        cause = over(reason="Canceled", message="the run was canceled")
    return release(world, run, cause)


def orphaned(world: World, leases: Sequence[Lease]) -> Decision | None:
    """Close what a run left that is gone: nobody else will. None while its pods still end.

    leases: of one run's uid; a later run of that name has nothing to do with it.
    """
    key, uid, told = leases[0].run, leases[0].spec.run_ref.uid, "the run was deleted"
    its = _pods_of(world, key, uid)
    pods = end_pods(world, None, its)
    if pods.living:
        outcome: Outcome = Ends(closure=Closed.DELETED, detail=told, then=Phase.FAILED)
        return Decision(run=key, uid=uid, outcome=outcome, effects=pods.effects) if pods.effects else None
    closed = [CloseLease(_closed(lease, world.now, Closed.DELETED, told)) for lease in leases]
    left = [RemovePod(pod.key) for pod in its if RemovePod(pod.key) not in pods.effects]
    outcome = Released(closure=Closed.DELETED, detail=told, then=Phase.FAILED)
    return Decision(run=key, uid=uid, outcome=outcome, effects=(*pods.effects, *left, *closed))


def pods_of(world: World, run: Run) -> Sequence[Pod]:
    """Its own pods: not those of an earlier run of the same name."""
    return _pods_of(world, run.key, run.uid)


def _pods_of(world: World, key: Key, uid: str) -> Sequence[Pod]:
    return [pod for pod in world.pods_of(key) if (rank := pod.rank) is not None and rank.uid == uid]


def left_open(world: World, run: Run) -> Decision | None:
    """Close what a run holds that has succeeded: whoever wrote that came no further. None while a pod of it lives."""
    leases = [lease for lease in world.leases_of(run.key) if lease.spec.run_ref.uid == run.uid]
    if run.status.phase is not Phase.SUCCEEDED or not leases:
        return None
    if not all(pod.phase.ended for pod in pods_of(world, run)):
        return None
    told = run.status.message
    closed = tuple(CloseLease(_closed(lease, world.now, Closed.SUCCEEDED, told)) for lease in leases)
    outcome = Released(closure=Closed.SUCCEEDED, detail=told, then=Phase.SUCCEEDED)
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=closed)


@attrs.frozen(kw_only=True)
class EndedPods:
    """living: how many pods still hold their GPUs once the effects are written."""

    effects: tuple[Effect, ...]
    living: int


def end_pods(world: World, run: Run | None, pods: Sequence[Pod]) -> EndedPods:
    """Ask the living to go, once; take away what lies on a lost node, where nobody would answer.

    One that somebody else asked before, and gave longer than any run has, is asked again: an API server lets a grace
    become shorter, and never longer.

    Source: Kubernetes API reference, DeleteOptions, gracePeriodSeconds.
    """
    longest = world.settings.checkpoint_grace_cap + SECOND  # which Kubernetes may make of a part of one, or of none
    effects: list[Effect] = []
    living = 0
    for pod in pods:
        if pod.phase.ended:
            continue
        if pod.node is not None and is_lost(world, pod.node):
            effects.append(RemovePod(pod.key))
            continue
        living += 1
        if pod.deleting is None or (pod.grace is not None and pod.grace > longest):
            effects.append(EndPod(_pod_with(pod, world.now, _grace(world, run, pod))))
    return EndedPods(effects=tuple(effects), living=living)


def late_pods(world: World, run: Run) -> Decision | None:
    """Pods of a try that is over: whoever wrote them was late. They hold GPUs that nobody leased to them, and go."""
    live = world.gangs.live.get(run.meta.key)
    if not live or live <= (run.ranks if run.status.phase in (Phase.STARTING, Phase.RUNNING) else 0):
        return None
    over = [pod for pod in pods_of(world, run) if _is_late(run, pod)]
    if not over:
        return None
    going = tuple(EndPod(_pod_with(pod, world.now, _grace(world, run, pod))) for pod in over)
    word = "pod" if len(over) == 1 else "pods"
    told = f"{word} {', '.join(pod.name for pod in over)} came late, for an attempt that is over"
    emit = Emit("Run", run.key, "LatePods", told, world.now, warning=True)
    outcome = Moves(reason="LatePods", message=told)
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=(*going, emit))


def _is_late(run: Run, pod: Pod) -> bool:
    """Only what the run's own status says is over counts; pods of a start that it does not know of yet do not."""
    status, rank = run.status, pod.rank
    if rank is None or pod.phase.ended or pod.deleting is not None or status.ending is not None:
        return False
    if status.phase in (Phase.STARTING, Phase.RUNNING):
        return (rank.attempt, rank.retry) < (status.attempt, status.retries)
    return status.phase.terminal or rank.attempt <= status.attempt


def is_lost(world: World, node: str) -> bool:
    """Deleted, or declared out of service. A node that is only not Ready, or set aside, is not lost."""
    state = world.fleet.states.get(node)
    if state is not None and state.open:
        return False
    known = world.node(node)
    return known is None or (isinstance(known, Node) and known.lost)


def _grace(world: World, run: Run | None, pod: Pod) -> timedelta:
    """Where the run is gone, the pod itself still tells what it was to have."""
    cap = world.settings.checkpoint_grace_cap
    return min(pod.own_grace or DEFAULT_GRACE, cap) if run is None else grace_of(run, cap)


def _ending(world: World, run: Run, cause: Cause, effects: tuple[Effect, ...]) -> Decision:
    stands = _as_ending(world, run, cause)
    if stands != run:
        effects = (*effects, SetRunStatus(stands))
    outcome = Ends(closure=cause.closure, detail=cause.told, then=cause.then)
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=effects)


def _as_ending(world: World, run: Run, cause: Cause) -> Run:
    ending = Ending(
        reason=cause.closure.value,
        detail=cause.told,
        then=cause.then,
        since=run.status.ending.since if run.status.ending else world.now,
    )
    message = f"ending: {cause.message}"
    return stand(run, world.now, phase=run.status.phase, reason=cause.reason, message=message, ending=ending)


def _released(world: World, run: Run, cause: Cause, effects: tuple[Effect, ...]) -> Decision:
    now = world.now
    own = [lease for lease in world.leases_of(run.key) if lease.spec.run_ref.uid == run.uid]
    closed: list[Effect] = [CloseLease(_closed(lease, now, cause.closure, cause.told)) for lease in own]
    if closed and run.status.ending is None and cause.closure in _FORGOTTEN:
        closed.insert(0, SetRunStatus(_as_ending(world, run, cause)))
    if run.meta.deleting is not None:
        last = removal(world, run)
    else:
        after = _afterwards(
            run, cause, now, world.wanted(run), max([run.status.attempt, *(lease.spec.attempt for lease in own)])
        )
        emit = Emit("Run", run.key, cause.reason, cause.message, now, warning=cause.then is Phase.FAILED)
        last = (SetRunStatus(after), emit)
    outcome: Outcome = Released(closure=cause.closure, detail=cause.told, then=cause.then)
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=(*effects, *closed, *last))


def removal(world: World, run: Run) -> tuple[Effect, ...]:
    """The run's object goes, and what is left of its pods with it; its leases outlive it."""
    return (*(RemovePod(pod.key) for pod in pods_of(world, run)), RemoveRun(run.key, run.uid))


def _afterwards(run: Run, cause: Cause, now: datetime, wanted: int, attempt: int) -> Run:
    """wanted: GPUs. attempt: the last that any of its leases was opened for."""
    status, over, held = run.status, cause.then.terminal, cause.then is Phase.HELD
    return stand(
        run,
        now,
        phase=cause.then,
        reason=cause.reason,
        message=cause.message,
        attempt=attempt,
        ending=None,
        width=0,
        funding=NOTHING,
        payers=(),
        pending_gpus=0 if over else wanted,
        retries=0,
        ended_ranks=(),
        retried_at=None,
        admitted_at=None if held else status.admitted_at,
        queued_since=status.queued_since if over else None if held else now,
        started_at=status.started_at if over else None,
        finished_at=now if over else status.finished_at,
    )


def _closed(lease: Lease, now: datetime, reason: Closed, detail: str) -> Lease:
    end = max(now, lease.spec.start)
    status = LeaseStatus(closed=True, end=end, closure_reason=reason, closure_detail=detail)
    return _lease_with(lease, status)

"""Ranks that have ended while others of their gang go on: they have, though their pods are removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from runs_core.decide.pods import Seat, seats_of
from runs_core.decide.standing import stand
from runs_core.values.decision import Decision, Moves
from runs_core.values.effect import SetRunStatus
from runs_core.values.pod import Pod, PodPhase
from runs_core.values.quantity import counted
from runs_core.values.run import OnPodFailure, Run
from runs_core.world.gangs import Tally
from runs_core.world.known import BEGINNING
from runs_core.world.world import World

EVERY = timedelta(minutes=1)
"""They are written down at most so often, as long as their pods are there to tell it."""


def ranks_of(world: World, run: Run) -> Sequence[Pod]:
    """The pods of the present try."""
    this = (run.uid, run.status.attempt, run.status.retries)
    return [
        pod
        for pod in world.pods_of(run.key)
        if pod.rank is not None and (pod.rank.uid, pod.rank.attempt, pod.rank.retry) == this
    ]


def over_of(run: Run, tally: Tally) -> set[int]:
    """Its ranks that have ended, as far as is written down or was seen before their pods were removed."""
    ignores = run.spec.on_pod_failure.policy is OnPodFailure.IGNORE
    seen = [rank for rank, phase in tally.gone.items() if ignores or phase is PodPhase.SUCCEEDED]
    return {*run.status.ended_ranks, *seen}


def missing_of(world: World, run: Run, ranks: Sequence[Pod], tally: Tally) -> Sequence[Seat]:
    """Its ranks that have no pod, and have not ended. ranks: the pods that there are."""
    known = {pod.rank.rank for pod in ranks if pod.rank is not None} | over_of(run, tally)
    return [seat for seat in seats_of(run, world.leases_of(run.key)) if seat.rank not in known]


def note_ended(world: World, run: Run, tally: Tally, gone: int) -> Decision | None:
    """At whole minutes, so that a process which begins in between changes nothing; most gangs end within a moment.

    At once, where a pod that told it is gone. gone: ranks that have ended and have no pod any more.
    """
    status, now = run.status, world.now
    known = over_of(run, tally) if tally.gone else set()
    if len(known) <= len(status.ended_ranks):
        if tally.ended + gone <= len(status.ended_ranks):
            return None
        if tally.due is None:
            tally.due = now + (BEGINNING - now) % EVERY
        if now < tally.due:
            world.wake_at(tally.due, run.key)
            return None
    tally.due = None
    over = (pod.rank.rank for pod in ranks_of(world, run) if pod.rank is not None and _has_ended(pod))
    ended = tuple(sorted({*status.ended_ranks, *known, *over}))
    if ended == status.ended_ranks:
        return None
    told = f"{len(ended)} of {counted(run.ranks, 'rank')} {'has' if len(ended) == 1 else 'have'} ended"
    stands = stand(run, now, phase=status.phase, reason=status.reason, message=status.message, ended_ranks=ended)
    outcome = Moves(reason="RanksEnded", message=told)
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=(SetRunStatus(stands),))


def _has_ended(pod: Pod) -> bool:
    """By itself: who is asked to go may end for that."""
    return pod.phase.ended and pod.deleting is None

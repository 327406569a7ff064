"""`runs logs`: what a rank of a run wrote."""

from __future__ import annotations

import sys

from runs_cli.actions.pods import order
from runs_cli.failures import Stop
from runs_cli.options import asked
from runs_cli.session import opened
from runs_cli.session.port import PODS, Session
from runs_cli.words import numbers
from runs_core.values.pod import Pod
from runs_core.values.run import Run


def logs(name: str, *, rank: int, follow: bool, previous: bool, container: str | None) -> None:
    with opened(asked(), PODS, (name,)) as session:
        pod = _pod(session, session.run_named(name), rank, previous=previous)
        for line in session.logs(pod.key, container=container, follow=follow):
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()


def _pod(session: Session, run: Run, rank: int, *, previous: bool) -> Pod:
    """The pod that is this rank now, or was it before. Stop: there is none."""
    there = sorted(session.world.pods_of(run.key), key=order)
    if not there:
        why = run.status.message or run.status.reason
        raise Stop(f"{run.key} has no pods: it is {run.status.phase} ({why})")
    same = [pod for pod in there if pod.rank is not None and pod.rank.rank == rank]
    if not same:
        ranks = numbers({pod.rank.rank for pod in there if pod.rank is not None})
        raise Stop(f"{run.key} has no pod of rank {rank}; there are {ranks}")
    if not previous:
        return same[0]
    if len(same) == 1:
        raise Stop(f"rank {rank} of {run.key} had no other pod, or it is gone with its logs; `runs pods` lists them")
    return same[1]

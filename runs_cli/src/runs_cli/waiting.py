"""Waiting for runs on a cluster whose clock somebody else moves, or nobody."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

from runs_cli.failures import Code, Stop
from runs_cli.options import FINISHED
from runs_cli.session.port import Session
from runs_cli.words import span
from runs_core.values.meta import Key
from runs_core.values.run import Phase

PAUSE_SECONDS = 0.1


def wait(session: Session, keys: Sequence[Key], until: str, limit: timedelta) -> Code:
    """Until all of these runs are `running`, or `finished`. Code.NO: one of them ended otherwise.

    Stop: the time is over, or nobody moves the clock, so that waiting would never end.
    """
    end = time.monotonic() + limit.total_seconds()
    session.follow(sorted({key.namespace for key in keys}))
    while (found := _reached(session, keys, until)) is None:
        left = end - time.monotonic()
        if left <= 0:
            raise Stop(f"{_slow(session, keys, until)} after {span(limit)} of waiting", Code.TIMED_OUT)
        if (why := session.stalled()) is not None:
            raise Stop(f"{_slow(session, keys, until)} and {why}", Code.TIMED_OUT)
        session.pause(min(PAUSE_SECONDS, left))
        session.settle()
    return found


def _reached(session: Session, keys: Sequence[Key], until: str) -> Code | None:
    phases = [run.status.phase if (run := session.world.run(key)) else Phase.FAILED for key in keys]
    enough = {Phase.SUCCEEDED} if until == FINISHED else {Phase.SUCCEEDED, Phase.RUNNING}
    if all(phase in enough or phase.terminal for phase in phases):
        return Code.DONE if all(phase in enough for phase in phases) else Code.NO
    return None


def _slow(session: Session, keys: Sequence[Key], until: str) -> str:
    slow = next(key for key in keys if _reached(session, [key], until) is None)
    run = session.world.run(slow)
    phase = run.status.phase if run else Phase.FAILED
    return f"{slow} is {phase}, not {until},"

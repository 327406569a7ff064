"""`runs cancel`, `suspend` and `resume`: edits of a run's spec that end it, or take it out of line and back."""

from __future__ import annotations

from runs_cli.answer import Fields, answer, listed
from runs_cli.failures import Code
from runs_cli.options import asked
from runs_cli.session import opened
from runs_cli.session.port import NOTHING, Session
from runs_core.values.run import Run

Wish = tuple[str, bool]
"""A field of the spec, and what it is to be."""


def cancel(names: tuple[str, ...]) -> int:
    return _edit(names, "canceled", ("canceled", True))


def suspend(names: tuple[str, ...]) -> int:
    return _edit(names, "suspended", ("suspend", True))


def resume(names: tuple[str, ...]) -> int:
    return _edit(names, "resumed", ("suspend", False))


def _edit(names: tuple[str, ...], done: str, wish: Wish) -> int:
    """Exit code 1 if a run is over already: nothing of it can change any more."""
    with opened(asked(), NOTHING) as session:
        runs = session.runs_named(names)
        before = {run.key: run for run in runs}
        for run in runs:
            if not run.status.phase.terminal and not _granted(run, wish):
                session.amend(run.key, {wish[0]: True if wish[1] else None})
        session.settle()
        after = [session.find_run(key) or run for key, run in before.items()]
        answer(
            session.asked,
            plain=lambda: listed([session.stored("Run", run.key) for run in after], one=len(names) == 1),
            names=lambda: [str(run.key) for run in after],
            blocks=lambda: [
                Fields(pairs=[(str(run.key), _line(session, before[run.key], run, done, wish)) for run in after])
            ],
        )
    return Code.NO if any(run.status.phase.terminal for run in before.values()) else Code.DONE


def _granted(run: Run, wish: Wish) -> bool:
    field, wanted = wish
    return bool(getattr(run.spec, field)) is wanted


def _line(session: Session, before: Run, now: Run, done: str, wish: Wish) -> str:
    if before.status.phase.terminal:
        return f"not {done}: it is over ({before.status.phase}, {before.status.reason})"
    if _granted(before, wish):
        return f"unchanged: {standing(now)}"
    if not session.at_once:
        return f"{done}: was {before.status.phase}; the scheduler does the rest, `runs watch {now.key}` shows it"
    return f"{done}: {standing(now)}"


def standing(run: Run) -> str:
    """Where that leaves it."""
    status = run.status
    if status.ending is not None:
        return f"its pods are told to end; once they have, it is {status.ending.then}"
    return f"{status.phase}, {status.message or status.reason}"

"""`runs cancel`, `suspend` and `resume`: edits of a run's spec that end it, or take it out of line and back."""

from __future__ import annotations

from functools import partial

from runs_cli.answer import Fields, answer, listed
from runs_cli.failures import Code
from runs_cli.options import asked
from runs_cli.session import opened
from runs_core.schema.convert import Object
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
    said = asked()
    with opened(said) as session:
        runs = session.runs_named(names)
        before = {run.key: run for run in runs}
        for run in runs:
            if not run.status.phase.terminal and not _granted(run, wish):
                session.objects.edit("Run", run.key, partial(_grant, wish))
        session.settle()
        after = [session.world.run(key) or run for key, run in before.items()]
        answer(
            said,
            plain=lambda: listed([session.stored("Run", run.key) for run in after], one=len(names) == 1),
            names=lambda: [str(run.key) for run in after],
            blocks=lambda: [Fields(pairs=[(str(run.key), _line(before[run.key], run, done, wish)) for run in after])],
        )
    return Code.NO if any(run.status.phase.terminal for run in before.values()) else Code.DONE


def _granted(run: Run, wish: Wish) -> bool:
    field, wanted = wish
    return bool(getattr(run.spec, field)) is wanted


def _grant(wish: Wish, body: Object) -> None:
    field, wanted = wish
    if wanted:
        body["spec"][field] = True
    else:
        body["spec"].pop(field, None)


def _line(before: Run, now: Run, done: str, wish: Wish) -> str:
    if before.status.phase.terminal:
        return f"not {done}: it is over ({before.status.phase}, {before.status.reason})"
    if _granted(before, wish):
        return f"unchanged: {now.status.phase}, {now.status.message or now.status.reason}"
    return f"{done}: {now.status.phase}, {now.status.message or now.status.reason}"

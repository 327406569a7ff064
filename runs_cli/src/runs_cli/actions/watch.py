"""`runs watch`: runs as they change."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta

import click

from runs_cli import render
from runs_cli.actions.get import runs_table
from runs_cli.answer import Block, Fields
from runs_cli.failures import Code, Stop
from runs_cli.options import Asked, Output, asked
from runs_cli.session import opened
from runs_cli.session.port import RUNS, Session
from runs_cli.words import NONE, duration, moment, span
from runs_core.serve.views.present import said_of
from runs_core.values.meta import Key
from runs_core.values.run import Run, RunStatus

PAUSE = 0.25
"""Seconds between two looks."""


def watch(name: str | None, timeout: str | None) -> None:
    if asked().output not in (Output.TABLE, Output.WIDE):
        raise click.UsageError(
            f"watch shows tables and lines, not {asked().output}: use get", click.get_current_context()
        )
    limit = None if timeout is None else duration(timeout, "--timeout")
    with opened(asked(), RUNS, () if name is None else (name,)) as session:
        said = session.asked
        key = None if name is None else session.run_named(name).key
        session.follow([key.namespace] if key else [said.scope] if said.scope else None)
        looks = _looks(session, said, key, limit)
        if render.terminal(sys.stdout):
            render.live(_frame(session, runs, said) for runs in looks)
        else:
            _lines(session, looks)


def _looks(session: Session, said: Asked, key: Key | None, limit: timedelta | None) -> Iterator[list[Run]]:
    """The runs again and again, until the one that is watched is over."""
    end = time.monotonic() + limit.total_seconds() if limit is not None else None
    while True:
        runs = session.runs_in(said.scope) if key is None else [run for run in (session.world.run(key),) if run]
        yield runs
        if key is not None and all(run.status.phase.terminal for run in runs):
            return
        if end is not None and time.monotonic() >= end:
            raise Stop(f"the {span(limit or timedelta())} of --timeout are over", Code.TIMED_OUT)
        session.pause(PAUSE)
        session.settle()


def _frame(session: Session, runs: Sequence[Run], said: Asked) -> list[Block]:
    return [Fields(pairs=[("Now", moment(session.now))]), runs_table(session, runs, said)]


def _lines(session: Session, looks: Iterator[list[Run]]) -> None:
    known: dict[Key, RunStatus] = {}
    for runs in looks:
        for run in runs:
            if known.get(run.key) != run.status:
                why = said_of(run)
                click.echo(
                    f"{moment(session.now)} {run.key} {run.status.phase} {why.reason or NONE} {why.message or NONE}"
                )
        known = {run.key: run.status for run in runs}
        sys.stdout.flush()

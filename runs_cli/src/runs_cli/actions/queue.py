"""`runs queue`: the line."""

from __future__ import annotations

from runs_cli.answer import Column, Table, answer
from runs_cli.options import asked
from runs_cli.session import opened
from runs_cli.session.port import Session
from runs_cli.words import NONE, moment, span
from runs_core.serve.views.plain import plain
from runs_core.serve.views.queue import Line, line


def queue() -> None:
    with opened(asked()) as session:
        found = line(session.world, session.advice)
        answer(
            session.asked,
            plain=lambda: plain(found),
            names=lambda: [str(item.run) for item in found.items],
            blocks=lambda: [line_table(session, found)],
        )


def line_table(session: Session, found: Line, title: str = "") -> Table:
    """One row for each run in line."""
    columns = [
        Column("POSITION", right=True),
        Column("RUN"),
        Column("GPUS", right=True),
        Column("FLAVOR"),
        Column("AHEAD", right=True),
        Column("PHASE", state=True),
        Column("WAITING", right=True),
        Column("STARTS"),
        Column("REASON"),
        Column("MESSAGE", wide=True),
        Column("WOULD HAVE STARTED", wide=True),
    ]
    rows = [
        [
            str(item.position),
            str(item.run),
            str(item.gpus),
            item.flavor or NONE,
            str(item.ahead),
            str(item.phase),
            span(session.now - item.queued_since) if item.queued_since else NONE,
            f"{moment(item.earliest_start)} ({item.basis})" if item.basis else NONE,
            item.reason or NONE,
            item.message or NONE,
            "; ".join(f"{moment(one.starts_at)}: {one.change}" for one in item.remedies) or NONE,
        ]
        for item in found.items
    ]
    return Table(columns=columns, rows=rows, title=title, empty="Nobody waits.")

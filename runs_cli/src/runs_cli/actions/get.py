"""`runs get`: runs with their phase, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from runs_cli.answer import Column, Table, answer, listed
from runs_cli.options import Asked, Output, asked
from runs_cli.session import opened
from runs_cli.session.port import PAID, RUNS, Session
from runs_cli.words import NONE, moment, span
from runs_core.serve.views.present import Present, Why, said_of
from runs_core.values.run import Run


def get(names: tuple[str, ...]) -> None:
    kinds = PAID if asked().output is Output.WIDE else RUNS
    with opened(asked(), kinds, names) as session:
        said = session.asked
        runs = session.runs_named(names) if names else session.runs_in(said.scope)
        answer(
            said,
            plain=lambda: listed([session.stored("Run", run.key) for run in runs], one=len(names) == 1),
            names=lambda: [str(run.key) for run in runs],
            blocks=lambda: [runs_table(session, runs, said)],
        )


def runs_table(session: Session, runs: Sequence[Run], said: Asked, title: str = "") -> Table:
    """One row each."""
    everywhere = said.all_namespaces or len({run.key.namespace for run in runs}) > 1
    columns = [
        *([Column("NAMESPACE")] if everywhere else []),
        Column("NAME"),
        Column("PHASE", state=True),
        Column("GPUS", right=True),
        Column("FLAVOR"),
        Column("OWNER", wide=True),
        Column("PAYER", wide=True),
        Column("STARTED", wide=True),
        Column("AGE", right=True),
        Column("REASON"),
        Column("MESSAGE", wide=True),
    ]
    present = Present(session.world, session.advice) if session.world.nodes() else None  # a look without the fleet
    rows = [
        [
            *([run.key.namespace] if everywhere else []),
            *_row(session, run, present.of(run) if present else said_of(run)),
        ]
        for run in runs
    ]
    where = "the cluster" if said.all_namespaces else f"namespace {said.home}"
    return Table(columns=columns, rows=rows, title=title, empty=f"No runs in {where}; `runs submit` makes one.")


def _row(session: Session, run: Run, why: Why) -> list[str]:
    status = run.status
    return [
        run.key.name,
        str(status.phase),
        f"{status.width}/{session.world.wanted(run)}",
        run.spec.resources.flavor or NONE,
        run.spec.owner or ",".join(session.world.owners(run.key.namespace)) or NONE,
        ",".join(f"{one.budget}/{one.envelope}:{one.gpus}" for one in status.payers) or NONE,
        moment(status.started_at),
        age(run, session.now),
        why.reason or NONE,
        why.message or NONE,
    ]


def age(run: Run, now: datetime) -> str:
    """Since it was made."""
    return span(now - run.meta.created) if run.meta.created is not None else NONE

"""`runs doctor`: what is wrong with this cluster."""

from __future__ import annotations

from runs_cli.answer import Block, Column, Notes, Table, answer
from runs_cli.failures import Code, Stop
from runs_cli.options import asked
from runs_cli.session import diagnosed
from runs_core.serve.doctor.finding import Diagnosis
from runs_core.serve.manifests.installation import Installation
from runs_core.serve.views.plain import plain


def doctor(*, system_namespace: str, service_account: str) -> int:
    said = asked()
    if said.local is not None:
        raise Stop("doctor looks at live clusters: leave --local and RUNS_LOCAL out", Code.USAGE)
    found = diagnosed(said, Installation(namespace=system_namespace, account=service_account))
    answer(
        said,
        plain=lambda: plain(found),
        names=lambda: [finding.check for finding in found.items],
        blocks=lambda: _blocks(found),
    )
    return Code.NO if found.items else Code.DONE


def _blocks(found: Diagnosis) -> list[Block]:
    columns = [Column("CHECK"), Column("ABOUT"), Column("WHAT")]
    rows = [[finding.check, finding.about, finding.what] for finding in found.items]
    where = " in what you may look at" if found.unread else ""
    empty = f"Nothing is wrong{where}, by {found.checks} checks."
    blocks: list[Block] = [Table(columns=columns, rows=rows, empty=empty)]
    if found.items:
        lines = [f"{finding.check}: {finding.remedy}" for finding in found.items]
        blocks.append(Notes(title="What mends it", lines=lines))
    if found.unread:
        lines = [f"{topic}: {why}" for topic, why in found.unread.items()]
        blocks.append(Notes(title="Could not be looked at, and is not judged", lines=lines))
    return blocks

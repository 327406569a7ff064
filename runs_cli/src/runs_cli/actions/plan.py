"""`runs plan`: what would happen, without doing it."""

from __future__ import annotations

import click

from runs_cli.answer import Block, Column, Fields, Notes, Table, answer
from runs_cli.failures import Code
from runs_cli.intake import as_submitted, read_runs
from runs_cli.options import asked
from runs_cli.session import opened
from runs_cli.session.port import Session, key_in
from runs_cli.words import NONE, moment, numbers
from runs_core.errors import InvalidInput
from runs_core.schema.manifest import Document
from runs_core.serve.views.plain import Plain, plain
from runs_core.serve.views.plan import Place, Plan, Remedy, Verdict, of_outcome, of_standing, refused
from runs_core.values.decision import Held, Reason, Starts, Waits
from runs_core.values.run import Phase, Run

EXITS = {Verdict.START: Code.DONE, Verdict.REFUSED: Code.USAGE}


def plan(name: str | None, filename: str | None) -> int:
    if (name is None) == (filename is None):
        raise click.UsageError("name one run, or a file with -f", click.get_current_context())
    with opened(asked()) as session:
        if filename is not None:
            plans = [plan_of_new(session, document) for document in read_runs(session, filename)]
        else:
            plans = [plan_of(session, session.run_named(str(name)))]
        answer(
            session.asked,
            plain=lambda: _plain(plans),
            names=lambda: [str(found.run) for found in plans],
            blocks=lambda: [block for found in plans for block in plan_blocks(found)],
        )
    return max(EXITS.get(found.verdict, Code.NO) if found.verdict else Code.NO for found in plans)


def _plain(plans: list[Plan]) -> Plain:
    return plain(plans[0]) if len(plans) == 1 else {"items": plain(plans)}


def plan_of_new(session: Session, document: Document) -> Plan:
    """What submitting it now would lead to."""
    try:
        run = as_submitted(session, document)
    except InvalidInput as error:
        return refused(key_in(document.body), error.problems)
    return plan_of(session, run)


def plan_of(session: Session, run: Run) -> Plan:
    """What would be decided for it now."""
    outcome = outcome_of(session, run)
    if outcome is None:
        return of_standing(session.world, run, session.advice)
    return of_outcome(run.key, outcome, () if isinstance(outcome, Starts) else session.remedies(run))


def outcome_of(session: Session, run: Run) -> Held | Waits | Starts | None:
    """None: it has started, is being undone, or is over."""
    if run.status.phase not in (Phase.QUEUED, Phase.HELD) or run.status.ending is not None:
        return None
    return session.consider(run)


def plan_blocks(found: Plan) -> list[Block]:
    """For a person."""
    verdict = str(found.verdict) if found.verdict else "nothing to decide"
    blocks: list[Block] = [Fields(pairs=[("Run", str(found.run)), ("Verdict", verdict)])]
    blocks += [Notes(title="Reasons", lines=reason_lines(found.reasons))] if found.reasons else []
    blocks += [place_table(found.placement)] if found.placement else []
    blocks += [Notes(title="What would start it", lines=remedy_lines(found.remedies))] if found.remedies else []
    return blocks


def reason_lines(reasons: tuple[Reason, ...]) -> list[str]:
    """`Code: message`, with the plugin that says so."""
    return [
        f"{reason.code}{'' if reason.by == 'core' else f' ({reason.by})'}: {reason.message or NONE}"
        for reason in reasons
    ]


def remedy_lines(remedies: tuple[Remedy, ...]) -> list[str]:
    """The change, then the command that makes it."""
    return [
        f"{remedy.change}: starts {moment(remedy.starts_at)}" + (f"   $ {remedy.command}" if remedy.command else "")
        for remedy in remedies
    ]


def place_table(placement: tuple[Place, ...]) -> Table:
    """A row for each node of each group."""
    columns = [
        Column("GROUP", right=True),
        Column("NODE"),
        Column("GPUS", right=True),
        Column("SLOTS"),
        Column("RANKS"),
    ]
    rows = [
        [str(place.group), place.node, str(len(place.ordinals)), numbers(place.ordinals), numbers(place.ranks)]
        for place in placement
    ]
    return Table(columns=columns, rows=rows, title="Placement")

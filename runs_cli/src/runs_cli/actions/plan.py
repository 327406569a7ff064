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
from runs_core.decide.odds import MOST_WAYS
from runs_core.errors import InvalidInput
from runs_core.schema.manifest import Document
from runs_core.serve.views.eta import Eta, eta
from runs_core.serve.views.plain import Plain, plain
from runs_core.serve.views.plan import (
    Asked,
    MayBeCut,
    Place,
    Plan,
    Remedy,
    Verdict,
    of_outcome,
    of_standing,
    refused,
)
from runs_core.values.classes import Tier
from runs_core.values.decision import Held, Reason, Starts, Waits
from runs_core.values.quantity import counted
from runs_core.values.reservation import Promise
from runs_core.values.run import Run

TIERS = {tier: tier.name.lower() for tier in Tier}
"""How near the run's owner is to that of the envelope."""
NO_REMEDY = "no single change of its width, groups, places, flavor, payers or duration is known to"
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
    foreseen = session.foreseen(run, outcome)
    starts = isinstance(outcome, Starts) or (foreseen is not None and foreseen.chances)
    expected = eta(session.world, run, session.advice) if isinstance(outcome, Waits) else None
    remedies = () if starts else session.remedies(run)
    return of_outcome(run.key, outcome, remedies, foreseen=foreseen, expected=expected)


def outcome_of(session: Session, run: Run) -> Held | Waits | Starts | None:
    """None: it has started, is being undone, or is over."""
    if run.status.phase.begun or run.status.ending is not None:
        return None
    return session.consider(run)


def plan_blocks(found: Plan) -> list[Block]:
    """For a person."""
    verdict = str(found.verdict) if found.verdict else "nothing to decide"
    blocks: list[Block] = [Fields(pairs=[("Run", str(found.run)), ("Verdict", verdict)])]
    blocks += [Notes(title="Reasons", lines=reason_lines(found.reasons))] if found.reasons else []
    blocks += pay_blocks(found)
    blocks += [place_table(found.placement)] if found.placement else []
    blocks += [eta_block(found.forecast)] if found.forecast is not None else []
    return [*blocks, *remedy_blocks(found)]


def pay_blocks(found: Plan) -> list[Block]:
    """Who was asked to pay, and who would be cut."""
    blocks: list[Block] = [_cover_table(found.cover)] if found.cover else []
    if found.cuts:
        blocks.append(cut_table(found.cuts))
    elif found.spared is not None:
        told = f"{counted(found.spared.gpus, 'GPU')} of work that could be cut: safe for now"
        lines = [f"{told}, the first of it until {moment(found.spared.until)}"]
        blocks.append(Notes(title="Could be taken back later", lines=lines))
    return blocks


def _cover_table(cover: tuple[Asked, ...]) -> Table:
    columns = [Column("ENVELOPE"), Column("AS"), Column("HAD", right=True), Column("GAVE", right=True), Column("WHY")]
    rows = [
        [f"{one.budget}/{one.envelope}", TIERS[one.tier], str(one.had), str(one.gave), one.why or NONE] for one in cover
    ]
    return Table(columns=columns, rows=rows, title="Who was asked to pay")


def cut_table(cuts: tuple[MayBeCut, ...]) -> Table:
    """Each with its odds."""
    known = all(one.odds is not None for one in cuts)
    title = (
        "Who may be cut" if known else f"Who may be cut (more than {MOST_WAYS} ways to draw: no odds are worked out)"
    )
    columns = [Column("RUN"), Column("GPUS", right=True), Column("STAGE"), Column("ODDS", right=True)]
    rows = [
        [
            f"{one.run}{NONE if one.group is None else f' group {one.group}'}".removesuffix(NONE),
            str(one.gpus),
            one.stage,
            NONE if one.odds is None else f"{one.odds:.1%}",
        ]
        for one in cuts
    ]
    return Table(columns=columns, rows=rows, title=title)


def eta_block(found: Eta) -> Block:
    """When it starts, and what that rests on."""
    blockers = ", ".join(map(str, found.blocked_by))
    short = f"{found.short_of}, {counted(found.deficit_gpus, 'GPU')}" if found.deficit_gpus else str(found.short_of)
    pairs = [
        ("Starts about", f"{moment(found.earliest_start)} ({found.basis})"),
        ("Nine in ten by", moment(found.latest) if found.latest > found.earliest_start else NONE),
        ("Short of", short),
        ("Once these end", blockers or NONE),
        ("Promised", promise_text(found.promises[-1]) if found.promises else NONE),
    ]
    return Fields(pairs=[pair for pair in pairs if pair[1] != NONE])


def promise_text(promise: Promise) -> str:
    """What was promised last, and why it took the place of an earlier promise."""
    cause = f": {promise.cause}" if promise.cause else ""
    return f"{moment(promise.earliest_start)}, at {moment(promise.at)}{cause}"


def reason_lines(reasons: tuple[Reason, ...]) -> list[str]:
    """`Code: message`, with the plugin that says so."""
    return [
        f"{reason.code}{'' if reason.by == 'core' else f' ({reason.by})'}: {reason.message or NONE}"
        for reason in reasons
    ]


def remedy_blocks(found: Plan) -> list[Block]:
    """What would start a run that waits, or that nothing was found."""
    lines = _remedy_lines(found.remedies)
    if not lines and found.verdict in {Verdict.WAIT, Verdict.RESERVE}:
        lines = [NO_REMEDY]
    return [Notes(title="What would start it", lines=lines)] if lines else []


def _remedy_lines(remedies: tuple[Remedy, ...]) -> list[str]:
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

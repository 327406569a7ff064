"""`runs explain`: why a run is where it is."""

from __future__ import annotations

from runs_cli.actions.plan import outcome_of, place_table, plan_of, reason_lines, remedy_lines
from runs_cli.answer import Block, Column, Fields, Notes, Table, answer
from runs_cli.options import asked
from runs_cli.session import Session, opened
from runs_cli.words import NONE, moment
from runs_core.schema.convert import Object
from runs_core.serve.views.explain import Explanation
from runs_core.serve.views.explain import explain as view
from runs_core.serve.views.plain import Plain, plain
from runs_core.values.run import Run


def explain(name: str, *, history: bool) -> None:
    said = asked()
    with opened(said) as session:
        run = session.run_named(name)
        found = explained(session, run)
        records = session.history(run) if history else None
        answer(
            said,
            plain=lambda: _plain(found, records),
            names=lambda: [str(run.key)],
            blocks=lambda: explain_blocks(session, run, found, records),
        )


def explained(session: Session, run: Run) -> Explanation:
    """Everything but the history."""
    return view(session.world, run, plan_of(session, run), outcome_of(session, run), session.said_by_plugins(run))


def _plain(found: Explanation, records: list[Object] | None) -> Plain:
    told = plain(found)
    if records is not None and isinstance(told, dict):
        told["history"] = plain(records)
    return told


def why(record: Object) -> str:
    """The reasons of a decision on record, in one line."""
    outcome = record["outcome"]
    if "reasons" in outcome:
        return "; ".join(f"{reason['code']}: {reason['message']}" for reason in outcome["reasons"])
    told = (outcome.get("reason"), outcome.get("closure"), outcome.get("message"), outcome.get("detail"))
    return ": ".join(text for text in told if text)


def explain_blocks(session: Session, run: Run, found: Explanation, records: list[Object] | None = None) -> list[Block]:
    """For a person."""
    status = run.status
    resources = run.spec.resources
    shape = f"{run.gpus} GPUs of {resources.flavor or 'any flavor'}, in pods of {resources.gpus_per_pod}"
    pairs = [
        ("Run", str(run.key)),
        ("Phase", str(found.phase)),
        ("Wants", shape),
        ("Owner", run.spec.owner or ", ".join(session.world.owners(run.key.namespace)) or NONE),
        ("Admitted", moment(status.admitted_at)),
        ("Started", f"{moment(status.started_at)} (attempt {status.attempt})" if status.started_at else NONE),
        ("Finished", moment(status.finished_at)),
        ("Expected end", moment(found.expected_end)),
        ("Pending", f"{found.pending_gpus} GPUs" if found.pending_gpus else NONE),
    ]
    blocks: list[Block] = [Fields(pairs=[pair for pair in pairs if pair[1] != NONE])]
    blocks.append(Notes(title="Why", lines=reason_lines(found.reasons)))
    if found.match:
        blocks.append(_match_table(found))
    if found.placement:
        blocks.append(place_table(found.placement))
    if found.blocked_by:
        blocks.append(Notes(title="Waits for", lines=[str(key) for key in found.blocked_by]))
    if found.remedies:
        blocks.append(Notes(title="What would start it", lines=remedy_lines(found.remedies)))
    if found.said:
        blocks.append(Notes(title="Plugins", lines=[f"{said.by}: {said.line}" for said in found.said]))
    if records is not None:
        blocks.append(_history_table(records))
    return blocks


def _match_table(found: Explanation) -> Table:
    columns = [Column("STEP"), Column("LEFT", right=True), Column("FREE GPUS", right=True)]
    rows = [[step.step, str(step.nodes), str(step.gpus)] for step in found.match]
    return Table(columns=columns, rows=rows, title="The fleet, step by step")


def _history_table(records: list[Object]) -> Table:
    columns = [Column("AT"), Column("DECISION"), Column("PHASE", state=True), Column("GPUS", right=True), Column("WHY")]
    rows = [
        [
            record["at"],
            record["outcome"]["is"],
            record["phase"],
            str(record["width"]),
            why(record) or NONE,
        ]
        for record in records
    ]
    return Table(columns=columns, rows=rows, title="History", empty="No decision is on record.")

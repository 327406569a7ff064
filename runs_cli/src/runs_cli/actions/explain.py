"""`runs explain`: why a run is where it is."""

from __future__ import annotations

from datetime import timedelta

from runs_cli.actions.plan import eta_block, outcome_of, pay_blocks, place_table, plan_of, reason_lines, remedy_blocks
from runs_cli.actions.resolve import verified
from runs_cli.answer import Block, Column, Fields, Notes, Table, answer
from runs_cli.failures import Stop
from runs_cli.options import asked
from runs_cli.session import opened
from runs_cli.session.port import CUTS, FLEET, History, Session
from runs_cli.words import NONE, moment, span
from runs_core.decide.paying import by_class
from runs_core.schema.convert import Object
from runs_core.serve.manifests.installation import NAMESPACE
from runs_core.serve.views.explain import Cut, Explanation, Promised, cut_of, last_cut
from runs_core.serve.views.explain import explain as view
from runs_core.serve.views.plain import Plain, plain
from runs_core.values.demand import Demand
from runs_core.values.quantity import counted
from runs_core.values.reservation import MOST_CAUSES, Promise, ReservationPhase
from runs_core.values.run import Run, Spread

NAMED = 8
"""Nodes of a start that are named in the history; of the others, how many."""


def explain(name: str, *, history: bool) -> None:
    with opened(asked(), (*FLEET, *CUTS)) as session:
        run = session.run_named(name)
        found = explained(session, run)
        records = session.history(run) if history else None
        answer(
            session.asked,
            plain=lambda: _plain(found, records),
            names=lambda: [str(run.key)],
            blocks=lambda: explain_blocks(session, run, found, records),
        )


def explained(session: Session, run: Run) -> Explanation:
    """Everything but the history."""
    outcome, said = outcome_of(session, run), session.said_by_plugins(run)
    plan, reservations = plan_of(session, run), session.reservations(run)
    return view(session.world, run, plan, outcome, said, cut=_cut(session, run), reservations=reservations)


def _cut(session: Session, run: Run) -> Cut | None:
    """With whether it verifies, where its evidence may be read."""
    found = last_cut(session.world, run)
    if found is None:
        return None
    try:
        verdict: bool | None = verified(session, found, NAMESPACE).verified
    except Stop:
        verdict = None
    return cut_of(run, found, verified=verdict)


def _plain(found: Explanation, records: History | None) -> Plain:
    told = plain(found)
    if records is not None and isinstance(told, dict):
        told["history"] = plain(records.records)
        told["events"] = plain(records.events)
    return told


def why(record: Object) -> str:
    """The reasons of a decision on record, in one line."""
    if "outcome" not in record:
        return str(record["message"])
    outcome = record["outcome"]
    if "resolution" in outcome:
        back = f"{counted(outcome['gpus'], 'GPU')} back from {counted(outcome['runs'], 'run')}"
        return f"{outcome['resolution']} takes {back}"
    if "placement" in outcome:
        return f"attempt {outcome['attempt']} on {_nodes(outcome['placement'])}"
    if "reasons" in outcome:
        return "; ".join(f"{reason['code']}: {reason['message']}" for reason in outcome["reasons"])
    told = (outcome.get("reason"), outcome.get("closure"), outcome.get("message"), outcome.get("detail"))
    return ": ".join(text for text in told if text)


def _nodes(placement: Object) -> str:
    names = sorted({pod["node"] for group in placement["groups"] for pod in group["pods"]})
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def explain_blocks(session: Session, run: Run, found: Explanation, records: History | None = None) -> list[Block]:
    """For a person."""
    status, ending = run.status, run.status.ending
    pairs = [
        ("Run", str(run.key)),
        ("Phase", str(found.phase)),
        ("Ending", f"since {moment(ending.since)}; {ending.then} once its pods have ended" if ending else NONE),
        ("Wants", wants(run, session.world.demand(run))),
        ("Owner", run.spec.owner or ", ".join(session.world.owners(run.key.namespace)) or NONE),
        ("Admitted", moment(status.admitted_at)),
        ("Started", f"{moment(status.started_at)} (attempt {status.attempt})" if status.started_at else NONE),
        ("Finished", moment(status.finished_at)),
        ("Expected end", moment(found.expected_end)),
        ("Preempted", counted(status.preemptions, "time") if status.preemptions else NONE),
        ("Funding", by_class(status.funding) if status.funding.total else NONE),
        ("Pending", counted(found.pending_gpus, "GPU") if found.pending_gpus else NONE),
    ]
    blocks: list[Block] = [Fields(pairs=[pair for pair in pairs if pair[1] != NONE])]
    blocks.append(Notes(title="Why", lines=[*reason_lines(found.reasons), *_unheard(session, run)]))
    if found.match:
        blocks.append(_match_table(found))
    blocks += pay_blocks(found)
    if found.placement:
        blocks.append(place_table(found.placement))
    if found.promised:
        blocks.append(promises_table(found.promised))
    if found.cut is not None:
        blocks.append(_cut_lines(found.cut))
    if found.blocked_by:
        blocks.append(Notes(title="Waits for", lines=[str(key) for key in found.blocked_by]))
    if found.forecast is not None:
        blocks.append(eta_block(found.forecast))
    blocks += remedy_blocks(found)
    if found.said:
        blocks.append(Notes(title="Plugins", lines=[f"{said.by}: {said.line}" for said in found.said]))
    if records is not None:
        blocks.append(_history_table(records))
        blocks += [_events_table(records)] if records.events else []
    return blocks


def wants(run: Run, demand: Demand | None) -> str:
    """The gang's shape, and where it may lie. demand: how wide it may be, where that is not one width."""
    resources, topology = run.spec.resources, run.spec.topology
    width = counted(run.gpus, "GPU")
    if demand is not None and demand.most > demand.least:
        width = f"{demand.least} to {counted(demand.most, 'GPU')}"
    parts = [
        f"{width} of {resources.flavor or 'any flavor'}",
        f"in pods of {resources.gpus_per_pod}",
    ]
    if topology.group_gpus is not None:
        parts.append(f"in groups of {topology.group_gpus}")
    if topology.spread is Spread.SINGLE_DOMAIN:
        parts.append("all in one domain")
    if topology.selector:
        parts.append(f"where {' and '.join(f'{label}={value}' for label, value in topology.selector)}")
    return ", ".join(parts)


def _cut_lines(cut: Cut) -> Notes:
    """What was cut from it or for it, and how that can be held against its evidence."""
    whom = f" for {cut.beneficiary}" if cut.lost and cut.beneficiary is not None else ""
    did = f"{cut.resolution} took {counted(cut.gpus, 'GPU')} {f'from it{whom}' if cut.lost else 'back for it'}"
    stands = {True: "all of it follows from its evidence", False: "it differs from its evidence", None: "not verified"}
    verify = f"{stands[cut.verified]} (`runs resolve verify {cut.resolution}`)"
    return Notes(title="Taken back", lines=[f"{did} at {moment(cut.at)}; {verify}", f"seed {cut.seed}"])


def promises_table(promised: tuple[Promised, ...]) -> Table:
    """Each promise, how far off it was, and what became of the last one of each reservation."""
    columns = [Column("MADE"), Column("START"), Column("BY"), Column("OFF", right=True), Column("WHY")]
    rows = []
    for one in promised:
        between = len(one.promises) - MOST_CAUSES
        for at, promise in enumerate(one.promises):
            if 0 < at <= between:
                if at == between:
                    rows.append(["…", f"{between} more", NONE, NONE, NONE])
                continue
            last = promise is one.promises[-1]
            became = f"{one.reason}: {one.message}" if last and one.phase is ReservationPhase.CANCELED else ""
            why = "; ".join(text for text in (promise.cause, became) if text)
            rows.append([moment(promise.at), moment(promise.earliest_start), promise.basis, _off(promise), why or NONE])
    return Table(columns=columns, rows=rows, title="Promised starts")


def _off(promise: Promise) -> str:
    """How far it was from the start, once there was one."""
    seconds = promise.error_seconds
    if seconds is None:
        return NONE
    return f"{span(timedelta(seconds=abs(seconds)))} {'early' if seconds < 0 else 'late'}" if seconds else "0s"


def _unheard(session: Session, run: Run) -> list[str]:
    if session.at_once or run.status.observed_generation or run.status.phase.terminal:
        return []
    return ["the scheduler has not taken it up yet; where that stays so, `runs doctor` says why"]


def _match_table(found: Explanation) -> Table:
    columns = [Column("STEP"), Column("LEFT", right=True), Column("GPUS", right=True)]
    rows = [[step.step, str(step.nodes), str(step.gpus)] for step in found.match]
    return Table(columns=columns, rows=rows, title="The fleet, step by step")


def _events_table(history: History) -> Table:
    columns = [Column("LAST"), Column("TIMES", right=True), Column("EVENT"), Column("MESSAGE")]
    events = sorted(history.events, key=lambda event: str(event["last"]))
    rows = [[event["last"], str(event["count"]), event["reason"], event["message"]] for event in events]
    return Table(columns=columns, rows=rows, title="Events")


def _history_table(history: History) -> Table:
    """Decisions on record, or what Events tell of them."""
    columns = [Column("AT"), Column("DECISION"), Column("PHASE", state=True), Column("GPUS", right=True), Column("WHY")]
    rows = [
        [
            record["at"],
            record["outcome"]["is"] if "outcome" in record else record["reason"],
            record.get("phase", NONE),
            str(record.get("width", NONE)),
            why(record) or NONE,
        ]
        for record in history.records
    ]
    return Table(columns=columns, rows=rows, title=history.title, empty="No decision is on record.")

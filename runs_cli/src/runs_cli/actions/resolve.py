"""`runs resolve`: who was cut for whom, and whether the draw was fair."""

from __future__ import annotations

from collections.abc import Sequence

from runs_cli.actions import by_hand
from runs_cli.answer import Block, Column, Fields, Notes, Table, answer, listed
from runs_cli.options import asked
from runs_cli.session import opened
from runs_cli.session.port import CUTS, Session
from runs_cli.words import NONE, moment
from runs_core.decide.draw import seed_text
from runs_core.decide.resolve import drawn_for
from runs_core.schema.convert import Object
from runs_core.schema.evidence import unpacked
from runs_core.serve.views.plain import plain
from runs_core.serve.views.verified import Verification, verification
from runs_core.values.resolution import Evidence, Resolution, ResolutionPhase, UnitRef, resolution_name


def list_(*, only_open: bool) -> None:
    with opened(asked(), CUTS) as session:
        phase = ResolutionPhase.ACTIVATING
        found = [one for one in session.world.resolutions() if not only_open or one.status.phase is phase]
        answer(
            session.asked,
            plain=lambda: listed([session.stored("Resolution", one.meta.key) for one in found], one=False),
            names=lambda: [one.name for one in found],
            blocks=lambda: [_table(found, "Nothing is being taken back." if only_open else "Nobody was cut so far.")],
        )


def _table(found: Sequence[Resolution], empty: str) -> Table:
    columns = [
        Column("NAME"),
        Column("AT"),
        Column("TRIGGER"),
        Column("FOR"),
        Column("FLAVOR"),
        Column("SHORT", right=True),
        Column("CUT", right=True),
        Column("UNITS", right=True),
        Column("PHASE", state=True),
        Column("REASON"),
        Column("END", wide=True),
        Column("MESSAGE", wide=True),
    ]
    rows = [
        [
            one.name,
            moment(one.spec.at),
            str(one.spec.trigger),
            _for(one),
            one.spec.need.flavor,
            str(one.spec.deficit_gpus),
            str(one.spec.cut_gpus),
            str(len(one.spec.cuts)),
            str(one.status.phase),
            one.status.reason,
            moment(one.status.end),
            one.status.message or NONE,
        ]
        for one in found
    ]
    return Table(columns=columns, rows=rows, empty=empty)


def _for(one: Resolution) -> str:
    return str(one.spec.beneficiary.run) if one.spec.beneficiary is not None else NONE


def show(name: str) -> None:
    with opened(asked(), CUTS) as session:
        found = session.resolution_named(name)
        text = session.evidence(found)
        answer(
            session.asked,
            plain=lambda: _whole(session.stored("Resolution", found.meta.key), text),
            names=lambda: [found.name],
            blocks=lambda: _blocks(found, unpacked(text, found.spec.evidence.digest)),
        )


def _whole(body: Object, text: str) -> Object:
    """With all of its evidence, wherever it is kept."""
    return {**body, "spec": {**body["spec"], "evidence": {**body["spec"]["evidence"], "data": text}}}


def _blocks(found: Resolution, evidence: Evidence) -> list[Block]:
    spec, to = found.spec, found.spec.beneficiary
    need = f"{spec.need.gpus} {spec.need.flavor}, {spec.need.gpus_per_pod} a pod"
    uid, attempt = drawn_for(spec.beneficiary, spec.request)
    seed = seed_text(uid, attempt, spec.number, int(spec.seed.ledger_head, 16), spec.seed.nonce)
    pairs = [
        ("Resolution", found.name),
        ("Trigger", str(spec.trigger)),
        ("At", moment(spec.at)),
        ("For", _for(found)),
        ("Request", spec.request.uid if spec.request is not None else NONE),
        ("Owner", to.owner or NONE if to is not None else NONE),
        ("Need", need + (f", {spec.need.group_gpus} a group" if spec.need.group_gpus else "")),
        ("Scope", ", ".join(spec.scope)),
        ("Short", f"{spec.deficit_gpus} GPUs"),
        ("Cut", f"{spec.cut_gpus} GPUs"),
        ("Payers", ", ".join(f"{one.budget}/{one.envelope} {one.gpus}" for one in spec.payers) or NONE),
        ("Phase", str(found.status.phase)),
        ("Reason", found.status.reason),
        ("Message", found.status.message or NONE),
        ("End", moment(found.status.end)),
        ("Seed", seed),
        ("Commitment", spec.seed.commitment),
        ("Next", spec.next_commitment),
    ]
    return [Fields(pairs=[pair for pair in pairs if pair[1] != NONE]), _cuts(found), _draws(evidence), _given(evidence)]


def _cuts(found: Resolution) -> Table:
    columns = [Column("RUN"), Column("GROUP", right=True), Column("GPUS", right=True), Column("STAGE")]
    rows = [
        [str(cut.run), NONE if cut.group is None else str(cut.group), str(cut.gpus), cut.stage]
        for cut in found.spec.cuts
    ]
    return Table(columns=[*columns, Column("UID", wide=True)], rows=_with_uids(found, rows), title="Cuts")


def _with_uids(found: Resolution, rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[*row, cut.uid] for row, cut in zip(rows, found.spec.cuts, strict=True)]


def _draws(evidence: Evidence) -> Table:
    columns = [Column("STAGE"), Column("OWNER"), Column("UNIT"), Column("CANDIDATES", right=True)]
    rows = [
        [
            evidence.pools[one.pool].stage,
            one.owner or NONE,
            _unit(one.unit),
            str(len(evidence.pools[one.pool].candidates)),
            str(one.used),
        ]
        for one in evidence.draws
    ]
    return Table(columns=[*columns, Column("BLOCKS", right=True)], rows=rows, title="Taken, in order")


def _given(evidence: Evidence) -> Notes:
    given = [_unit(one) for one in evidence.given_back]
    return Notes(title="Given back, in order", lines=given or ["nothing"])


def _unit(unit: UnitRef) -> str:
    return f"{unit.namespace}/{unit.name}" + ("" if unit.group is None else f" group {unit.group}")


def verify(name: str, system_namespace: str) -> int:
    with opened(asked(), CUTS) as session:
        found = session.resolution_named(name)
        told = verified(session, found, system_namespace)
        answer(
            session.asked,
            plain=lambda: plain(told),
            names=lambda: [found.name],
            blocks=lambda: _told(told, found.spec.number),
        )
    return 0 if told.verified else 1


def verified(session: Session, found: Resolution, home: str) -> Verification:
    """Against what the cluster still has of what was before."""
    before = session.world.resolution(resolution_name(found.spec.number - 1))
    first = session.first_commitment(home) if found.spec.number == 1 else None
    return verification(found, session.evidence(found), before, first)


def _told(told: Verification, number: int) -> list[Block]:
    bound = told.bound_by or "nothing that is still there: only its own word"
    verdict = "all of it follows from its evidence" if told.verified else "it differs"
    fields = Fields(pairs=[("Resolution", told.resolution), ("Verified", verdict), ("Nonce bound by", bound)])
    differences = [] if told.verified else [Notes(title="Differences", lines=told.differences)]
    return [fields, *differences, *([] if told.bound_by is not None else [_unchecked(number)])]


def _unchecked(number: int) -> Notes:
    """What nobody can tell any more."""
    gone = f"{resolution_name(number - 1)} is not there any more" if number > 1 else "no record of that can be read"
    line = f"whether its nonce was bound before: {gone}. All else was, its nonce against its own commitment"
    return Notes(title="Not checked", lines=[line])


def run(*, flavor: str, gpus: int, domain: str | None, apply: bool) -> int:
    return by_hand.run(flavor=flavor, gpus=gpus, domain=domain, apply=apply)

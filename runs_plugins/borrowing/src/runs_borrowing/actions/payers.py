"""`runs who-pays`: the payers of a run, now and so far."""

from __future__ import annotations

from runs_borrowing.actions.seen import everywhere, held
from runs_borrowing.views import Paid, Place, hours, paid
from runs_cli.answer import Block, Column, Fields, Table, answer
from runs_cli.options import asked
from runs_cli.session import opened
from runs_cli.session.port import PAID
from runs_core import Class, Key

NOBODY = "nobody"


def who_pays(name: str) -> None:
    with opened(everywhere(asked()), PAID) as session:
        run = session.run_named(name)
        leases = [lease for lease in session.leases() if lease.spec.run_ref.uid == run.uid]
        found = paid(held(session, leases))
        answer(
            session.asked,
            plain=lambda: _plain(run.key, found),
            names=lambda: _names(found),
            blocks=lambda: _blocks(run.key, found),
        )


def _names(found: Paid) -> list[str]:
    """Envelopes that pay now, or have paid."""
    places = {place for place, _, _ in found.now} | {place for place, _ in found.by_payer}
    return sorted(f"{budget}/{envelope}" for budget, envelope in places if budget is not None)


def _plain(run: Key, found: Paid) -> dict[str, object]:
    return {
        "run": str(run),
        "now": [
            {"budget": budget, "envelope": envelope, "class": cls.value, "gpus": gpus}
            for (budget, envelope), cls, gpus in found.now
        ],
        "gpuHours": {cls.value: hours(getattr(found.used, cls.value)) for cls in Class},
        "byPayer": [
            {"budget": budget, "envelope": envelope, "gpuHours": hours(seconds)}
            for (budget, envelope), seconds in found.by_payer
        ],
    }


def _blocks(run: Key, found: Paid) -> list[Block]:
    used = [(cls.value, getattr(found.used, cls.value)) for cls in Class]
    so_far = ", ".join(f"{hours(seconds):g} {cls}" for cls, seconds in used if seconds) or "none"
    return [
        Fields(pairs=[("Run", str(run)), ("GPU-hours", so_far)]),
        Table(
            columns=[Column("PAYER"), Column("CLASS", state=True), Column("GPUS", right=True)],
            rows=[[_payer(place), cls.value, str(gpus)] for place, cls, gpus in found.now],
            title="Now",
            empty="It holds no GPUs now.",
        ),
        Table(
            columns=[Column("PAYER"), Column("GPU-HOURS", right=True)],
            rows=[[_payer(place), f"{hours(seconds):g}"] for place, seconds in found.by_payer],
            title="So far",
            empty="It has used nothing so far.",
        ),
    ]


def _payer(place: Place) -> str:
    return NOBODY if place[0] is None else f"{place[0]}/{place[1]}"

"""`runs loans`: what is lent to whom."""

from __future__ import annotations

from runs_borrowing.actions.seen import everywhere, held
from runs_borrowing.views import Loan, hours
from runs_borrowing.views import loans as known
from runs_cli.answer import Column, Table, answer
from runs_cli.options import asked
from runs_cli.session import opened
from runs_cli.session.port import PAID
from runs_cli.words import NONE, instant, moment


def loans(lender: str | None, borrower: str | None, since: str | None) -> None:
    said = asked()
    with opened(everywhere(said), PAID) as session:
        owners = {budget.name: budget.spec.owner for budget in session.world.budgets()}
        leases = [lease for lease in session.leases() if said.namespace in (None, lease.run.namespace)]
        after = None if since is None else instant(since, "--since", session.now)
        found = [
            loan
            for loan in known(held(session, leases), owners.get, after)
            if lender in (None, loan.lender) and borrower in (None, loan.borrower)
        ]
        answer(
            session.asked,
            plain=lambda: {"items": [_plain(loan) for loan in found]},
            names=lambda: [str(loan.run) for loan in found],
            blocks=lambda: [_table(found, ended=after is not None)],
        )


def _plain(loan: Loan) -> dict[str, object]:
    return {
        "lender": loan.lender,
        "budget": loan.payer.budget,
        "envelope": loan.payer.envelope,
        "borrower": loan.borrower,
        "run": str(loan.run),
        "gpus": loan.gpus,
        "since": moment(loan.since),
        "until": moment(loan.until) if loan.until is not None else None,
        "gpuHours": hours(loan.gpu_seconds),
    }


def _table(found: list[Loan], *, ended: bool) -> Table:
    """ended: with those that ended."""
    columns = [Column("LENDER"), Column("ENVELOPE"), Column("BORROWER"), Column("RUN")]
    columns += [Column("GPUS", right=True), Column("SINCE"), *([Column("UNTIL")] if ended else [])]
    columns.append(Column("GPU-HOURS", right=True))
    rows = [
        [
            loan.lender,
            f"{loan.payer.budget}/{loan.payer.envelope}",
            loan.borrower,
            str(loan.run),
            str(loan.gpus),
            moment(loan.since),
            *([moment(loan.until) if loan.until is not None else NONE] if ended else []),
            f"{hours(loan.gpu_seconds):g}",
        ]
        for loan in found
    ]
    return Table(
        columns=columns,
        rows=rows,
        empty="Nobody lent anything in that time." if ended else "Nobody lends anything now.",
    )

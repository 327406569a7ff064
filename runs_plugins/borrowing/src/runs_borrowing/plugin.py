"""The hooks: each calls a function that can be tested without a scheduler.

What a loan counts as, and what displaces it, is worked out by budgets: it knows every claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from runs_borrowing.lenders import proposals
from runs_borrowing.loans import lending, loans, sponsored, told
from runs_borrowing.sections import Borrowing
from runs_budgets.funding import Funding
from runs_budgets.offers import Asked
from runs_core import Account, Ask, Budget, Offers, Proposal, Run, Section, View, concerning, hookimpl

RUNS_HOOK_API = (1, 1)


@hookimpl
def runs_sections() -> Sequence[Section]:
    return [Section(plugin="borrowing", kind="Run", name="funding", cls=Borrowing)]


@hookimpl
@concerning(Borrowing)
def runs_cover(ask: Ask, view: View, now: datetime) -> Offers | None:
    if not sponsored(ask):
        return None
    asked = Asked(ask=ask, now=now)
    return Offers(offers=tuple(loans(view.index(Funding), asked)))


@hookimpl
def runs_remedies(run: Run, ask: Ask, short: int, view: View) -> Sequence[Proposal]:
    return proposals(run, ask, short, view)


@hookimpl
def runs_account(budget: Budget, now: datetime) -> Account:
    return Account(conditions=(lending(budget, now),))


@hookimpl
def runs_explained(run: Run, view: View) -> Sequence[str]:
    return told(run, view)

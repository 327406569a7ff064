"""Who might lend to a run that nobody pays for: what it could ask for beyond what it asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import attrs

from runs_borrowing.sections import NOTHING, Borrowing
from runs_budgets.funding import Funding
from runs_budgets.offers import Asked, available, drawn
from runs_core import Ask, Proposal, Run, Tier, View, section

MOST_LENDERS = 20
"""Owners that are named, the first by name."""


def proposals(run: Run, ask: Ask, short: int, view: View) -> Sequence[Proposal]:
    """More of those that it names, or a loan of one owner more. short: GPUs that it lacks a payer for."""
    wish = section(run.spec.sections, Borrowing) or NOTHING
    asked = Asked(ask=ask, now=view.now)
    able = (one for one in _others(view, ask.owner, wish) if _lends(view.index(Funding), one, asked) >= short)
    return (*_of_its_sponsors(wish, short), *(_of(one, wish, run, short) for one in islice(able, MOST_LENDERS)))


def _of_its_sponsors(wish: Borrowing, short: int) -> Iterator[Proposal]:
    if wish.sponsors and not wish.allow_borrow:
        yield Proposal(change="set funding.allowBorrow", section=attrs.evolve(wish, allow_borrow=True))
    elif wish.sponsors and wish.max_borrow_gpus is not None:
        most = wish.max_borrow_gpus + short
        told = f"borrow up to {most} GPUs instead of {wish.max_borrow_gpus} (funding.maxBorrowGPUs)"
        yield Proposal(change=told, section=attrs.evolve(wish, max_borrow_gpus=most))


def _others(view: View, owner: str | None, wish: Borrowing) -> Sequence[str]:
    """Owners that it does not ask, by name; none where nobody could owe anything."""
    known = {budget.spec.owner for budget in view.budgets()}
    return sorted(known - {owner, *wish.sponsors}) if owner is not None else ()


def _lends(funding: Funding, lender: str, asked: Asked) -> int:
    """GPUs that a stranger could have of it, wherever they lie."""
    if funding.family.tier(asked.ask.owner, lender) is not Tier.STRANGER:
        return 0
    purses = [
        one for one in funding.envelopes_of(lender) if one.spec is not None and one.spec.flavor == asked.ask.flavor
    ]
    return drawn((available(one, Tier.STRANGER, asked) for one in purses), asked.ask.gpus)


def _of(lender: str, wish: Borrowing, run: Run, short: int) -> Proposal:
    asks = attrs.evolve(wish, allow_borrow=True, sponsors=(*wish.sponsors, lender))
    told = f"borrow {short} from {lender} (funding.sponsors)"
    return Proposal(change=told, section=asks, words=("sponsors", "add", run.meta.name, lender))

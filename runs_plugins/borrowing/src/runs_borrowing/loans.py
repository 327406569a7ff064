"""Who lends: the envelopes of a run's sponsors, in the order in which it names them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from runs_borrowing.sections import NOTHING, Borrowing
from runs_budgets.accounts import LENDING
from runs_budgets.funding import Funding
from runs_budgets.offers import Asked, available
from runs_budgets.sections import Quota
from runs_core import Ask, Budget, Cap, Condition, Offer, Run, Tier, View, section

LIMIT = "borrow limit"


def sponsored(ask: Ask) -> tuple[str, ...]:
    """Whom it asks beyond its family; none where it has no owner who could owe anything."""
    wish = section(ask.sections, Borrowing) or NOTHING
    return wish.sponsors if wish.allow_borrow and ask.owner is not None else ()


def loans(funding: Funding, asked: Asked) -> Iterator[Offer]:
    """Each sponsor's envelopes of the flavor, by budget and name.

    A sponsor that is family shares as such: it is asked by budgets, and not again here.
    """
    ask = asked.ask
    most = (section(ask.sections, Borrowing) or NOTHING).max_borrow_gpus
    limit = () if most is None else (Cap(LIMIT, most, askers=True),)
    for place, sponsor in enumerate(sponsored(ask)):
        if funding.family.tier(ask.owner, sponsor) is not Tier.STRANGER:
            continue
        for purse in funding.envelopes_of(sponsor):
            if purse.spec is not None and purse.spec.flavor == ask.flavor:
                yield available(purse, Tier.STRANGER, asked, order=place, limits=limit)


def lending(budget: Budget, now: datetime) -> Condition:
    """That loans of it are made. Without this plugin budgets says of the same condition that they are not."""
    quota = section(budget.spec.sections, Quota)
    lends = quota is not None and any(envelope.lending is not None for envelope in quota.envelopes)
    reason = "Read" if lends else "NothingLent"
    message = "the borrowing plugin makes loans of it" if lends else "no envelope lends"
    return Condition(type=LENDING, status="False", reason=reason, message=message, last_transition_time=now)


def told(run: Run, view: View) -> Sequence[str]:
    """What of its wish to borrow comes to nothing, whatever is lent."""
    wish = section(run.spec.sections, Borrowing)
    if wish is None or not (wish.sponsors or wish.allow_borrow):
        return ()
    if not wish.allow_borrow:
        return ["it names sponsors, and asks none of them: set spec.funding.allowBorrow"]
    if not wish.sponsors:
        return ["it may borrow, and names no sponsor: `runs sponsors add` names one"]
    owner = _owner(run, view)
    if owner is None:
        return ["nobody lends to a run without an owner"]
    flavor = run.spec.resources.flavor or (view.flavors()[0] if len(view.flavors()) == 1 else "")
    known = {budget.spec.owner for budget in view.budgets()}
    funding = view.index(Funding)
    lines = (_about(sponsor, owner, flavor, funding, known=sponsor in known) for sponsor in wish.sponsors)
    return [line for line in lines if line]


def _owner(run: Run, view: View) -> str | None:
    if run.spec.owner is not None:
        return run.spec.owner
    owners = view.owners(run.key.namespace)
    return owners[0] if len(owners) == 1 else None


def _about(sponsor: str, owner: str, flavor: str, funding: Funding, *, known: bool) -> str:
    if not known:
        return f"sponsor {sponsor}: no Budget is of that owner"
    if funding.family.tier(owner, sponsor) is not Tier.STRANGER:
        return f"sponsor {sponsor}: is family of {owner}, so it shares and does not lend"
    purses = (purse.spec for purse in funding.envelopes_of(sponsor))
    if not any(spec is not None and spec.flavor == flavor for spec in purses):
        return f"sponsor {sponsor}: has no envelope of {flavor or 'any flavor'}"
    return ""

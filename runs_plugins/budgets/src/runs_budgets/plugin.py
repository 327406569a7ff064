"""The hooks: each calls a function that can be tested without a scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from runs_budgets import accounts, offers, victims
from runs_budgets.funding import Funding
from runs_budgets.sections import NOT_ITSELF, Metered, Quota, Terms
from runs_budgets.settings import BudgetSettings
from runs_core import (
    Account,
    Ask,
    Budget,
    Class,
    Index,
    Lease,
    Offers,
    Proposal,
    Run,
    Section,
    Split,
    Stage,
    Unit,
    View,
    hookimpl,
)

RUNS_HOOK_API = (1, 1)


@hookimpl
def runs_settings() -> type:
    return BudgetSettings


@hookimpl
def runs_sections() -> Sequence[Section]:
    return (
        Section(plugin="budgets", kind="Budget", name="", cls=Quota, rules=(NOT_ITSELF,)),
        Section(plugin="budgets", kind="Budget", name="", cls=Metered, part="status"),
        Section(plugin="budgets", kind="Run", name="funding", cls=Terms),
    )


@hookimpl
def runs_index(view: View) -> Index:
    return Funding(lambda run: demand.least if (demand := view.demand(run)) is not None else None, view.lies_in)


@hookimpl
def runs_cover(ask: Ask, view: View, now: datetime) -> Offers:
    return offers.cover(view.index(Funding), offers.Asked(ask=ask, now=now))


@hookimpl
def runs_classify(lease: Lease, view: View) -> Class | None:
    return view.index(Funding).classify(lease)


@hookimpl
def runs_meter(lease: Lease, view: View, now: datetime) -> Split | None:
    return view.index(Funding).meter(lease, now)


@hookimpl
def runs_account(budget: Budget, view: View, now: datetime, settings: BudgetSettings) -> Account:
    flavors = view.flavors()
    return accounts.account(view.index(Funding), budget, now, expires_soon=settings.expires_soon, flavors=flavors)


@hookimpl
def runs_stages() -> Sequence[Stage]:
    return (victims.UNFUNDED_WORK,)


@hookimpl
def runs_victims(stage: str, flavor: str, view: View) -> Sequence[Unit] | None:
    return victims.unfunded_work(view.index(Funding), view, flavor) if stage == victims.UNFUNDED_WORK.name else None


@hookimpl
def runs_remedies(run: Run) -> Sequence[Proposal]:
    return offers.proposals(run)


@hookimpl
def runs_explained(run: Run, view: View) -> Sequence[str]:
    return tuple(accounts.lines(victims.paying(view.index(Funding), view, run)))

"""The hooks: each calls a function that can be tested without a scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from runs_budgets.funding import Funding
from runs_budgets.offers import Asked, family_offers, unfunded_allowed
from runs_budgets.sections import Account, Quota, Terms
from runs_budgets.settings import BudgetSettings
from runs_budgets.status import accounted
from runs_core import Account as Accounted
from runs_core import Ask, Budget, Class, Closed, Lease, Offers, Section, Split, Stage, Unit, View, hookimpl

RUNS_HOOK_API = (1, 1)
UNFUNDED = "unfunded"


@hookimpl
def runs_settings() -> type:
    return BudgetSettings


@hookimpl
def runs_sections() -> Sequence[Section]:
    return [
        Section(plugin="budgets", kind="Budget", name="", cls=Quota),
        Section(plugin="budgets", kind="Budget", name="", cls=Account, part="status"),
        Section(plugin="budgets", kind="Run", name="funding", cls=Terms),
    ]


@hookimpl
def runs_index() -> Funding:
    return Funding()


@hookimpl
def runs_cover(ask: Ask, view: View, now: datetime, settings: BudgetSettings) -> Offers:
    asked = Asked(ask=ask, now=now, min_runtime=int(settings.min_runtime.total_seconds()))
    return Offers(offers=tuple(family_offers(view.index(Funding), asked)), unfunded=unfunded_allowed(ask))


@hookimpl
def runs_classify(lease: Lease, view: View) -> Class | None:
    return view.index(Funding).classify(lease)


@hookimpl
def runs_meter(lease: Lease, view: View, now: datetime) -> Split | None:
    return view.index(Funding).meter(lease, now)


@hookimpl
def runs_account(budget: Budget, view: View, now: datetime, settings: BudgetSettings) -> Accounted:
    flavors = frozenset(view.flavors())
    return accounted(view.index(Funding), budget, now, flavors=flavors, soon=settings.expires_soon)


@hookimpl
def runs_stages() -> Sequence[Stage]:
    return [Stage(name=UNFUNDED, order=1, closure=Closed.UNFUNDED_RECLAIMED)]


@hookimpl
def runs_victims(stage: str, flavor: str, view: View) -> Sequence[Unit] | None:
    return view.index(Funding).unfunded_of(flavor) if stage == UNFUNDED else None


@hookimpl
def runs_moments(view: View) -> Sequence[datetime]:
    return view.index(Funding).moments()

"""What stands in a Budget's status: who its owner spends for, and what the plugins that account for it say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.batch import Batch
from runs_core.values.budget import Budget, BudgetStatus
from runs_core.values.effect import Effect, SetBudgetStatus
from runs_core.values.funding import Account
from runs_core.values.run import Condition
from runs_core.world.world import World

LONGEST = timedelta(minutes=1)
"""A Budget that pays is accounted for at least so often: more than that no restart can lose of its meter."""


UNREAD = timedelta(hours=1)
"""Where no process can go on from what this one wrote, so often is enough to let go of what was accounted for."""


class Accounts:
    """When each Budget's status was written last, and is to be written next, where an account is kept of it.

    outlives: another process may go on from what is written.
    """

    def __init__(self, *, outlives: bool = True) -> None:
        self._longest = LONGEST if outlives else UNREAD
        self._shortest = timedelta() if outlives else UNREAD
        self._written: dict[str, datetime] = {}
        self._due: dict[str, datetime] = {}
        self._soonest: datetime | None = None

    def next_moment(self) -> datetime | None:
        """When time alone asks for an account."""
        return self._soonest

    def effects(self, world: World, batch: Batch, advice: Advice) -> list[Effect]:
        """The status of every budget that was touched, or whose time has come, where it has to change."""
        is_due = self._soonest is not None and self._soonest <= world.now
        due = {name for name, when in self._due.items() if when <= world.now} if is_due else set()
        names, world.touched_budgets = sorted(world.touched_budgets | due), set()
        found: list[Effect] = []
        every = max(min(world.settings.accounts.every, LONGEST), self._shortest)
        for name in names:
            budget, last = world.budget(name), self._written.get(name)
            if budget is None:
                self._written.pop(name, None)
                self._due.pop(name, None)
            elif last is not None and world.now < (soonest := last + every):  # written a moment ago: when that is over
                self._due[name] = min(soonest, self._due.get(name, soonest))
            else:
                account = advice.account(budget, world, world.now)
                stands = _stands(world, budget, account)
                if stands != budget:
                    found.append(SetBudgetStatus(stands))
                self._note(world, name, accounted=account is not None)
        self._soonest = min(self._due.values(), default=None)
        if found:
            batch.add(found)
        world.touched_budgets.clear()  # what is written here is no news: test_its_own_writing_is_no_news_of_a_budget
        return found

    def _note(self, world: World, name: str, *, accounted: bool) -> None:
        self._due.pop(name, None)
        if not accounted:
            return
        self._written[name] = world.now
        if world.pays(name):
            self._due[name] = world.now + self._longest


def _stands(world: World, budget: Budget, account: Account | None) -> Budget:
    conditions, sections = (account.conditions, account.sections) if account is not None else ((), {})
    if not any(one.type == "Ready" for one in conditions):
        conditions = (*conditions, _unread(world, budget))
    status = BudgetStatus(conditions=_since(budget.status.conditions, conditions), sections=sections)
    return attrs.evolve(budget, status=status)


def _unread(world: World, budget: Budget) -> Condition:
    """Nobody reads the rest of it without the plugin."""
    namespaces = [n.name for n in world.namespaces() if budget.spec.owner in world.owners(n.name)]
    message = (
        f"{len(namespaces)} namespaces spend for {budget.spec.owner}; without the budgets plugin nothing is limited"
    )
    return Condition(
        type="Ready", status="False", reason="PluginMissing", message=message, last_transition_time=world.now
    )


def _since(before: Sequence[Condition], now: Sequence[Condition]) -> tuple[Condition, ...]:
    """By type. A condition keeps the time of its last change as long as its status is the same."""
    known = {condition.type: condition for condition in before}
    found = []
    for one in sorted(now, key=lambda condition: condition.type):
        old = known.get(one.type)
        if old is not None and old.status == one.status:
            same = (old.reason, old.message) == (one.reason, one.message)
            one = old if same else attrs.evolve(one, last_transition_time=old.last_transition_time)  # noqa: PLW2901
        found.append(one)
    return tuple(found)

"""What core has to say of a Budget: who its owner is, and that nobody reads the rest of it without the plugin."""

from __future__ import annotations

import attrs

from runs_core.decide.batch import Batch
from runs_core.values.budget import Budget, BudgetStatus
from runs_core.values.effect import Effect, SetBudgetStatus
from runs_core.values.run import Condition
from runs_core.world.world import World


def budget_effects(world: World, batch: Batch) -> list[Effect]:
    """The status of every budget that was touched, where it has to change."""
    names, world.touched_budgets = sorted(world.touched_budgets), set()
    found: list[Effect] = []
    for name in names:
        budget = world.budget(name)
        if budget is None:
            continue
        stands = _stands(world, budget)
        if stands != budget:
            found.append(SetBudgetStatus(stands))
    batch.add(found)
    return found


def _stands(world: World, budget: Budget) -> Budget:
    namespaces = [n.name for n in world.namespaces() if budget.spec.owner in world.owners(n.name)]
    message = (
        f"{len(namespaces)} namespaces spend for {budget.spec.owner}; without the budgets plugin nothing is limited"
    )
    old = next((condition for condition in budget.status.conditions if condition.type == "Ready"), None)
    since = old.last_transition_time if old is not None and old.status == "False" else world.now
    ready = Condition(type="Ready", status="False", reason="PluginMissing", message=message, last_transition_time=since)
    status = BudgetStatus(conditions=(ready,))
    return attrs.evolve(budget, status=status)

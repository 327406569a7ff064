"""How often the status of a Budget is written."""

from __future__ import annotations

from datetime import timedelta

from runs_budgets import plugin
from runs_budgets.sections import Envelope, Metered, Quota
from runs_core import section
from runs_core.hooks.ask import PluginAdvice
from runs_core.testing.builders import a_budget, a_node, a_run
from runs_core.testing.harness import Harness

MINUTE = timedelta(minutes=1)
QUOTA = Quota(envelopes=(Envelope(name="main", flavor="h100", gpus=8),))


def a_stage() -> Harness:
    """One run that is paid for, and holds its GPUs."""
    budget = a_budget("vision", sections=(QUOTA,))
    stage = Harness(a_node("n1", gpus=8), budget, a_run("a", gpus=4, owner="vision"), plugins={"budgets": plugin})
    stage.advance(minutes=2)
    return stage


def asked(stage: Harness) -> int:
    """Questions for an account, so far."""
    advice = stage.loop.advice
    assert isinstance(advice, PluginAdvice)
    return sum(tally.asked for tally in advice.tallies if tally.hook == "runs_account")


def behind(stage: Harness) -> timedelta:
    """How long ago its status was metered."""
    budget = stage.world.budget("vision")
    account = section(budget.status.sections, Metered) if budget is not None else None
    assert account is not None
    assert account.metered_until is not None
    return stage.world.now - account.metered_until


def test_its_own_writing_is_no_news_of_a_budget() -> None:
    """Only its meter moves: once a minute, not every `accounts.every`, however often the loop turns."""
    stage = a_stage()
    before = asked(stage)
    for _ in range(100):
        stage.advance(seconds=6)
    assert asked(stage) - before == 10


def test_a_budget_that_pays_is_metered_every_minute() -> None:
    stage = a_stage()
    late = []
    for _ in range(30):
        stage.advance(seconds=7)
        late.append(behind(stage))
    assert max(late) < MINUTE
    assert min(late) < timedelta(seconds=7)


def test_what_it_pays_for_is_written_within_ten_seconds() -> None:
    stage = a_stage()
    stage.submit(a_run("b", gpus=2, owner="vision"))
    stage.settle()
    stage.submit(a_run("c", gpus=2, owner="vision"))
    stage.settle()
    stage.advance(seconds=10)
    budget = stage.world.budget("vision")
    account = section(budget.status.sections, Metered) if budget is not None else None
    assert account is not None
    assert account.envelopes[0].gpus.owned == 8

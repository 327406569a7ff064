"""These scenarios can fail: with one rule broken, the scenario about it does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.scenarios.funding import test_absurd as absurd
from tests.scenarios.funding import test_family as family
from tests.scenarios.funding import test_places as places
from tests.scenarios.funding import test_repaid as repaid
from tests.scenarios.funding import test_taking_back as taking_back
from tests.scenarios.funding import test_width as width
from tests.scenarios.funding import test_windows as windows
from tests.scenarios.funds import FundedPlay
from tests.scenarios.memory import MemoryStage

from runs_budgets import plugin as budgets
from runs_core.settings import Settings

Scenario = Callable[[FundedPlay], None]


@pytest.mark.parametrize(
    ("rule", "broken", "scenario"),
    [
        (
            "runs_budgets.claims._BANDS",
            (0, 0, 0, 0, 0),
            family.test_an_owner_recalls_its_quota_by_claiming_it_and_gives_it_back_at_the_end,
        ),
        ("runs_budgets.claims._BANDS", (0, 1, 1, 1, 0), family.test_the_nearer_keeps_before_who_holds_longer),
        ("runs_budgets.offers._caps", lambda *_: iter(()), width.test_an_aggregate_cap_bounds_envelopes_together),
        ("runs_budgets.offers._bounds", lambda *_: iter(()), windows.test_hours_that_would_not_last_cover_nothing),
        (
            "runs_core.world.line.Line.unhear",
            lambda _: None,
            repaid.test_one_lease_gets_two_payers,
        ),
        (
            "runs_core.world.about_runs.min_runtime_of runs_core.decide.victims.min_runtime_of",
            lambda *_: timedelta(),
            taking_back.test_nobody_is_cut_inside_its_min_runtime,
        ),
        (
            "runs_core.decide.draw.Taking.give_back",
            lambda _: None,
            taking_back.test_what_proves_unnecessary_is_given_back,
        ),
        ("runs_core.decide.answer.filters", lambda *_: (), places.test_a_gang_waits_for_its_payers_places),
        (
            "runs_core.world.ends.Ends.may_be_sent_away",
            lambda *_: False,
            absurd.test_who_may_be_cut_at_any_time_keeps_nobody_waiting_for_longer_than_who_may_not,
        ),
    ],
    ids=["yields", "tier", "caps", "hours", "offered", "protected", "gives-back", "places", "sent-away"],
)
def test_a_rule_that_is_broken_is_found_out(
    rule: str, broken: object, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario(FundedPlay(MemoryStage(Settings(), {"budgets": budgets})))
    for name in rule.split():
        monkeypatch.setattr(name, broken)
    with pytest.raises(AssertionError):
        scenario(FundedPlay(MemoryStage(Settings(), {"budgets": budgets})))

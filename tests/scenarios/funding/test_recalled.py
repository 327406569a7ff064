"""Who recalls its quota from its family is told when: once those who have it are past their least runtime.

One node a1 of 8 GPUs. `org` has 8, and `vision`, whose parent it is, none: what vision runs is shared on org's quota.
x says 4 hours, and is left alone for 10 minutes.
"""

from __future__ import annotations

import pytest
from tests.scenarios.funds import FundedPlay, Taking, envelope

from runs_budgets import plugin as budgets
from runs_core.settings import PatienceSettings, Settings

pytestmark = pytest.mark.plugins(budgets=budgets)
SAYS = {"minRuntime": "10m", "expectedDuration": "4h"}


def a_family(play: FundedPlay) -> None:
    play.fleet(a1=8)
    play.quota("org", envelope(8))
    play.quota("vision", parents=["org"])


@pytest.mark.live
def test_an_owner_is_told_when_its_family_may_be_sent_away(play: FundedPlay) -> None:
    """x (8) has all from 0. org's y (8) comes at 100: x is cut at 600, when it may be, and has gone at 601."""
    a_family(play)
    play.submit("x", gpus=8, owner="vision", runtime=SAYS)
    play.until(100)
    play.submit("y", gpus=8, owner="org")
    play.until(590)
    assert (play.classes("x"), play.promised("y")) == ({"shared": 8}, ("Pending", 600, "Ends"))
    assert play.reservation("y")["blockedBy"] == ["research/x"]
    play.until(610)
    assert play.takings() == [Taking("y", ["x"], 8, "Released", "Started")]
    assert (play.at("y", "startedAt"), play.promises("y")) == (601, [(600, "", 1)])


@pytest.mark.settings(Settings(patience=PatienceSettings(default="Never")))
def test_that_is_told_where_nothing_else_is_known_of_any_end(play: FundedPlay) -> None:
    """The same, where x says nothing and no lots are drawn: its least runtime is all that is known of it."""
    a_family(play)
    play.submit("x", gpus=8, owner="vision", runtime={"minRuntime": "10m"})
    play.until(100)
    play.submit("y", gpus=8, owner="org")
    play.wait()
    assert play.promised("y") == ("Pending", 600, "Ends")


def test_who_may_be_sent_away_already_goes_with_the_last_who_may_not(play: FundedPlay) -> None:
    """v (4) may be since 60, and x (4) from 600 on. y (8) wants both: nobody is cut before that is of use."""
    a_family(play)
    play.submit("v", gpus=4, owner="vision", runtime={**SAYS, "minRuntime": "60s"})
    play.submit("x", gpus=4, owner="vision", runtime=SAYS)
    play.until(100)
    play.submit("y", gpus=8, owner="org")
    play.until(590)
    assert (play.promised("y"), play.takings()) == (("Pending", 600, "Ends"), [])
    play.until(610)
    assert (play.at("y", "startedAt"), play.takings()) == (601, [Taking("y", ["v", "x"], 8, "Released", "Started")])


def test_who_is_recalled_no_more_stays_to_its_end_and_that_is_said(play: FundedPlay) -> None:
    """u (4) is org's own, x (4) shared; y (4) is told 600. From 200 on org has 12, and y displaces nobody."""
    a_family(play)
    play.submit("u", gpus=4, owner="org")
    play.submit("x", gpus=4, owner="vision", runtime=SAYS)
    play.until(100)
    play.submit("y", gpus=4, owner="org")
    play.until(200)
    assert play.promised("y") == ("Pending", 600, "Ends")
    play.quota("org", envelope(12))
    play.until(700)
    why = "research/x is expected to run until 2026-01-05T16:00:00Z"
    assert play.promises("y") == [(600, "", None), (14400, why, None)]
    assert (play.classes("x"), play.phase("y")) == ({"shared": 4}, "Reserved")

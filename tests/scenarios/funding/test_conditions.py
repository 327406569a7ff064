"""What a Budget says of itself: flavors that the fleet has not, lending that is not read, claims that are not paid for.

A Budget's status may be 10 s late.
"""

from __future__ import annotations

import pytest
from tests.scenarios.funds import FLAVOR, FundedPlay, envelope
from tests.scenarios.stretch import STRETCH

from runs_borrowing import plugin as borrowing
from runs_budgets import plugin as budgets

pytestmark = pytest.mark.plugins(budgets=budgets)
MISSING, UNREAD, OVER, SOON = "FlavorMissing", "LendingUnread", "Overcommitted", "ExpiresSoon"


@pytest.mark.live
def test_a_flavor_that_no_node_has_is_told_until_a_node_has_it(play: FundedPlay) -> None:
    """The fleet has `default` alone: `rare` of vision/more is told by name. At 20 a node with it comes."""
    play.fleet(a1=8)
    play.quota("vision", envelope(8), envelope(4, "more", flavor="rare"), envelope(4, "most", flavor="rare"))
    play.quota("audio", envelope(8))
    play.wait(20)
    assert play.condition("vision", MISSING) == ("True", "NoSuchNode")
    assert play.told("vision", MISSING) == "no node has the flavor rare of more, most: the fleet has default"
    assert play.condition("audio", MISSING) == ("False", "NodesFound")
    play.node("b1", flavor="rare")
    play.wait(20)
    assert play.condition("vision", MISSING) == ("False", "NodesFound")


def test_it_is_told_again_once_the_last_such_node_is_gone(play: FundedPlay) -> None:
    play.fleet(a1=8)
    play.node("b1", flavor="rare")
    play.node("b2", flavor="rare")
    play.quota("vision", envelope(4, "more", flavor="rare"))
    play.wait(20)
    assert play.condition("vision", MISSING) == ("False", "NodesFound")
    play.lose("b1")
    play.wait(20)
    assert play.condition("vision", MISSING) == ("False", "NodesFound")
    play.lose("b2")
    play.wait(20)
    assert play.condition("vision", MISSING) == ("True", "NoSuchNode")


def test_a_fleet_without_nodes_is_not_judged(play: FundedPlay) -> None:
    """Its nodes may not have joined yet."""
    play.quota("vision", envelope(8))
    play.wait(20)
    assert play.condition("vision", MISSING) == ("False", "NoNodes")
    play.node("b1", flavor="rare")
    play.wait(20)
    assert play.condition("vision", MISSING) == ("True", "NoSuchNode")
    assert play.told("vision", MISSING) == f"no node has the flavor {FLAVOR} of main: the fleet has rare"


def test_a_flavor_that_the_fleet_has_not_leaves_the_others_alone(play: FundedPlay) -> None:
    """x (8) is paid for by vision/main, whatever vision/more is about."""
    play.fleet(a1=8)
    play.quota("vision", envelope(8), envelope(4, "more", flavor="rare"))
    play.submit("x", gpus=8, owner="vision")
    play.wait(20)
    assert play.payers("x") == {"vision/main": 8}


def test_lending_that_nobody_makes_loans_of_is_told(play: FundedPlay) -> None:
    play.fleet(a1=8)
    play.quota("bank", envelope(8, lending={"to": ["*"]}), envelope(4, "own"))
    play.quota("audio", envelope(8))
    play.wait(20)
    assert play.condition("bank", UNREAD) == ("True", "BorrowingMissing")
    assert play.told("bank", UNREAD).startswith("main would lend, and the borrowing plugin is not on")
    assert play.condition("audio", UNREAD) == ("False", "NothingLent")
    play.quota("bank", envelope(8))
    play.wait(20)
    assert play.condition("bank", UNREAD) == ("False", "NothingLent")


@pytest.mark.plugins(budgets=budgets, borrowing=borrowing)
def test_lending_is_read_where_borrowing_is_on(play: FundedPlay) -> None:
    play.fleet(a1=8)
    play.quota("bank", envelope(8, lending={"to": ["*"]}))
    play.quota("audio", envelope(8))
    play.wait(20)
    assert (play.condition("bank", UNREAD), play.ready("bank")) == (("False", "Read"), ("True", "Accounted"))
    assert play.condition("audio", UNREAD) == ("False", "NothingLent")


def test_claims_that_it_cannot_pay_for_are_told_until_it_can(play: FundedPlay) -> None:
    """x and y (4 each) on 8. At 10 it has 6: one of 4 fits, and 4 are unfunded. At 40 it has 8 again."""
    play.fleet(a1=8)
    play.quota("vision", envelope(8))
    play.submit("x", gpus=4, owner="vision")
    play.submit("y", gpus=4, owner="vision")
    play.until(10)
    play.quota("vision", envelope(6))
    play.until(40)
    assert play.condition("vision", OVER) == ("True", "UnfundedClaims")
    assert play.told("vision", OVER) == "4 GPUs that claim main are unfunded: they run until their GPUs are needed"
    play.quota("vision", envelope(8))
    play.until(70)
    assert play.condition("vision", OVER) == ("False", "AllPaid")


@pytest.mark.plugins(budgets=budgets, stretch=STRETCH)
def test_a_claim_that_is_partly_paid_for_is_told(play: FundedPlay) -> None:
    """x has four groups of 4 on 16. At 10 there are 10: two groups are paid for, and 8 GPUs are not."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(16))
    wide = {"minGPUs": 4, "maxGPUs": 16, "stepGPUs": 4}
    play.submit("x", gpus=4, group=4, malleable=wide, owner="vision")
    play.until(10)
    play.quota("vision", envelope(10))
    play.until(40)
    assert play.classes("x") == {"owned": 8, "unfunded": 8}
    assert play.condition("vision", OVER) == ("True", "UnfundedClaims")
    assert play.told("vision", OVER).startswith("8 GPUs that claim main are unfunded")


def test_claims_on_an_envelope_that_is_gone_are_told(play: FundedPlay) -> None:
    """x (4) began on main, which is called more from 10 on. It ends at 50."""
    play.fleet(a1=8)
    play.quota("vision", envelope(8))
    play.submit("x", gpus=4, owner="vision", lasts="48s")
    play.until(10)
    play.quota("vision", envelope(8, "more"))
    play.until(40)
    assert (play.classes("x"), play.payers("x")) == ({"unfunded": 4}, {"vision/main": 4})
    assert play.condition("vision", OVER) == ("True", "UnfundedClaims")
    assert play.told("vision", OVER).startswith("4 GPUs that claim main are unfunded")
    play.until(70)
    assert play.condition("vision", OVER) == ("False", "AllPaid")


@pytest.mark.plugins(budgets=budgets, borrowing=borrowing)
def test_what_ends_soon_is_told_by_its_name(play: FundedPlay) -> None:
    """bank lends 4 GPU-hours of 1000 to guest's x (8), from 0: they last 1800 s, the others 450,000 s, 125 h.

    From 30 on its window closes an hour after the beginning.
    """
    play.fleet(a1=8)
    lending = {"to": ["guest"], "maxGPUHours": 4}
    play.quota("bank", envelope(8, gpuHours=1000, lending=lending), namespaces=["bank"])
    play.quota("guest")
    play.submit("x", gpus=8, owner="guest", funding={"allowBorrow": True, "sponsors": ["bank"]})
    play.until(30)
    assert play.condition("bank", SOON) == ("True", "EnvelopeEnds")
    assert play.told("bank", SOON) == f"main uses up its hours to lend at {play.text(1800)}"
    closes = play.window(closes=3600)
    play.quota("bank", envelope(8, gpuHours=4, window=closes, lending=lending), namespaces=["bank"])
    play.until(60)
    assert play.told("bank", SOON) == (
        f"main uses up its hours at {play.text(1800)}; main uses up its hours to lend at {play.text(1800)}; "
        f"main closes at {play.text(3600)}"
    )
    play.quota("bank", envelope(8), namespaces=["bank"])
    play.until(90)
    assert play.condition("bank", SOON) == ("False", "Lasts")

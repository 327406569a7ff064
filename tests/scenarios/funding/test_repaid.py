"""Work that runs without a payer gets one as soon as somebody would pay: same places, same pods, in line.

And work that would rather wait for quota than run without.
"""

from __future__ import annotations

import pytest
from tests.scenarios.funds import FundedPlay, envelope

from runs_budgets import plugin as budgets

pytestmark = pytest.mark.plugins(budgets=budgets)
PATIENT = {"allowUnfunded": False}


@pytest.mark.live
def test_unfunded_work_gets_a_payer_and_keeps_its_places_and_pods(play: FundedPlay) -> None:
    """y has the 4 of quota until 60. x, unfunded since 10, is paid for from then on, and ends at 130.

    Metered 4 x 50 = 200 unfunded, 4 x 70 = 280 owned, in two leases of one attempt.
    """
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    play.submit("y", gpus=4, owner="vision", lasts="58s")
    play.wait(10)
    play.submit("x", gpus=4, owner="vision", lasts="118s")
    play.wait(10)
    places, pods = play.places("x"), play.pods("x")
    assert (play.classes("x"), play.payers("x")) == ({"unfunded": 4}, {})
    play.until(70)
    assert (play.classes("x"), play.payers("x")) == ({"owned": 4}, {"vision/main": 4})
    assert (play.places("x"), play.pods("x"), play.status("x")["attempt"]) == (places, pods, 1)
    play.until(140)
    assert play.ledger("x") == [("Start", 10, "Repaid", 60), ("Repaid", 60, "Succeeded", 130)]
    assert play.metered("x") == [{"unfunded": 200}, {"owned": 280}]


def test_quota_that_returns_goes_to_who_was_admitted_first(play: FundedPlay) -> None:
    """Names run against time. y has the quota to 60, then c (since 10) to 120, b (20) to 180, and a (30)."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(4))
    for name, lasts in (("y", "58s"), ("c", "108s"), ("b", "158s"), ("a", "1h")):
        play.submit(name, gpus=4, owner="vision", lasts=lasts)
        play.wait(10)
    play.until(200)
    repaid = {name: held.start for name in "abc" for held in play.ledger(name) if held.opened == "Repaid"}
    assert repaid == {"c": 60, "b": 120, "a": 180}


def test_a_run_in_line_comes_after_one_that_runs_unfunded_and_was_admitted_before_it(play: FundedPlay) -> None:
    """8 GPUs, quota 4. y has it to 60, x runs unfunded since 10, w waits since 20. At 60 x is paid for, w starts."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    for name, lasts in (("y", "58s"), ("x", "1h"), ("w", "1h")):
        play.submit(name, gpus=4, owner="vision", lasts=lasts)
        play.wait(10)
    play.until(70)
    assert (play.classes("x"), play.classes("w")) == ({"owned": 4}, {"unfunded": 4})
    assert play.at("w", "startedAt") == 60


def test_a_run_in_line_comes_before_one_that_runs_unfunded_and_was_admitted_after_it(play: FundedPlay) -> None:
    """12 GPUs, quota 8. y (8) has it to 60; w (8) waits since 10; x (4) runs unfunded since 20. At 60 w takes all 8."""
    play.fleet(a1=8, b1=4)
    play.quota("vision", envelope(8))
    for name, gpus, lasts in (("y", 8, "58s"), ("w", 8, "1h"), ("x", 4, "1h")):
        play.submit(name, gpus=gpus, owner="vision", lasts=lasts)
        play.wait(10)
    assert (play.phase("w"), play.classes("x")) == ("Queued", {"unfunded": 4})
    play.until(70)
    assert (play.at("w", "startedAt"), play.classes("w"), play.classes("x")) == (60, {"owned": 8}, {"unfunded": 4})


def test_one_too_wide_for_the_quota_lets_the_next_have_it(play: FundedPlay) -> None:
    """y (4) has it to 60. x (6, since 10) can never be covered by 4; z (4, since 20) is."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(4))
    for name, gpus, lasts in (("y", 4, "58s"), ("x", 6, "1h"), ("z", 4, "1h")):
        play.submit(name, gpus=gpus, owner="vision", lasts=lasts)
        play.wait(10)
    play.until(70)
    assert (play.classes("x"), play.classes("z")) == ({"unfunded": 6}, {"owned": 4})


def test_one_lease_gets_two_payers(play: FundedPlay) -> None:
    """x (4) runs in one lease without a payer; from 10 on envelopes of 2 and 2 pay for its halves, places as before."""
    play.fleet(a1=8)
    play.quota("vision")
    play.submit("x", gpus=4, owner="vision")
    play.wait(10)
    places = play.places("x")
    play.quota("vision", envelope(2, "a"), envelope(2, "b"))
    play.wait(5)
    assert play.payers("x") == {"vision/a": 2, "vision/b": 2}
    assert play.places("x") == places
    assert [(held.opened, held.closed) for held in play.ledger("x")] == [
        ("Start", "Repaid"),
        ("Repaid", None),
        ("Repaid", None),
    ]


def test_the_family_pays_for_unfunded_work_too(play: FundedPlay) -> None:
    """vision's x is unfunded until org, its parent, has quota at 10."""
    play.fleet(a1=8)
    play.quota("org")
    play.quota("vision", parents=["org"])
    play.submit("x", gpus=4, owner="vision")
    play.wait(10)
    play.quota("org", envelope(8))
    play.wait(5)
    assert (play.classes("x"), play.payers("x")) == ({"shared": 4}, {"org/main": 4})


def test_a_run_that_would_be_held_is_not_paid_for(play: FundedPlay) -> None:
    """x named nobody while vision was the only owner. From 20 to 80 there are two, and it does not say which.

    The quota that y leaves at 60 is not x's until it names vision.
    """
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    play.submit("y", gpus=4, owner="vision", lasts="58s")
    play.wait(10)
    play.submit("x", gpus=4)
    play.wait(10)
    play.quota("audio")
    play.until(80)
    assert (play.phase("x"), play.classes("x")) == ("Running", {"unfunded": 4})
    play.edit("x", owner="vision")
    play.wait(5)
    assert [(held.opened, held.start) for held in play.ledger("x")] == [("Start", 10), ("Repaid", 80)]


def test_a_run_that_allows_nothing_else_waits_for_quota_beside_idle_gpus(play: FundedPlay) -> None:
    """8 GPUs, quota 4: y has it to 60, and x starts then."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    play.submit("y", gpus=4, owner="vision", lasts="58s")
    play.wait(5)
    play.submit("x", gpus=4, owner="vision", funding=PATIENT)
    play.wait(5)
    assert (play.phase("x"), play.reason("x")) == ("Queued", "OutOfQuota")
    play.until(70)
    assert (play.at("x", "startedAt"), play.classes("x")) == (60, {"owned": 4})


def test_a_run_may_change_its_mind_about_running_unfunded(play: FundedPlay) -> None:
    """There is no quota at all. x waits for some; at 10 it asks for that no longer."""
    play.fleet(a1=8)
    play.quota("vision")
    play.submit("x", gpus=4, owner="vision", funding=PATIENT)
    play.wait(10)
    assert play.phase("x") == "Queued"
    play.edit("x", funding={"allowUnfunded": True})
    play.wait(5)
    assert (play.at("x", "startedAt"), play.classes("x")) == (10, {"unfunded": 4})


def test_a_run_that_waits_for_quota_is_not_stopped_when_it_loses_it(play: FundedPlay) -> None:
    """x (vision) starts on org's quota, and org takes it for y at 10: x runs on, unfunded."""
    play.fleet(a1=8)
    play.quota("org", envelope(4))
    play.quota("vision", parents=["org"])
    play.submit("x", gpus=4, owner="vision", funding=PATIENT)
    play.wait(10)
    play.submit("y", gpus=4, owner="org")
    play.wait(5)
    assert (play.phase("x"), play.classes("x")) == ("Running", {"unfunded": 4})


def test_a_suspended_run_leaves_its_quota_to_others(play: FundedPlay) -> None:
    """y is suspended at 10 and its pods are gone at 11: x, unfunded since 5, has the 4. Resumed at 20, y has none."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    for name in "yx":
        play.submit(name, gpus=4, owner="vision")
        play.wait(5)
    play.suspend("y")
    play.wait(10)
    assert [(held.opened, held.start) for held in play.ledger("x")] == [("Start", 5), ("Repaid", 11)]
    play.resume("y")
    play.wait(5)
    assert (play.classes("x"), play.classes("y"), play.at("y", "admittedAt")) == ({"owned": 4}, {"unfunded": 4}, 20)


def test_a_run_that_was_submitted_suspended_claims_nothing(play: FundedPlay) -> None:
    """x would have been first; y (4), after it, gets all of the quota."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    play.submit("x", gpus=4, owner="vision", suspend=True)
    play.submit("y", gpus=4, owner="vision")
    play.wait(5)
    assert (play.phase("x"), play.classes("y")) == ("Held", {"owned": 4})


def test_a_run_that_waits_for_another_has_no_place_in_line_for_its_quota(play: FundedPlay) -> None:
    """x comes after y, which has the quota until 60. z runs unfunded since 10, and so before x, admitted at 60."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    play.submit("y", gpus=4, owner="vision", lasts="58s")
    play.submit("x", gpus=4, owner="vision", after=["y"])
    play.wait(10)
    play.submit("z", gpus=4, owner="vision")
    play.until(70)
    assert play.at("x", "admittedAt") == 60
    assert (play.classes("z"), play.classes("x")) == ({"owned": 4}, {"unfunded": 4})


def test_a_run_that_waits_for_another_gets_the_quota_that_it_leaves(play: FundedPlay) -> None:
    """Nobody else wants it: x, after y, starts at 60 and is owned."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    play.submit("y", gpus=4, owner="vision", lasts="58s")
    play.submit("x", gpus=4, owner="vision", after=["y"], funding=PATIENT)
    play.until(70)
    assert (play.at("x", "startedAt"), play.classes("x")) == (60, {"owned": 4})


def test_who_runs_on_a_node_that_has_shrunk_gets_its_payer_where_it_is(play: FundedPlay) -> None:
    """x (8 on a1) runs unfunded; a1 has 4 GPUs from 10 on. The quota that comes at 20 pays for all 8: nothing moves."""
    play.fleet(a1=8)
    play.quota("vision")
    play.submit("x", gpus=8, owner="vision")
    play.until(10)
    play.node("a1", 4)
    play.until(20)
    play.quota("vision", envelope(8))
    play.until(30)
    assert (play.classes("x"), play.places("x")) == ({"owned": 8}, {"a1": list(range(8))})

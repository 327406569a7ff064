"""Who recalls its quota from its family is told when: once those who have it are past their least runtime.

Where nothing else is said: one node a1 of 8 GPUs. `org` has 8, and `vision`, whose parent it is, none: what vision runs
is shared on org's quota.
x says 4 hours, and is left alone for 10 minutes.
"""

from __future__ import annotations

import pytest
from tests.scenarios.funds import FundedPlay, Taking, envelope

from runs_budgets import plugin as budgets
from runs_core.settings import PatienceSettings, Settings

pytestmark = pytest.mark.plugins(budgets=budgets)
DOMAIN = "runs.dev/fabric-domain"
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


# -- several who wait -------------------------------------------------------------------------------------------------


def one_after_another(play: FundedPlay, number: int, **said: str) -> None:
    """x1, x2, … (8 each) come a minute apart, to a node each, on org's quota; from 200 on y1, y2, … (8 each), org's."""
    play.fleet(**{f"a{at}": 8 for at in range(1, number + 1)})
    play.quota("org", envelope(8 * number))
    play.quota("vision", parents=["org"])
    for at in range(1, number + 1):
        play.submit(f"x{at}", gpus=8, owner="vision", runtime=said or SAYS)
        play.wait(60)
    play.until(200)
    for at in range(1, number + 1):
        play.submit(f"y{at}", gpus=8, owner="org")
        play.wait(1)


@pytest.mark.live
def test_a_second_run_is_told_what_is_recalled_once_the_first_has_its_claim(play: FundedPlay) -> None:
    """y1 recalls x2, whose claim is the last, at 660. x1 could be cut from 600 on, and is recalled once y1 has 8."""
    one_after_another(play, 2)
    assert [play.promised(name) for name in ("y1", "y2")] == [("Pending", 660, "Ends")] * 2
    assert [play.reservation(name)["blockedBy"] for name in ("y1", "y2")] == [["research/x2"], ["research/x1"]]
    play.until(670)
    assert play.takings() == [
        Taking("y1", ["x2"], 8, "Released", "Started"),
        Taking("y2", ["x1"], 8, "Released", "Started"),
    ]
    assert [play.promises(name) for name in ("y1", "y2")] == [[(660, "", 1)]] * 2


def test_so_is_a_third(play: FundedPlay) -> None:
    """x3 goes first, at 720, and x2 and x1 with it, though they could go before."""
    one_after_another(play, 3)
    play.until(730)
    assert [play.promises(name) for name in ("y1", "y2", "y3")] == [[(720, "", 1)]] * 3


@pytest.mark.settings(Settings(patience=PatienceSettings(default="Never")))
def test_so_it_is_where_nothing_else_is_known_of_any_end(play: FundedPlay) -> None:
    """Nobody says anything, and no lots are drawn."""
    one_after_another(play, 2, minRuntime="10m")
    assert play.promised("y2") == ("Pending", 660, "Ends")


def test_a_run_behind_one_that_has_gone_recalls_in_its_stead(play: FundedPlay) -> None:
    """Without y1 it is x2 that y2 recalls, at 660 as before."""
    one_after_another(play, 2)
    play.cancel("y1")
    play.until(670)
    assert play.takings() == [Taking("y2", ["x2"], 8, "Released", "Started")]
    assert play.promises("y2") == [(660, "", 1)]


def another_claims_first(play: FundedPlay, **said: object) -> None:
    """x (8) lies on a1 on org's quota, and u (8) of audio, which has 16, on b1 until 300. y (8, org) may have b1 then.

    z (8, audio) wants a1. said: of y.
    """
    play.fleet(a1=8, b1=8)
    play.quota("org", envelope(8))
    play.quota("vision", parents=["org"])
    play.quota("audio", envelope(16, sharing="None"))
    play.submit("x", gpus=8, owner="vision", runtime=SAYS, selector={DOMAIN: "a"})
    play.wait()
    play.submit("u", gpus=8, owner="audio", lasts="5m", runtime={"expectedDuration": "5m"})
    play.until(100)
    play.submit("y", gpus=8, owner="org", selector={DOMAIN: "b"}, **said)
    play.until(110)
    play.submit("z", gpus=8, owner="audio", selector={DOMAIN: "a"})
    play.wait()


def test_what_another_owner_recalls_by_then_is_anybodys(play: FundedPlay) -> None:
    """From 300 on y has org's 8, and nobody pays for x: it is cut for z at 600."""
    another_claims_first(play)
    assert (play.promised("y"), play.promised("z")) == (("Pending", 300, "Ends"), ("Pending", 600, "Ends"))
    play.until(610)
    assert play.takings() == [Taking("z", ["x"], 8, "Released", "Started")]
    assert play.promises("z") == [(600, "", 1)]


def test_who_has_ended_by_then_claims_nothing(play: FundedPlay) -> None:
    """y is to go at 500: at 600 the family pays for x again, and z is not told that x is cut then."""
    another_claims_first(play, lasts="198s", runtime={"expectedDuration": "200s"})
    assert (play.promised("y"), play.promised("z")) == (("Pending", 300, "Ends"), ("Pending", 14400, "Ends"))

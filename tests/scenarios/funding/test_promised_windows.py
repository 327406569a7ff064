"""Who waits for nothing but a window of an envelope is promised the moment at which it opens.

Where nothing else is said: one node a1 of 8 GPUs; the window of org's 8 opens at 600; y (8, org), from 10 on, will not
start unfunded.
"""

from __future__ import annotations

import pytest
from tests.scenarios.funds import FundedPlay, envelope

from runs_budgets import plugin as budgets

pytestmark = pytest.mark.plugins(budgets=budgets)
PAID = {"allowUnfunded": False}


def y_alone(play: FundedPlay) -> None:
    play.fleet(a1=8)
    play.quota("org", envelope(8, window=play.window(opens=600)))
    play.until(10)
    play.submit("y", gpus=8, owner="org", lasts="58s", funding=PAID)
    play.wait()


@pytest.mark.live
def test_the_opening_is_promised_and_kept(play: FundedPlay) -> None:
    y_alone(play)
    assert play.promised("y") == ("Pending", 600, "Window")
    found = play.reservation("y")
    assert (found["shortOf"], found["deficitGPUs"], found.get("blockedBy")) == ("quota", 8, None)
    assert (play.phase("y"), play.reason("y")) == ("Reserved", "OutOfQuota")
    assert play.message("y").endswith("when quota opens for it")
    play.until(700)
    assert (play.at("y", "startedAt"), play.promises("y"), play.classes("y")) == (600, [(600, "", 0)], {})


def test_places_are_kept_for_the_opening(play: FundedPlay) -> None:
    """guest's z says 5 minutes and may use them; v says 15, and w, which says nothing, is safe for 30."""
    y_alone(play)
    play.quota("guest")
    play.submit("v", gpus=2, owner="guest", lasts="14m", runtime={"expectedDuration": "15m", "minRuntime": "15m"})
    play.submit("w", gpus=2, owner="guest", lasts="9h")
    play.submit("z", gpus=2, owner="guest", lasts="4m", runtime={"expectedDuration": "5m"})
    play.until(650)
    assert [play.at(name, "startedAt") for name in "vwyz"] == [None, None, 600, 10]


def test_a_window_that_is_moved_moves_the_promise(play: FundedPlay) -> None:
    """To 1200 at 100, and to 300 at 200."""
    y_alone(play)
    for at, opens in ((100, 1200), (200, 300)):
        play.until(at)
        play.quota("org", envelope(8, window=play.window(opens=opens)))
    play.until(310)
    assert play.promises("y") == [(600, "", -300), (1200, "quota opens later", -900), (300, "quota opens earlier", 0)]


def test_a_window_that_is_taken_away_ends_the_promise(play: FundedPlay) -> None:
    y_alone(play)
    play.until(100)
    play.quota("org", envelope(4, window=play.window(opens=600)))
    play.until(121)
    assert (play.reservation("y")["phase"], play.reservation("y")["reason"]) == ("Canceled", "Unfundable")
    assert (play.phase("y"), play.reason("y")) == ("Queued", "OutOfQuota")


def test_an_opening_that_does_not_pay_for_all_of_it_is_none(play: FundedPlay) -> None:
    """4 open at 600 and 4 more at 1200: it is promised 1200."""
    play.fleet(a1=8)
    windows = [
        envelope(4, name=name, window=play.window(opens=opens)) for name, opens in (("early", 600), ("late", 1200))
    ]
    play.quota("org", *windows)
    play.until(10)
    play.submit("y", gpus=8, owner="org", lasts="58s", funding=PAID)
    play.wait()
    assert play.promised("y") == ("Pending", 1200, "Window")
    play.until(1210)
    assert play.at("y", "startedAt") == 1200


def test_a_window_that_somebody_has_taken_up_by_then_does_not_help(play: FundedPlay) -> None:
    """org has 8 from 600 on; x, which nobody pays for since 0, is paid for from then on: y is never."""
    play.fleet(a1=8, b1=8)
    play.quota("org", envelope(8, window=play.window(opens=600)))
    play.submit("x", gpus=8, owner="org", lasts="9h", runtime={"expectedDuration": "10h", "minRuntime": "4h"})
    play.until(10)
    play.submit("y", gpus=8, owner="org", funding=PAID)
    play.until(700)
    assert (play.classes("x"), play.phase("y")) == ({"owned": 8}, "Queued")
    assert play.reservation("y")["reason"] == "Unfundable"


def test_room_that_is_not_there_at_the_opening_is_not_promised(play: FundedPlay) -> None:
    """x (8, bank) says an hour."""
    play.fleet(a1=8)
    play.quota("bank", envelope(8))
    play.quota("org", envelope(8, window=play.window(opens=600)))
    play.submit("x", gpus=8, owner="bank", lasts="50m", runtime={"expectedDuration": "1h"})
    play.until(10)
    play.submit("y", gpus=8, owner="org", funding=PAID)
    play.until(599)
    assert play.promised("y") is None
    play.until(610)
    assert play.promised("y") == ("Pending", 3600, "Ends")


def test_room_that_comes_free_before_is(play: FundedPlay) -> None:
    """x (8, bank) says 5 minutes."""
    play.fleet(a1=8)
    play.quota("bank", envelope(8))
    play.quota("org", envelope(8, window=play.window(opens=600)))
    play.submit("x", gpus=8, owner="bank", lasts="298s", runtime={"expectedDuration": "5m"})
    play.until(10)
    play.submit("y", gpus=8, owner="org", lasts="58s", funding=PAID)
    play.wait()
    assert play.promised("y") == ("Pending", 600, "Window")
    assert play.reservation("y")["blockedBy"] == ["research/x"]
    play.until(610)
    assert play.at("y", "startedAt") == 600


def test_who_may_start_unfunded_does_so_before(play: FundedPlay) -> None:
    """x (8, bank) is there until 300: y starts then, unfunded, and org pays from 600 on."""
    play.fleet(a1=8)
    play.quota("bank", envelope(8))
    play.quota("org", envelope(8, window=play.window(opens=600)))
    play.submit("x", gpus=8, owner="bank", lasts="298s", runtime={"expectedDuration": "10m"})
    play.until(10)
    play.submit("y", gpus=8, owner="org", lasts="9h")
    play.wait()
    assert play.promised("y") == ("Pending", 600, "Window")
    play.until(310)
    assert (play.at("y", "startedAt"), play.classes("y")) == (300, {"unfunded": 8})
    assert play.promises("y") == [(600, "", -300)]
    play.until(610)
    assert play.classes("y") == {"owned": 8}

"""Who waits behind one of the same shape, and may start where that one may not, does so whenever GPUs come free.

On a1, of 8 GPUs: u (6, org) from 0 to 1200, q (2, org) from 0 to 90, as they say. y (8, org) is promised all at 1200,
and leaves q's 2 to who is gone by then. `guest` has no quota. Nobody is safe for longer than a minute.
"""

from __future__ import annotations

import pytest
from tests.scenarios.funds import FundedPlay, envelope

from runs_budgets import plugin as budgets

pytestmark = pytest.mark.plugins(budgets=budgets)
SHORT = {"minRuntime": "60s"}
NIGHT = {**SHORT, "expectedDuration": "8h"}


def until_y_has_all(play: FundedPlay) -> None:
    play.fleet(a1=8)
    play.quota("guest")
    play.quota("org", envelope(16))
    play.quota("audio", envelope(3))
    play.submit("u", gpus=6, owner="org", lasts="1198s", runtime={**SHORT, "expectedDuration": "20m"})
    play.submit("q", gpus=2, owner="org", lasts="88s", runtime={**SHORT, "expectedDuration": "90s"})
    play.until(10)
    play.submit("y", gpus=8, owner="org", runtime={**SHORT, "expectedDuration": "10m"})
    play.until(20)


@pytest.mark.live
def test_what_a_paid_run_may_not_use_until_then_an_unpaid_one_of_its_shape_does(play: FundedPlay) -> None:
    """p (2, org) would stay for 8 hours. v and w (2, guest, 30 s) have q's places one after the other, from 90 on."""
    until_y_has_all(play)
    play.submit("p", gpus=2, owner="org", runtime=NIGHT)
    for name in "vw":
        play.submit(name, gpus=2, owner="guest", lasts="30s", runtime=SHORT)
    play.until(200)
    assert (play.promised("y"), play.promised("p")) == (("Pending", 1200, "Ends"), ("Pending", 1800, "Ends"))
    assert [play.at(name, "startedAt") for name in "pvw"] == [None, 90, 122]


def test_so_does_one_that_stands_behind_the_run_that_its_quota_is_held_for(play: FundedPlay) -> None:
    """h (2, audio) would stay for 8 hours, and holds 2 of audio's 3. m and n (2, audio, 30 s) start unfunded."""
    until_y_has_all(play)
    play.submit("h", gpus=2, owner="audio", runtime=NIGHT)
    play.until(30)
    for name in "mn":
        play.submit(name, gpus=2, owner="audio", lasts="30s", runtime=SHORT)
    play.until(80)
    assert "held for research/h" in play.message("m")
    play.until(200)
    assert [play.at(name, "startedAt") for name in "hmn"] == [None, 90, 122]
    assert play.metered("m") == [{"unfunded": 64}]


def test_where_its_payer_wants_it_elsewhere_the_unpaid_behind_it_take_what_comes_free(play: FundedPlay) -> None:
    """org pays in zone a alone, where u is until 1200. v has b1 until 300: then m (4), behind h (4), starts there."""
    play.node("a1", 4, labels={"zone": "a"})
    play.node("b1", 4, labels={"zone": "b"})
    play.quota("guest")
    play.quota("org", envelope(8, selector={"zone": "a"}))
    play.submit("u", gpus=4, owner="org", lasts="1198s", runtime={**SHORT, "expectedDuration": "20m"})
    play.wait()
    play.submit("v", gpus=4, owner="guest", lasts="298s")
    play.until(10)
    play.submit("h", gpus=4, owner="org", runtime=SHORT)
    play.until(20)
    play.submit("m", gpus=4, owner="org", runtime=SHORT)
    play.until(310)
    assert (play.promised("h"), play.places("m")) == (("Pending", 1200, "Ends"), {"b1": [0, 1, 2, 3]})
    assert (play.at("m", "startedAt"), play.classes("m")) == (300, {"unfunded": 4})


def test_who_must_not_start_unpaid_does_not(play: FundedPlay) -> None:
    """As the second, but m waits for quota."""
    until_y_has_all(play)
    play.submit("h", gpus=2, owner="audio", runtime=NIGHT)
    play.until(30)
    play.submit("m", gpus=2, owner="audio", lasts="30s", runtime=SHORT, funding={"allowUnfunded": False})
    play.until(200)
    assert [play.at(name, "startedAt") for name in "hm"] == [None, None]

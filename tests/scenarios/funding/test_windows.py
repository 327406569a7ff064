"""Envelopes that open and close by themselves, and hours that run out. GPU-seconds are whole, and add up.

An envelope with bounded hours covers only what they would pay for 30 minutes: 1 GPU-hour pays for 2 GPUs.
"""

from __future__ import annotations

import pytest
from tests.scenarios.funds import FundedPlay, envelope

from runs_budgets import plugin as budgets

pytestmark = pytest.mark.plugins(budgets=budgets)
PATIENT = {"allowUnfunded": False}


@pytest.mark.live
def test_a_window_that_opens_pays_for_what_runs_already(play: FundedPlay) -> None:
    """x (4) at 0; the window opens at 60; x ends at 120: 4 x 60 unfunded, 4 x 60 owned."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4, window=play.window(opens=60)))
    play.submit("x", gpus=4, owner="vision", lasts="118s")
    play.wait(10)
    assert play.classes("x") == {"unfunded": 4}
    play.until(140)
    assert play.ledger("x") == [("Start", 0, "Repaid", 60), ("Repaid", 60, "Succeeded", 120)]
    assert play.metered("x") == [{"unfunded": 240}, {"owned": 240}]


def test_a_run_waits_for_the_opening_of_a_window(play: FundedPlay) -> None:
    """x would not run unfunded: it is promised 60, and starts then to the second, though nothing else happens."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4, window=play.window(opens=60)))
    play.submit("x", gpus=4, owner="vision", funding=PATIENT)
    play.wait(10)
    assert (play.phase("x"), play.reason("x"), play.promised("x")) == (
        "Reserved",
        "OutOfQuota",
        ("Pending", 60, "Window"),
    )
    play.until(200)
    assert (play.at("x", "startedAt"), play.classes("x")) == (60, {"owned": 4})


def test_a_windows_end_demotes_and_kills_nothing(play: FundedPlay) -> None:
    """The window closes at 60, between two looks; x (4, 0 to 120) runs on: 240 owned, 240 unfunded, in one lease."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4, window=play.window(closes=60)))
    play.submit("x", gpus=4, owner="vision", lasts="118s")
    play.until(59)
    assert play.classes("x") == {"owned": 4}
    play.until(100)
    assert (play.phase("x"), play.classes("x")) == ("Running", {"unfunded": 4})
    play.until(140)
    assert play.metered("x") == [{"owned": 240, "unfunded": 240}]
    assert play.used("vision") == {"owned": 240, "unfunded": 240}


def test_a_window_is_half_open(play: FundedPlay) -> None:
    """early is [0, 60), late [60, 120). x, submitted at 60, is late's; y, submitted at 120, is nobody's."""
    play.fleet(a1=8)
    play.quota(
        "vision",
        envelope(8, "early", window=play.window(0, 60)),
        envelope(8, "late", window=play.window(60, 120)),
    )
    play.submit("w", gpus=1, owner="vision", lasts="28s")
    play.until(60)
    play.submit("x", gpus=1, owner="vision", lasts="28s")
    play.until(120)
    play.submit("y", gpus=1, owner="vision", lasts="28s")
    play.until(160)
    assert [play.metered(name) for name in "wxy"] == [[{"owned": 30}], [{"owned": 30}], [{"unfunded": 30}]]
    assert (play.used("vision", "early"), play.used("vision", "late")) == ({"owned": 30}, {"owned": 30})


def test_a_claim_stays_on_the_envelope_that_it_began_on(play: FundedPlay) -> None:
    """early closes at 60, late opens then, with room for all. x keeps its payer, and is unfunded; y is late's."""
    play.fleet(a1=8)
    play.quota(
        "vision",
        envelope(8, "early", window=play.window(closes=60)),
        envelope(8, "late", window=play.window(opens=60)),
    )
    play.submit("x", gpus=4, owner="vision")
    play.until(60)
    play.submit("y", gpus=4, owner="vision")
    play.until(70)
    assert (play.classes("x"), play.payers("x")) == ({"unfunded": 4}, {"vision/early": 4})
    assert (play.classes("y"), play.payers("y")) == ({"owned": 4}, {"vision/late": 4})


def test_a_window_that_is_extended_funds_its_claims_again(play: FundedPlay) -> None:
    """Closed at 60, and by an edit at 90 open until 200: x (4, 0 to 120) is owned for 60 + 30 s, unfunded for 30."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4, window=play.window(closes=60)))
    play.submit("x", gpus=4, owner="vision", lasts="118s")
    play.until(90)
    play.quota("vision", envelope(4, window=play.window(closes=200)))
    play.until(140)
    assert play.metered("x") == [{"owned": 360, "unfunded": 120}]


def test_the_family_loses_a_window_like_the_owner(play: FundedPlay) -> None:
    """org's window closes at 60 for its child's x and its own y alike; both run on."""
    play.fleet(a1=8)
    play.quota("org", envelope(8, window=play.window(closes=60)))
    play.quota("vision", parents=["org"])
    play.submit("x", gpus=4, owner="vision")
    play.submit("y", gpus=4, owner="org")
    play.wait(10)
    assert (play.classes("x"), play.classes("y")) == ({"shared": 4}, {"owned": 4})
    play.until(70)
    assert (play.classes("x"), play.classes("y")) == ({"unfunded": 4}, {"unfunded": 4})
    assert play.phases() == {"x": "Running", "y": "Running"}


@pytest.mark.live
def test_hours_run_out_in_the_middle_of_a_run(play: FundedPlay) -> None:
    """4 GPU-hours are 14400 GPU-seconds: of x's 8 GPUs, 1800 s. x lasts an hour: 14400 owned, 14400 unfunded."""
    play.fleet(a1=8)
    play.quota("vision", envelope(8, gpuHours=4))
    play.submit("x", gpus=8, owner="vision", lasts="3598s")
    play.until(1799)
    assert play.classes("x") == {"owned": 8}
    play.until(1801)
    assert (play.classes("x"), play.phase("x")) == ({"unfunded": 8}, "Running")
    play.until(3620)
    assert play.metered("x") == [{"owned": 14400, "unfunded": 14400}]
    assert play.used("vision") == {"owned": 14400, "unfunded": 14400}


def test_hours_that_would_not_last_cover_nothing(play: FundedPlay) -> None:
    """3 GPU-hours pay for 6 GPUs for 30 minutes: not for x (8), and for y (6) exactly."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(8, gpuHours=3))
    play.submit("x", gpus=8, owner="vision")
    play.wait(5)
    play.submit("y", gpus=6, owner="vision")
    play.wait(5)
    assert (play.classes("x"), play.classes("y")) == ({"unfunded": 8}, {"owned": 6})


@pytest.mark.live
def test_hours_are_to_last_as_long_as_the_run_says_it_is_left_alone(play: FundedPlay) -> None:
    """2 GPU-hours: 4 GPUs for the cluster's 30 minutes, 8 for the 15 that y says, 2 for the 60 that z says.

    x (8, 30 minutes) and z (3) are too wide for that, y (8) is not; w (1) says 100 h and is taken at the cap of 4 h,
    over which 2 GPU-hours pay for no GPU.
    """
    play.fleet(a1=8, b1=8, c1=8, d1=8)
    for name, gpus, runtime in (
        ("w", 1, {"minRuntime": "100h"}),
        ("x", 8, {}),
        ("z", 3, {"minRuntime": "60m"}),
        ("y", 8, {"minRuntime": "15m"}),
    ):
        play.quota(name, envelope(8, gpuHours=2))
        play.submit(name, gpus=gpus, owner=name, runtime=runtime)
    play.wait(5)
    assert [play.classes(name) for name in "wxzy"] == [{"unfunded": 1}, {"unfunded": 8}, {"unfunded": 3}, {"owned": 8}]


def test_hours_are_kept_for_what_is_funded_already(play: FundedPlay) -> None:
    """4 GPU-hours; x (4) from 0. At 600 it has had 2400 of 14400 GPU-seconds: 12000 pay for 6 for 1800 s, x's 4 and 2.

    So y (3) is not covered, and z (2) is.
    """
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(16, gpuHours=4))
    play.submit("x", gpus=4, owner="vision")
    play.until(600)
    play.submit("y", gpus=3, owner="vision")
    play.wait(5)
    play.submit("z", gpus=2, owner="vision")
    play.wait(5)
    assert [play.classes(name) for name in "xyz"] == [{"owned": 4}, {"unfunded": 3}, {"owned": 2}]


def test_hours_are_not_kept_from_their_owner_for_its_family(play: FundedPlay) -> None:
    """org has 4 GPU-hours, and its child's x (4) uses them from 0. At 5 there are 14380 GPU-seconds: for 7 for 1800 s.

    org's y (6) is covered as it would be without x, which no longer fits beside it.
    """
    play.fleet(a1=8, b1=8)
    play.quota("org", envelope(8, gpuHours=4))
    play.quota("vision", parents=["org"])
    play.submit("x", gpus=4, owner="vision")
    play.until(5)
    play.submit("y", gpus=6, owner="org")
    play.wait(5)
    assert [play.classes(name) for name in "xy"] == [{"unfunded": 4}, {"owned": 6}]


def test_hours_count_for_one_window_and_anew_for_the_next(play: FundedPlay) -> None:
    """2 GPU-hours in [0, 3600) last x (4) until 1800. At 3600 the Budget is given the next hour: until 5400 again.

    x ends at 7200: owned 4 x 3600 = 14400, unfunded as much.
    """
    play.fleet(a1=8)
    play.quota("vision", envelope(4, gpuHours=2, window=play.window(0, 3600)))
    play.submit("x", gpus=4, owner="vision", lasts="7198s")
    play.until(2000)
    assert play.classes("x") == {"unfunded": 4}
    play.until(3600)
    play.quota("vision", envelope(4, gpuHours=2, window=play.window(3600, 7200)))
    play.wait(10)
    assert play.classes("x") == {"owned": 4}
    play.until(5500)
    assert play.classes("x") == {"unfunded": 4}
    play.until(7220)
    assert play.metered("x") == [{"owned": 14400, "unfunded": 14400}]


def test_hours_that_outlast_the_calendar_trouble_nobody(play: FundedPlay) -> None:
    """One GPU would use 100 million hours up in 11,408 years. x is paid for, and so is audio's y."""
    play.fleet(a1=8)
    play.quota("vision", envelope(8, gpuHours=100_000_000))
    play.quota("audio", envelope(8))
    play.submit("x", gpus=1, owner="vision")
    play.until(20)
    play.submit("y", gpus=1, owner="audio")
    play.until(40)
    assert (play.classes("x"), play.classes("y")) == ({"owned": 1}, {"owned": 1})
    assert play.ready("vision") == ("True", "Accounted")


def test_hours_that_are_raised_fund_what_had_used_them_up(play: FundedPlay) -> None:
    """2 GPU-hours last x (4) until 1800. At 2400 there are 3: 3600 GPU-seconds more, until 3300. x ends at 3600.

    Owned 4 x (1800 + 900) = 10800, unfunded 4 x (600 + 300) = 3600.
    """
    play.fleet(a1=8)
    play.quota("vision", envelope(4, gpuHours=2))
    play.submit("x", gpus=4, owner="vision", lasts="3598s")
    play.until(2400)
    play.quota("vision", envelope(4, gpuHours=3))
    play.until(3620)
    assert play.metered("x") == [{"owned": 10800, "unfunded": 3600}]


def test_a_windows_end_and_the_end_of_its_hours_may_be_one_moment(play: FundedPlay) -> None:
    """2 GPU-hours of x (4) end at 1800, and so does the window. x ends at 3600: half and half."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4, gpuHours=2, window=play.window(0, 1800)))
    play.submit("x", gpus=4, owner="vision", lasts="3598s")
    play.until(3620)
    assert play.metered("x") == [{"owned": 7200, "unfunded": 7200}]


def test_two_runs_use_the_hours_up_together(play: FundedPlay) -> None:
    """4 GPU-hours, 14400 GPU-seconds. x (4) from 0, y (4) from 600: 2400 + 8 x t = 14400, t = 1500: until 2100.

    x, to 3600: 4 x 2100 = 8400 owned, 6000 unfunded. y, to 4200: 4 x 1500 = 6000 owned, 8400 unfunded. At 600 the
    12000 left pay for 6 GPUs, not for 8: y is not covered by them. So it is given 5 GPU-hours at 600, 4 from 605 on.
    """
    play.fleet(a1=8)
    play.quota("vision", envelope(8, gpuHours=4))
    play.submit("x", gpus=4, owner="vision", lasts="3598s")
    play.until(600)
    play.quota("vision", envelope(8, gpuHours=5))
    play.submit("y", gpus=4, owner="vision", lasts="3598s")
    play.wait(5)
    play.quota("vision", envelope(8, gpuHours=4))
    play.until(4220)
    assert play.metered("x") == [{"owned": 8400, "unfunded": 6000}]
    assert play.metered("y") == [{"owned": 6000, "unfunded": 8400}]
    assert play.used("vision") == {"owned": 14400, "unfunded": 14400}

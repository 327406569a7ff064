"""Runs of more than one width: they start with the widest that is paid for, and lose their payer group by group.

Where nothing else is said: a run has groups of 4 GPUs, needs 4 and would take 16, in steps of 4; the fleet is a1 and b1
of 8 GPUs each.
"""

from __future__ import annotations

import pytest
from tests.scenarios.funds import FundedPlay, Taking, cap, envelope
from tests.scenarios.stretch import STRETCH

from runs_budgets import plugin as budgets

pytestmark = pytest.mark.plugins(budgets=budgets, stretch=STRETCH)


def stretch(least: int = 4, most: int = 16, step: int = 4) -> dict[str, object]:
    """What a run says to be malleable; `gpus` then counts for nothing."""
    return {"gpus": 4, "group": 4, "malleable": {"minGPUs": least, "maxGPUs": most, "stepGPUs": step}}


def width(play: FundedPlay, name: str) -> tuple[int, int]:
    """GPUs that it has, and that it would take beyond."""
    status = play.status(name)
    return status["width"], status.get("pendingGPUs", 0)


@pytest.mark.live
def test_a_run_starts_over_the_widest_step_that_is_paid_for(play: FundedPlay) -> None:
    """14 are paid for: 12 in steps of 4 from 4, and 2 that nobody can use. All 12 are owned; 4 more would be taken."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(14))
    play.submit("x", owner="vision", **stretch())
    play.wait(5)
    assert (play.phase("x"), width(play, "x"), play.classes("x")) == ("Running", (12, 4), {"owned": 12})
    assert (play.payers("x"), len(play.pods("x"))) == ({"vision/main": 12}, 12)


def test_steps_are_counted_from_the_least_width(play: FundedPlay) -> None:
    """Widths are 4 and 12: of 11 that are paid for it takes 4."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(11))
    play.submit("x", owner="vision", **stretch(step=8))
    play.wait(5)
    assert (width(play, "x"), play.classes("x")) == ((4, 12), {"owned": 4})


def test_who_is_paid_for_takes_no_more_than_there_is_room_for(play: FundedPlay) -> None:
    """16 are paid for and 11 free beside y (5): it starts with 8."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(16))
    play.quota("org", envelope(8))
    play.submit("y", gpus=5, owner="org")
    play.wait(5)
    play.submit("x", owner="vision", **stretch())
    play.wait(5)
    assert (width(play, "x"), play.classes("x")) == ((8, 8), {"owned": 8})


@pytest.mark.live
def test_who_is_not_paid_for_at_its_least_width_starts_wholly_unfunded(play: FundedPlay) -> None:
    """3 are paid for, and it needs 4: it takes all the room there is, 16, and no payer for any of it."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(3))
    play.submit("x", owner="vision", **stretch())
    play.wait(5)
    assert (width(play, "x"), play.classes("x"), play.payers("x")) == ((16, 0), {"unfunded": 16}, {})


def test_who_must_not_run_unfunded_waits_for_its_least_width(play: FundedPlay) -> None:
    """Of 4 that it needs 3 are paid for until 10; then 9, of which it takes 8."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(3))
    play.submit("x", owner="vision", funding={"allowUnfunded": False}, **stretch())
    play.wait(5)
    assert (play.phase("x"), play.message("x")) == (
        "Queued",
        "nobody pays for 1 of 4 GPUs (vision/main gives 3 of 3); waits for quota",
    )
    play.until(10)
    play.quota("vision", envelope(9))
    play.wait(5)
    assert (play.at("x", "startedAt"), width(play, "x"), play.classes("x")) == (10, (8, 8), {"owned": 8})


def test_a_wide_run_is_paid_for_by_its_own_and_by_its_family(play: FundedPlay) -> None:
    """vision has 6 and org shares 7: 13, of which 12 are used, 6 owned and 6 shared. A group has two payers then."""
    play.fleet(a1=8, b1=8)
    play.quota("org", envelope(7))
    play.quota("vision", envelope(6), parents=["org"])
    play.submit("x", owner="vision", **stretch())
    play.wait(5)
    assert (width(play, "x"), play.payers("x")) == ((12, 4), {"vision/main": 6, "org/main": 6})
    assert play.classes("x") == {"owned": 6, "shared": 6}


def test_a_cap_bounds_its_width(play: FundedPlay) -> None:
    """8 and 8, together at most 13: 12."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(8, "a"), envelope(8, "b"), caps=[cap("both", 13, "a", "b")])
    play.submit("x", owner="vision", **stretch())
    play.wait(5)
    assert (width(play, "x"), play.payers("x")) == ((12, 4), {"vision/a": 8, "vision/b": 4})


@pytest.mark.live
def test_an_owner_that_recalls_takes_whole_groups_the_highest_first(play: FundedPlay) -> None:
    """x (16, vision) on org's 16 from 0. y (6, org) from 20 to 80: 10 are left, which are 2 groups of 4.

    Groups 0 and 1 are shared throughout. Groups 2 and 3 are, but for the 60 s: each 4 x 60 = 240 unfunded. x lasts
    118 s and comes up after 2: 4 x 120 = 480 a group.
    """
    play.fleet(a1=8, b1=8, c1=8)
    play.quota("org", envelope(16))
    play.quota("vision", parents=["org"])
    play.submit("x", owner="vision", lasts="118s", **stretch())
    play.until(20)
    assert play.classes("x") == {"shared": 16}
    play.submit("y", gpus=6, owner="org", lasts="58s")
    play.until(50)
    assert (play.classes("x"), play.classes("y"), play.phase("x")) == (
        {"shared": 8, "unfunded": 8},
        {"owned": 6},
        "Running",
    )
    play.until(90)
    assert play.classes("x") == {"shared": 16}
    play.until(130)
    assert play.metered("x") == [{"shared": 480}] * 2 + [{"shared": 240, "unfunded": 240}] * 2
    assert play.used("org") == {"owned": 360, "shared": 1440, "unfunded": 480}


def test_less_than_its_least_width_funds_none_of_it(play: FundedPlay) -> None:
    """y (10, org) leaves x 6 of 16. x needs 8: all its 16 are unfunded. Of 8 that are left beside z, they are 8."""
    play.fleet(a1=8, b1=8, c1=8, d1=8)
    play.quota("org", envelope(16))
    play.quota("vision", parents=["org"])
    play.submit("x", owner="vision", **stretch(least=8))
    play.wait(5)
    play.submit("y", gpus=10, owner="org", lasts="58s")
    play.wait(5)
    assert play.classes("x") == {"unfunded": 16}
    play.until(70)
    play.submit("z", gpus=8, owner="org")
    play.wait(5)
    assert (play.classes("x"), play.classes("z")) == ({"shared": 8, "unfunded": 8}, {"owned": 8})


def test_what_it_leaves_of_a_step_pays_for_who_ranks_behind_it(play: FundedPlay) -> None:
    """x (12) since 0 and z (3, fixed) since 5 on 15. Of 11 x takes 8, and z the 3 behind it; of 10, x 8 and z none."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(15))
    play.submit("x", owner="vision", **stretch(most=12))
    play.wait(5)
    play.submit("z", gpus=3, owner="vision")
    play.wait(5)
    assert (play.classes("x"), play.classes("z")) == ({"owned": 12}, {"owned": 3})
    play.quota("vision", envelope(11))
    play.wait(5)
    assert (play.classes("x"), play.classes("z")) == ({"owned": 8, "unfunded": 4}, {"owned": 3})
    play.quota("vision", envelope(10))
    play.wait(5)
    assert (play.classes("x"), play.classes("z")) == ({"owned": 8, "unfunded": 4}, {"unfunded": 3})


def test_a_fixed_run_of_the_same_width_keeps_nothing_where_it_keeps_groups(play: FundedPlay) -> None:
    """x and f, 8 each in groups of 4, on envelopes of 8. Each shrinks to 6: x keeps a group of 4, f nothing."""
    play.fleet(a1=8, b1=8)
    for owner, name, said in (("vision", "x", stretch(most=8)), ("speech", "f", {"gpus": 8, "group": 4})):
        play.quota(owner, envelope(8))
        play.submit(name, owner=owner, **said)
    play.wait(5)
    for owner in ("vision", "speech"):
        play.quota(owner, envelope(6))
    play.wait(5)
    assert (play.classes("x"), play.classes("f")) == ({"owned": 4, "unfunded": 4}, {"unfunded": 8})


def test_hours_that_run_out_leave_none_of_it_funded(play: FundedPlay) -> None:
    """4 GPU-hours are 14400 GPU-seconds. They would pay 8 for the 30 minutes that it is left alone: it takes 8.

    Used up at 1800; until 2000 it goes on unfunded: 200 s of each group.
    """
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(16, gpuHours=4))
    play.submit("x", owner="vision", lasts="1998s", **stretch())
    play.wait(5)
    assert (width(play, "x"), play.classes("x")) == ((8, 8), {"owned": 8})
    play.until(2010)
    assert play.metered("x") == [{"owned": 7200, "unfunded": 800}] * 2


@pytest.mark.live
def test_who_runs_unfunded_is_paid_for_once_all_that_it_holds_can_be(play: FundedPlay) -> None:
    """x (16) from 0 without a payer. 15 at 10 are not enough for what it holds; 16 at 20 are: each group is repaid."""
    play.fleet(a1=8, b1=8)
    play.quota("vision")
    play.submit("x", owner="vision", **stretch())
    play.until(10)
    play.quota("vision", envelope(15))
    play.wait(5)
    assert play.classes("x") == {"unfunded": 16}
    play.until(20)
    play.quota("vision", envelope(16))
    play.wait(5)
    assert play.classes("x") == {"owned": 16}
    assert [(held.opened, held.start) for held in play.ledger("x")] == [("Start", 0)] * 4 + [("Repaid", 20)] * 4


@pytest.mark.live
def test_gpus_are_taken_back_for_its_least_width_and_no_more(play: FundedPlay) -> None:
    """u and v (8 each, guest) fill the fleet; v is left alone for an hour. x, paid for all 16, needs 4: u goes at 100.

    u gives 8 GPUs, and x starts at 101 with the 4 that were bound to it: a start never waits to be wider.
    """
    play.fleet(a1=8, b1=8)
    play.quota("guest")
    play.quota("vision", envelope(16))
    play.submit("u", gpus=8, owner="guest", runtime={"minRuntime": "60s"})
    play.submit("v", gpus=8, owner="guest", runtime={"minRuntime": "1h"})
    play.until(100)
    play.submit("x", owner="vision", **stretch())
    play.wait(5)
    assert play.takings() == [Taking("x", ["u"], 8, "Released", "Started")]
    assert (play.at("x", "startedAt"), width(play, "x"), play.classes("x")) == (101, (4, 12), {"owned": 4})


def test_a_run_that_is_cut_may_start_again_with_another_width(play: FundedPlay) -> None:
    """x (16, unfunded) from 0 makes room at 100 for y (8, org) and takes the 8 that are left: 4 + 4."""
    play.fleet(a1=8, b1=8)
    play.quota("guest")
    play.quota("org", envelope(8))
    play.submit("x", owner="guest", runtime={"minRuntime": "60s"}, **stretch())
    play.until(100)
    assert width(play, "x") == (16, 0)
    play.submit("y", gpus=8, owner="org")
    play.wait(10)
    assert play.takings() == [Taking("y", ["x"], 16, "Released", "Started")]
    assert (play.at("x", "startedAt"), width(play, "x"), play.status("x")["attempt"]) == (101, (8, 8), 2)


def test_what_is_partly_paid_for_is_not_taken_back_as_a_whole(play: FundedPlay) -> None:
    """x (16, vision) keeps 8 of org's 16 beside y (8, org). z (8, bank) is paid for, and waits: it would cost x all."""
    play.fleet(a1=8, b1=8, c1=8)
    play.quota("org", envelope(16))
    play.quota("vision", parents=["org"])
    play.quota("bank", envelope(8))
    play.submit("x", owner="vision", runtime={"minRuntime": "60s"}, **stretch())
    play.wait(5)
    play.submit("y", gpus=8, owner="org")
    play.until(100)
    assert play.classes("x") == {"shared": 8, "unfunded": 8}
    play.submit("z", gpus=8, owner="bank")
    play.wait(60)
    assert (play.phase("z"), play.phase("x"), play.takings()) == ("Reserved", "Running", [])


def test_a_run_that_asks_for_less_while_it_waits_starts_with_it(play: FundedPlay) -> None:
    """8 of 16 are free beside y, and x needs 12 until 10; then 8."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(16))
    play.submit("y", gpus=8, owner="vision")
    play.wait(5)
    play.submit("x", owner="vision", **stretch(least=12))
    play.until(10)
    assert play.phase("x") == "Queued"
    play.edit("x", malleable={"minGPUs": 8, "maxGPUs": 16, "stepGPUs": 4})
    play.wait(5)
    assert (play.at("x", "startedAt"), width(play, "x")) == (10, (8, 8))


def test_a_fleet_that_could_never_take_its_least_width_says_so(play: FundedPlay) -> None:
    """16 GPUs, and it needs 20; from 10 on there are 24, and it takes 24."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(32))
    play.submit("x", owner="vision", **stretch(least=20, most=32))
    play.until(10)
    assert play.reason("x") == "NeverFits"
    play.fleet(c1=8)
    play.wait(5)
    assert width(play, "x") == (24, 8)


def test_a_failed_rank_restarts_the_gang_in_its_width(play: FundedPlay) -> None:
    """12 of 16 are paid for. Rank 3 fails once: 12 pods again, on the same places."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(12))
    play.submit(
        "x",
        owner="vision",
        lasts="18s",
        failing_ranks="3",
        failures="1",
        onPodFailure={"policy": "Retry", "limit": 1, "backoff": "10s"},
        **stretch(),
    )
    play.until(60)
    assert (play.phase("x"), play.status("x")["attempt"], len(play.ledger("x"))) == ("Succeeded", 1, 3)

"""Runs that contradict themselves, and what becomes of a promise or a cut when somebody meddles with a run meanwhile.

Where nothing else is said: one node a1 of 8 GPUs. `guest` has no quota, so that its runs are unfunded; `org` has 16.
"""

from __future__ import annotations

import pytest
from tests.scenarios.funds import FundedPlay, Taking, envelope

from runs_budgets import plugin as budgets

pytestmark = pytest.mark.plugins(budgets=budgets)
HOUR = 3600


def owners(play: FundedPlay) -> None:
    play.quota("guest")
    play.quota("org", envelope(16))


# -- durations --------------------------------------------------------------------------------------------------------


def test_who_says_that_it_ends_before_it_may_be_cut_and_does_not_is_cut_then(play: FundedPlay) -> None:
    """x says 60 s, and wants to be left alone for 600. y is promised 60, a tenth more at 61, and then 600."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime={"expectedDuration": "60s", "minRuntime": "600s"})
    play.until(10)
    play.submit("y", gpus=8, owner="org")
    play.until(610)
    assert [at for at, _, _ in play.promises("y")] == [60, 66, 600]
    assert (play.at("y", "startedAt"), play.takings()) == (601, [Taking("y", ["x"], 8, "Released", "Started")])


def test_who_says_that_it_takes_longer_than_anybody_lives_is_cut_all_the_same(play: FundedPlay) -> None:
    """x says a million hours; nobody pays for it, so that y is promised the end of its 600 s, and has it."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime={"expectedDuration": "1000000h", "minRuntime": "600s"})
    play.until(10)
    play.submit("y", gpus=8, owner="org")
    play.until(610)
    assert [at for at, _, _ in play.promises("y")] == [600]
    assert play.at("y", "startedAt") == 601


def test_who_may_be_cut_at_any_time_keeps_nobody_waiting_for_longer_than_who_may_not(play: FundedPlay) -> None:
    """a1 and a2. long (8, paid for) says an hour; x (8) may be cut from 60 on. wide (16) waits for both: an hour.

    That x is past its 60 s moves nothing: it is cut when long has ended, and not before.
    """
    play.fleet(a1=8, a2=8)
    owners(play)
    play.submit("long", gpus=8, owner="org", runtime={"expectedDuration": "1h"}, lasts="1h")
    play.submit("x", gpus=8, owner="guest", runtime={"minRuntime": "60s"})
    play.until(20)
    play.quota("org", envelope(24))
    play.submit("wide", gpus=16, owner="org")
    play.until(HOUR - 10)
    assert [(at, why) for at, why, _ in play.promises("wide")] == [(HOUR, "")]
    assert (play.phase("x"), play.takings()) == ("Running", [])
    play.until(HOUR + 100)
    assert play.takings() == [Taking("wide", ["x"], 8, "Released", "Started")]
    started = play.at("wide", "startedAt")
    assert started is not None
    assert HOUR <= started <= HOUR + 10


def test_a_promise_whose_time_has_passed_is_told_anew(play: FundedPlay) -> None:
    """x (paid for) says 60 s, and then, when that is over, that it was to take 30: y's promise is in the past."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="org", runtime={"expectedDuration": "60s"}, lasts="500s")
    play.until(10)
    play.submit("y", gpus=8, owner="org")
    play.until(65)
    play.edit("x", runtime={"expectedDuration": "30s"})
    play.until(400)
    assert play.phase("y") == "Reserved"
    play.until(520)
    started = play.at("y", "startedAt")
    assert started is not None
    at, _, error = play.promises("y")[0]
    assert (at, error) == (60, round(started - 60))


# -- meddling while reserved ------------------------------------------------------------------------------------------


def test_another_of_the_same_name_is_promised_nothing_by_what_the_first_was_promised(play: FundedPlay) -> None:
    """y waits for x, is deleted, and made anew at once, half as wide."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="org", runtime={"expectedDuration": "600s"}, lasts="600s")
    play.until(10)
    play.submit("y", gpus=8, owner="org")
    play.until(20)
    play.delete("y")
    play.until(21)
    play.submit("y", gpus=4, owner="org")
    play.until(30)
    found = sorted((one["spec"]["gpus"], one["status"]["phase"]) for one in play.stage.objects("Reservation"))
    assert found == [(4, "Pending"), (8, "Canceled")]
    play.until(620)
    assert play.at("y", "startedAt") == 602


def test_a_reserved_run_whose_hint_changes_keeps_its_promise(play: FundedPlay) -> None:
    """What it says of itself moves who is behind it, and not itself: z is promised 1200, then 660."""
    play.fleet(a1=8)
    play.quota("org", envelope(24))
    play.submit("x", gpus=8, owner="org", runtime={"expectedDuration": "600s"}, lasts="598s")
    play.until(10)
    play.submit("y", gpus=8, owner="org", runtime={"expectedDuration": "600s"}, lasts="58s")
    play.submit("z", gpus=8, owner="org")
    play.until(20)
    play.edit("y", runtime={"expectedDuration": "60s"})
    play.until(70)
    assert [at for at, _, _ in play.promises("y")] == [600]
    assert [at for at, _, _ in play.promises("z")] == [1200, 660]
    play.until(700)
    assert (play.at("y", "startedAt"), play.at("z", "startedAt")) == (600, 660)


# -- meddling while being cut -----------------------------------------------------------------------------------------


def being_cut(play: FundedPlay) -> None:
    """x was told to go at 100, needs 20 s of its 30, and it is 105. y, for whom it goes, waits."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime={"minRuntime": "60s", "checkpointGrace": "30s"}, stops="20s")
    play.until(100)
    play.submit("y", gpus=8, owner="org")
    play.until(105)
    assert [one.phase for one in play.takings()] == ["Activating"]


def cut_as_if_nothing_was(play: FundedPlay) -> None:
    play.until(125)
    assert play.takings() == [Taking("y", ["x"], 8, "Released", "Started")]
    assert play.at("y", "startedAt") == 120
    assert play.ledger("x") == [("Start", 0, "UnfundedReclaimed", 120)]


@pytest.mark.live
def test_a_run_that_is_canceled_while_it_is_being_cut_ends_and_does_not_wait_again(play: FundedPlay) -> None:
    being_cut(play)
    play.cancel("x")
    cut_as_if_nothing_was(play)
    assert (play.phase("x"), play.reason("x")) == ("Failed", "Canceled")


def test_a_run_that_is_suspended_while_it_is_being_cut_is_held_afterwards(play: FundedPlay) -> None:
    being_cut(play)
    play.suspend("x")
    cut_as_if_nothing_was(play)
    assert play.phase("x") == "Held"


def test_a_run_that_is_deleted_while_it_is_being_cut_goes_and_its_leases_say_why(play: FundedPlay) -> None:
    being_cut(play)
    play.delete("x")
    cut_as_if_nothing_was(play)
    assert "x" not in play.names()


def test_a_longer_grace_that_is_asked_for_while_it_is_being_cut_is_too_late(play: FundedPlay) -> None:
    """Nor is a longer least runtime of any use."""
    being_cut(play)
    play.edit("x", runtime={"minRuntime": "4h", "checkpointGrace": "10m"})
    cut_as_if_nothing_was(play)
    assert play.phase("x") == "Queued"


def test_a_payer_that_comes_while_it_is_being_cut_is_too_late(play: FundedPlay) -> None:
    """guest has 8 from 105 on. What was decided is carried out; x is covered, first in line, and waits for y's end."""
    being_cut(play)
    play.quota("guest", envelope(8))
    cut_as_if_nothing_was(play)
    assert play.phase("x") in ("Queued", "Reserved")

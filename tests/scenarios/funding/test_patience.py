"""Who is paid for by right and waits too long: lots are drawn among those who have had their time, as promised.

Where nothing else is said: one node a1 of 8 GPUs, `audio` and `org` with 8 of quota each, x (8, audio) from 0 and y (8,
org) from 10, neither of which says how long it takes. Patience is 10 minutes, the quantum 5. A pod needs 1 s to go.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.scenarios.funds import FundedPlay, Taking, envelope

from runs_budgets import plugin as budgets
from runs_core.settings import PatienceSettings, ReservationSettings, ResolverSettings, Settings

MINUTE = timedelta(minutes=1)


def patient(default: str = "10m", quantum: float = 5, most: int = 100, **owners: str) -> pytest.MarkDecorator:
    """quantum: minutes. most: reservations of a flavor."""
    return pytest.mark.settings(
        Settings(
            patience=PatienceSettings(default=default, owners=tuple(owners.items())),
            resolver=ResolverSettings(quantum=quantum * MINUTE),
            reservations=ReservationSettings(max=most),
        )
    )


pytestmark = [pytest.mark.plugins(budgets=budgets), patient()]
SHORT = {"minRuntime": "60s"}


def x_and_y(play: FundedPlay, **said: str) -> None:
    """said: of x's runtime."""
    play.fleet(a1=8)
    play.quota("audio", envelope(8))
    play.quota("org", envelope(8))
    play.submit("x", gpus=8, owner="audio", lasts="9h", runtime={**SHORT, **said})
    play.until(10)
    play.submit("y", gpus=8, owner="org", lasts="58s", runtime=SHORT)
    play.wait()


@pytest.mark.live
def test_lots_are_drawn_once_its_patience_is_over_as_it_was_told(play: FundedPlay) -> None:
    """10 + 600: x goes at 610 and is gone at 611."""
    x_and_y(play)
    assert play.promised("y") == ("Pending", 610, "Patience")
    found = play.reservation("y")
    assert (found["deficitGPUs"], found["shortOf"], found["blockedBy"]) == (8, "capacity", ["research/x"])
    assert play.message("y").endswith("by drawing lots for it")
    play.until(605)
    assert (play.phase("x"), play.takings()) == ("Running", [])
    play.until(620)
    assert (play.takings(), play.stages()) == ([Taking("y", ["x"], 8, "Released", "Started")], [{"x": "lottery"}])
    assert (play.at("y", "startedAt"), play.promises("y")) == (611, [(610, "", 1)])
    assert play.ledger("x") == [("Start", 0, "Preempted", 611)]


@patient(quantum=30)
def test_nobody_is_drawn_before_the_end_of_its_quantum(play: FundedPlay) -> None:
    """x may be in a lottery from 1800 on."""
    x_and_y(play)
    assert play.promised("y") == ("Pending", 1800, "Patience")
    play.until(1810)
    assert (play.at("y", "startedAt"), play.promises("y")) == (1801, [(1800, "", 1)])


@patient(quantum=5)
def test_a_least_runtime_that_is_longer_than_the_quantum_counts(play: FundedPlay) -> None:
    """x is left alone for 20 minutes."""
    x_and_y(play, minRuntime="20m")
    assert play.promised("y") == ("Pending", 1200, "Patience")


def test_who_ends_before_is_waited_for(play: FundedPlay) -> None:
    """x says 5 minutes."""
    x_and_y(play, expectedDuration="5m")
    assert play.promised("y") == ("Pending", 300, "Ends")


def test_who_says_that_it_takes_longer_than_the_others_patience_is_drawn(play: FundedPlay) -> None:
    """x says an hour."""
    x_and_y(play, expectedDuration="1h")
    assert play.promised("y") == ("Pending", 610, "Patience")


def test_who_overruns_its_word_is_drawn_when_the_patience_is_over(play: FundedPlay) -> None:
    """x says 5 minutes, and is safe for 20. Until 330 it is waited for; then lots are to be drawn at 1200."""
    x_and_y(play, expectedDuration="5m", minRuntime="20m")
    play.until(361)
    assert [(at, cause) for at, cause, _ in play.promises("y")] == [
        (300, ""),
        (330, "research/x is expected to run until 2026-01-05T12:05:30Z"),
        (1200, "research/x runs longer than was expected"),
    ]


@patient("Never")
def test_patience_without_end_draws_nobody(play: FundedPlay) -> None:
    x_and_y(play)
    play.until(7200)
    assert (play.phase("y"), play.promised("y"), play.takings()) == ("Queued", None, [])


@patient("Never", org="2m")
def test_an_owners_own_patience_counts(play: FundedPlay) -> None:
    """org's is 2 minutes; x has had its 5 at 300."""
    x_and_y(play)
    assert play.promised("y") == ("Pending", 300, "Patience")


@patient("10m", org="Never")
def test_an_owner_may_be_patient_for_ever(play: FundedPlay) -> None:
    x_and_y(play)
    play.until(700)
    assert (play.promised("y"), play.takings()) == (None, [])


@patient("0s")
def test_without_patience_lots_are_drawn_at_once(play: FundedPlay) -> None:
    """x has run for 400 s when y comes."""
    play.fleet(a1=8)
    play.quota("audio", envelope(8))
    play.quota("org", envelope(8))
    play.submit("x", gpus=8, owner="audio", lasts="9h", runtime=SHORT)
    play.until(400)
    play.submit("y", gpus=8, owner="org", lasts="58s")
    play.wait(5)
    assert (play.takings(), play.at("y", "startedAt")) == ([Taking("y", ["x"], 8, "Released", "Started")], 401)
    assert play.promises("y") == [(400, "", 1)]


def test_nobody_is_drawn_for_who_is_not_paid_for(play: FundedPlay) -> None:
    play.fleet(a1=8)
    play.quota("audio", envelope(8))
    play.quota("guest")
    play.submit("x", gpus=8, owner="audio", lasts="9h", runtime=SHORT)
    play.until(10)
    play.submit("y", gpus=8, owner="guest")
    play.until(7200)
    assert (play.phase("y"), play.promised("y"), play.takings()) == ("Queued", None, [])


def test_nobody_is_drawn_for_whom_the_family_pays_for(play: FundedPlay) -> None:
    """org pays for vision's y as a courtesy."""
    play.fleet(a1=8)
    play.quota("audio", envelope(8))
    play.quota("org", envelope(8))
    play.quota("vision", parents=["org"])
    play.submit("x", gpus=8, owner="audio", lasts="9h", runtime=SHORT)
    play.until(10)
    play.submit("y", gpus=8, owner="vision")
    play.until(7200)
    assert (play.phase("y"), play.promised("y"), play.takings()) == ("Queued", None, [])


def test_nobody_is_drawn_for_a_later_run_of_its_own_owner(play: FundedPlay) -> None:
    """audio has 16 and wants both; the fleet has 8."""
    play.fleet(a1=8)
    play.quota("audio", envelope(16))
    play.submit("x", gpus=8, owner="audio", lasts="9h", runtime=SHORT)
    play.until(10)
    play.submit("y", gpus=8, owner="audio")
    play.until(7200)
    assert (play.promised("y"), play.takings()) == (None, [])


def test_it_is_told_when_enough_have_had_their_time(play: FundedPlay) -> None:
    """y wants 6: x (2) may be drawn from 300 on, and z (6), which alone would do, is safe for 30 minutes from 400."""
    play.fleet(a1=8)
    play.quota("audio", envelope(8))
    play.quota("org", envelope(8))
    play.submit("x", gpus=2, owner="audio", lasts="9h", runtime=SHORT)
    play.until(400)
    play.submit("z", gpus=6, owner="audio", lasts="9h", runtime={"minRuntime": "30m"})
    play.until(410)
    play.submit("y", gpus=6, owner="org", lasts="58s")
    play.wait()
    assert play.promised("y") == ("Pending", 2200, "Patience")
    play.until(2199)
    assert play.takings() == []
    play.until(2210)
    assert play.takings() == [Taking("y", ["z"], 6, "Released", "Started")]


def test_who_finds_room_before_starts_before(play: FundedPlay) -> None:
    """x is canceled at 100."""
    x_and_y(play)
    play.until(100)
    play.cancel("x")
    play.until(110)
    assert (play.at("y", "startedAt"), play.promises("y"), play.takings()) == (101, [(610, "", -509)], [])


@patient(most=1)
def test_who_is_promised_nothing_has_no_lots_drawn_for_it(play: FundedPlay) -> None:
    """One reservation: y's, until it starts at 611. It ends at 671, and x goes on. z, patient until 610, is next."""
    x_and_y(play)
    play.quota("vision", envelope(8))
    play.submit("z", gpus=8, owner="vision", lasts="58s")
    play.until(605)
    assert (play.promised("z"), play.takings()) == (None, [])
    play.until(730)
    assert (play.at("x", "startedAt"), play.promised("z")) == (671, ("Pending", 971, "Patience"))


def test_who_was_cut_waits_as_long_again(play: FundedPlay) -> None:
    """x is cut at 610 for y, which would run for hours: it waits from 611 on, and is patient until 1211."""
    play.fleet(a1=8)
    play.quota("audio", envelope(8))
    play.quota("org", envelope(8))
    play.submit("x", gpus=8, owner="audio", lasts="9h", runtime=SHORT)
    play.until(10)
    play.submit("y", gpus=8, owner="org", lasts="9h", runtime=SHORT)
    play.until(620)
    assert play.promised("x") == ("Pending", 1211, "Patience")
    play.until(1220)
    assert [(one.beneficiary, one.cuts) for one in play.takings()] == [("y", ["x"]), ("x", ["y"])]

"""Runs that somebody ends. SIGTERM to gone: 1 s where a pod says nothing else. y always waits for x's GPUs."""

from __future__ import annotations

import pytest
from tests.scenarios.play import Play

from runs_core.settings import Settings

DAY = 86_400


def play_cancel_at_100(play: Play, **said: object) -> None:
    """x holds all 8 of a1 from 0 on and is canceled at 100; y waits for them since 10."""
    play.fleet(a1=8)
    play.submit("x", gpus=8, **said)
    play.wait(10)
    play.submit("y", gpus=8)
    play.until(100)
    play.cancel("x")


def test_a_waiting_run_that_is_canceled_fails_at_once(play: Play) -> None:
    """y waits behind x and is canceled at 10: it never held anything, and nobody has to go first."""
    play.fleet(a1=8)
    play.submit("x", gpus=8)
    play.submit("y", gpus=8)
    play.wait(10)
    play.cancel("y")
    play.wait(10)
    assert (play.phase("y"), play.reason("y"), play.at("y", "finishedAt")) == ("Failed", "Canceled", 10)
    assert (play.ledger("y"), play.phase("x")) == ([], "Running")


def test_a_starting_run_that_is_canceled_never_runs(play: Play) -> None:
    """Started at 0, canceled at 1 while its pods come up, gone at 2: y, behind it, starts at 2."""
    play.fleet(a1=8)
    play.submit("x", gpus=8)
    play.submit("y", gpus=8)
    play.wait(1)
    assert play.phase("x") == "Starting"
    play.cancel("x")
    play.wait(10)
    assert (play.phase("x"), play.ledger("x")) == ("Failed", [("Start", 0, "Canceled", 2)])
    assert (play.at("y", "startedAt"), [kind for _, kind in play.decided("x")]) == (2, ["Starts", "Ends", "Released"])


def test_a_canceled_run_holds_its_gpus_until_its_pods_are_gone(play: Play) -> None:
    """It needs 45 s for its checkpoint and may take 60: gone at 145, and not before are its GPUs y's."""
    play_cancel_at_100(play, stops="45s", runtime={"checkpointGrace": "60s"})
    play.until(144)
    assert (play.phase("x"), play.reason("x"), play.phase("y"), play.held_gpus()) == (
        "Running",
        "Canceled",
        "Queued",
        8,
    )
    play.until(150)
    assert (play.phase("x"), play.ledger("x")) == ("Failed", [("Start", 0, "Canceled", 145)])
    assert play.at("y", "startedAt") == 145


def test_a_pod_that_takes_longer_than_its_grace_is_killed(play: Play) -> None:
    """It would need 2 minutes and has 60 s: gone at 160."""
    play_cancel_at_100(play, stops="2m", runtime={"checkpointGrace": "60s"})
    play.until(200)
    assert (play.at("x", "finishedAt"), play.at("y", "startedAt")) == (160, 160)


def test_without_a_word_a_pod_has_half_a_minute(play: Play) -> None:
    """It would need 2 minutes and has Kubernetes' default of 30 s: gone at 130."""
    play_cancel_at_100(play, stops="2m")
    play.until(200)
    assert (play.at("x", "finishedAt"), play.at("y", "startedAt")) == (130, 130)


def test_the_templates_own_grace_counts_where_it_is_longer(play: Play) -> None:
    """90 s of the template against 60 s of checkpointGrace: the greater, so that x is gone at 190."""
    pod = {"terminationGracePeriodSeconds": 90}
    play_cancel_at_100(play, stops="10m", runtime={"checkpointGrace": "60s"}, pod=pod)
    play.until(300)
    assert (play.at("x", "finishedAt"), play.at("y", "startedAt")) == (190, 190)


def test_no_grace_is_longer_than_the_cluster_allows(play: Play) -> None:
    """20 minutes asked for, 10 allowed: 600 s after 100."""
    play_cancel_at_100(play, stops="1h", runtime={"checkpointGrace": "20m"})
    play.until(699)
    assert play.phase("y") == "Queued"
    play.until(800)
    assert (play.at("x", "finishedAt"), play.at("y", "startedAt")) == (700, 700)


@pytest.mark.settings(Settings(checkpoint_grace_cap=Settings().local.pod_start * 10))
def test_the_cap_is_a_setting_and_holds_for_the_templates_grace_too(play: Play) -> None:
    """The cap is 20 s here, the template asks for 90: gone at 120."""
    play_cancel_at_100(play, stops="1h", pod={"terminationGracePeriodSeconds": 90})
    play.until(200)
    assert (play.at("x", "finishedAt"), play.at("y", "startedAt")) == (120, 120)


def test_a_run_that_is_canceled_while_it_is_suspended_does_not_come_back(play: Play) -> None:
    """Suspended at 100 with 45 s to go, canceled at 110: gone at 145 as before, and Failed, not Held."""
    play.fleet(a1=8)
    play.submit("x", gpus=8, stops="45s", runtime={"checkpointGrace": "60s"})
    play.until(100)
    play.suspend("x")
    play.wait(10)
    play.cancel("x")
    play.until(200)
    assert (play.phase("x"), play.reason("x"), play.at("x", "finishedAt")) == ("Failed", "Canceled", 145)


def test_a_deleted_run_goes_when_its_pods_have_gone(play: Play) -> None:
    """Deleted at 100, its pods need 45 of 60 s: until 145 the Run is there and holds its GPUs, then neither."""
    play.fleet(a1=8)
    play.submit("x", gpus=8, stops="45s", runtime={"checkpointGrace": "60s"})
    play.submit("y", gpus=8)
    play.until(100)
    play.delete("x")
    play.until(144)
    assert (play.names(), play.held_gpus()) == (["x", "y"], 8)
    play.until(150)
    assert (play.names(), play.ledger("x")) == (["y"], [("Start", 0, "Deleted", 145)])
    assert play.at("y", "startedAt") == 145


def test_a_deleted_run_that_only_waited_is_gone_at_once(play: Play) -> None:
    """y waits behind x; deleted at 10, nothing of it is left."""
    play.fleet(a1=8)
    play.submit("x", gpus=8)
    play.submit("y", gpus=8)
    play.wait(10)
    play.delete("y")
    play.wait()
    assert (play.names(), play.ledger("y")) == (["x"], [])


def test_a_finished_run_is_kept_for_a_week(play: Play) -> None:
    """It ends at 60: still there a second before 60 + 7 days, gone then."""
    play.fleet(a1=8)
    play.submit("x", gpus=8, lasts="58s")
    play.until(60 + 7 * DAY - 1)
    assert play.phases() == {"x": "Succeeded"}
    play.wait(1)
    assert (play.names(), play.decided("x")[-1]) == ([], (60 + 7 * DAY, "Removed"))


def test_a_finished_run_is_kept_as_long_as_another_waits_for_it(play: Play) -> None:
    """x ends at 60. y waits for it, suspended, until it is canceled after 8 days: x, a day overdue, goes then."""
    play.fleet(a1=8)
    play.submit("x", gpus=8, lasts="58s")
    play.submit("y", gpus=8, after=["x"], suspend=True)
    play.until(8 * DAY)
    assert play.phases() == {"x": "Succeeded", "y": "Held"}
    play.cancel("y")
    play.wait(10)
    assert play.phases() == {"y": "Failed"}
    assert play.decided("x")[-1] == (8 * DAY, "Removed")

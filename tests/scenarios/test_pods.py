"""Pods that fail, never come up, or are taken away. A pod runs 2 s after it was made."""

from __future__ import annotations

import pytest
from tests.scenarios.play import Play


def fill(play: Play, **said: object) -> None:
    """x takes the 8 GPUs of a1 with two pods; y waits for them."""
    play.fleet(a1=8)
    play.submit("x", gpus=8, per_pod=4, **said)
    play.wait(1)
    play.submit("y", gpus=8)


def test_a_failed_rank_fails_the_run(play: Play) -> None:
    """Both ranks end at 2 + 10 = 12, rank 1 badly: the whole run failed, and its GPUs are free at 12."""
    fill(play, lasts="10s", failing_ranks="1")
    play.until(20)
    assert (play.phase("x"), play.reason("x"), play.message("x")) == (
        "Failed",
        "PodFailed",
        "rank 1 failed: exit code 1",
    )
    assert (play.ledger("x"), play.at("y", "startedAt")) == ([("Start", 0, "RunFailed", 12)], 12)


def test_a_retried_gang_keeps_its_places(play: Play) -> None:
    """Two tries fail: 0 to 12, then after 10 s 22 to 34. The third, 44 to 56, succeeds. y gets nothing before 56."""
    fill(play, lasts="10s", failures="2", onPodFailure={"policy": "Retry", "limit": 2, "backoff": "10s"})
    play.until(30)
    assert (play.phase("x"), play.places("x"), play.phase("y")) == ("Running", {"a1": [*range(8)]}, "Queued")
    play.until(40)
    assert (play.phase("x"), play.reason("x"), play.message("x")) == (
        "Starting",
        "Retrying",
        "ranks 0, 1 failed: exit code 1; retry 2 of 2",
    )
    play.until(60)
    assert (play.phase("x"), play.ledger("x")) == ("Succeeded", [("Start", 0, "Succeeded", 56)])
    assert (play.status("x")["attempt"], play.at("y", "startedAt")) == (1, 56)
    moments = [(0, "Starts"), (2, "Moves"), (12, "Moves"), (22, "Moves"), (24, "Moves"), (34, "Moves")]
    assert play.decided("x") == [*moments, (44, "Moves"), (46, "Moves"), (56, "Released")]


def test_a_gang_that_fails_too_often_fails(play: Play) -> None:
    """One retry allowed: 0 to 12, 22 to 34, and no more."""
    fill(play, lasts="10s", exit_code="3", onPodFailure={"policy": "Retry", "limit": 1, "backoff": "10s"})
    play.until(60)
    assert (play.phase("x"), play.ledger("x")) == ("Failed", [("Start", 0, "RunFailed", 34)])
    assert play.message("x") == "ranks 0, 1 failed: exit code 3 after 1 retry"


def test_failed_ranks_may_count_as_ended(play: Play) -> None:
    """Rank 0 of 2 fails at 12, when the other succeeds: done, with a word about it."""
    fill(play, lasts="10s", failing_ranks="0", onPodFailure={"policy": "Ignore"})
    play.until(20)
    assert (play.phase("x"), play.message("x")) == ("Succeeded", "1 of 2 ranks failed and was ignored")
    assert play.ledger("x") == [("Start", 0, "Succeeded", 12)]


def test_a_start_that_does_not_come_up_is_tried_three_times_more(play: Play) -> None:
    """15 minutes each; the pods are gone 1 s later; the pause doubles from the time-out on: 60, 120, 240 s.

    Starts at 0, 900+60 = 960, 1860+120 = 1980, 2880+240 = 3120; the last one is given up at 4020.
    """
    play.fleet(a1=8)
    play.submit("x", gpus=8, starts="Never")
    play.until(930)
    assert (play.phase("x"), play.codes("x"), play.held_gpus()) == ("Held", ["StartBackOff"], 0)
    play.until(5000)
    assert [lease[1::2] for lease in play.ledger("x")] == [(0, 901), (960, 1861), (1980, 2881), (3120, 4021)]
    assert (play.phase("x"), play.reason("x"), play.at("x", "finishedAt")) == ("Failed", "StartTimeout", 4021)
    assert (play.at("x", "admittedAt"), play.status("x")["attempt"]) == (0, 4)


def test_while_a_start_is_put_off_others_have_the_gpus(play: Play) -> None:
    """x gives up at 60, its own limit, and its pods are gone at 61: y, since 1, has a1 from 61 to 121.

    x may try again from 120 on, and can at 121.
    """
    play.fleet(a1=8)
    play.submit("x", gpus=8, starts="Never", startTimeout="60s")
    play.wait(1)
    play.submit("y", gpus=8, lasts="58s")
    play.until(130)
    assert (play.at("y", "startedAt"), play.at("x", "startedAt"), play.status("x")["attempt"]) == (61, 121, 2)


def test_an_evicted_rank_starts_again_where_it_was(play: Play) -> None:
    """Rank 1 is told to go at 10 and gone at 11; made anew then, it runs from 13 for 58 s: x is Starting until then.

    Rank 0 is done at 60, x at 71.
    """
    fill(play, lasts="58s")
    play.until(10)
    play.evict("x", 1)
    play.until(12)
    assert (play.phase("x"), play.pods("x"), play.ranks("x")) == ("Starting", ["x-1-0", "x-1-1"], ["a1", "a1"])
    play.until(20)
    assert play.phase("x") == "Running"
    play.until(80)
    assert (play.phase("x"), play.ledger("x")) == ("Succeeded", [("Start", 0, "Succeeded", 71)])
    assert (play.at("y", "startedAt"), play.decided("x")[2]) == (71, (11, "Moves"))


def test_an_evicted_rank_whose_node_is_closed_takes_the_gang_elsewhere(play: Play) -> None:
    """Drained at 10: a1 is cordoned, rank 0 gone at 11, rank 1 told to go then and gone at 12.

    b1 takes the gang at 12.
    """
    play.fleet(a1=8, b1=8)
    play.submit("x", gpus=8, per_pod=4)
    play.until(10)
    play.cordon("a1")
    play.evict("x", 0)
    play.until(20)
    assert play.ledger("x") == [("Start", 0, "Evicted", 12), ("Requeue", 12, None, None)]
    assert (play.ranks("x"), play.at("x", "admittedAt"), play.phase("x")) == (["b1", "b1"], 0, "Running")


def test_a_drained_gang_that_finds_no_other_place_waits_at_its_old_one_in_line(play: Play) -> None:
    """As before, without b1: x (admitted at 0) waits before y (at 1). Uncordoned at 100, a1 takes x, not y."""
    fill(play)
    play.until(10)
    play.cordon("a1")
    play.evict("x", 0)
    play.until(100)
    assert (play.phase("x"), play.at("x", "queuedSince"), play.phase("y")) == ("Queued", 12, "Queued")
    play.uncordon("a1")
    play.until(110)
    assert (play.at("x", "startedAt"), play.phase("y")) == (100, "Queued")


def apart(play: Play, **said: object) -> None:
    """Rank 1 is told to go at 50 and runs anew from 53 for 98 s. Rank 0 is done at 100, and that is noted at 120."""
    fill(play, lasts="98s", **said)
    play.until(50)
    play.evict("x", 1)
    play.until(110)
    assert (play.phase("x"), play.status("x").get("endedRanks")) == ("Running", None)


def test_a_rank_that_is_done_does_not_run_again_when_its_pod_is_removed(play: Play) -> None:
    """A drain of a1 at 130 takes the pod of rank 0, which is done, and leaves rank 1: x goes on, and is done at 151."""
    apart(play)
    play.until(130)
    assert play.status("x")["endedRanks"] == [0]
    play.cordon("a1")
    play.evict("x", 0)
    play.until(140)
    assert (play.phase("x"), play.pods("x")) == ("Running", ["x-1-1"])
    play.until(160)
    assert (play.ledger("x"), play.message("x")) == ([("Start", 0, "Succeeded", 151)], "all ranks succeeded")


def test_nor_does_one_that_failed_where_that_is_ignored(play: Play) -> None:
    """Rank 0 fails at 100, and its pod is removed at 130."""
    apart(play, failing_ranks="0", onPodFailure={"policy": "Ignore"})
    play.until(130)
    play.evict("x", 0)
    play.until(160)
    assert (play.ledger("x"), play.message("x")) == ([("Start", 0, "Succeeded", 151)], "all ranks ended")


@pytest.mark.unbroken
def test_nor_does_one_whose_pod_is_removed_before_that_is_noted(play: Play) -> None:
    """At 110: who has seen that it was done notes it then."""
    apart(play)
    play.evict("x", 0)
    play.until(111)
    assert (play.phase("x"), play.status("x")["endedRanks"], play.pods("x")) == ("Running", [0], ["x-1-1"])
    play.until(160)
    assert play.ledger("x") == [("Start", 0, "Succeeded", 151)]


def test_a_rank_that_is_done_runs_again_with_a_retry_of_the_gang(play: Play) -> None:
    """Rank 1 fails once, at 151: both are made anew, at 161, and nothing is noted of rank 0 any more."""
    apart(play, failing_ranks="1", failures="1", onPodFailure={"policy": "Retry", "limit": 1, "backoff": "10s"})
    play.until(130)
    assert play.status("x")["endedRanks"] == [0]
    play.until(170)
    assert (play.status("x").get("endedRanks"), play.pods("x")[2:]) == (None, ["x-1r1-0", "x-1r1-1"])

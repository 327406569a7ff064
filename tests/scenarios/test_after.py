"""Runs that wait for others.

One that lasts 58 s ends 60 s after its start; one that lasts 10 s and fails, 12 s after.
"""

from __future__ import annotations

from tests.scenarios.play import Play


def test_a_chain_runs_link_by_link(play: Play) -> None:
    """There is room for all three at once, but each waits for the one before: 0 to 60, 60 to 120, 120 to 180."""
    play.fleet(a1=8)
    play.submit("z", gpus=1, lasts="58s", after=["y"])
    play.submit("y", gpus=1, lasts="58s", after=["x"])
    play.submit("x", gpus=1, lasts="58s")
    play.wait(30)
    assert (play.phases(), play.codes("z")) == (
        {"x": "Running", "y": "Held", "z": "Held"},
        ["UpstreamUnfinished"],
    )
    play.until(200)
    assert [(play.at(name, "startedAt"), play.at(name, "finishedAt")) for name in "xyz"] == [
        (0, 60),
        (60, 120),
        (120, 180),
    ]


def test_a_run_waits_for_all_of_its_upstreams(play: Play) -> None:
    """x ends at 60, y at 90: z starts at 90. At 70 only y is named."""
    play.fleet(a1=8)
    play.submit("x", gpus=1, lasts="58s")
    play.submit("y", gpus=1, lasts="88s")
    play.submit("z", gpus=1, after=["x", "y"])
    play.until(70)
    assert (play.codes("z"), play.message("z")) == (["UpstreamUnfinished"], "waits for run y, which is Running")
    play.until(100)
    assert play.at("z", "startedAt") == 90


def test_an_upstream_that_is_submitted_anew_in_time_is_waited_for(play: Play) -> None:
    """x fails at 12, so y has until 72. A new x, at 30, ends at 42, and y starts then."""
    play.fleet(a1=8)
    play.submit("x", gpus=1, lasts="10s", exit_code="1")
    play.submit("y", gpus=1, after=["x"], afterFailure={"policy": "Wait", "grace": "60s"})
    play.until(30)
    assert (play.phase("x"), play.codes("y")) == ("Failed", ["UpstreamFailed"])
    play.delete("x")
    play.wait()
    play.submit("x", gpus=1, lasts="10s")
    play.until(100)
    assert (play.at("x", "finishedAt"), play.at("y", "startedAt")) == (42, 42)


def test_an_upstream_that_is_submitted_anew_too_late_is_waited_for_no_more(play: Play) -> None:
    """x fails at 12; at 12 + 60 = 72 y fails, without ever having held anything.

    A new x at 80 does not bring it back.
    """
    play.fleet(a1=8)
    play.submit("x", gpus=1, lasts="10s", exit_code="1")
    play.submit("y", gpus=1, after=["x"], afterFailure={"policy": "Wait", "grace": "60s"})
    play.until(71)
    assert play.phase("y") == "Held"
    play.until(80)
    play.delete("x")
    play.wait()
    play.submit("x", gpus=1, lasts="10s")
    play.until(200)
    assert (play.phase("y"), play.reason("y"), play.at("y", "finishedAt")) == ("Failed", "UpstreamFailed", 72)
    assert play.ledger("y") == []


def test_without_a_word_a_failed_upstream_is_waited_for_half_an_hour(play: Play) -> None:
    """12 + 1800 = 1812."""
    play.fleet(a1=8)
    play.submit("x", gpus=1, lasts="10s", exit_code="1")
    play.submit("y", gpus=1, after=["x"])
    play.until(1811)
    assert play.phase("y") == "Held"
    play.until(1813)
    assert play.at("y", "finishedAt") == 1812


def test_a_failed_upstream_fails_at_once_who_wants_it_so(play: Play) -> None:
    """x fails at 12, y at 12, and z, which waits for y in the same manner, at 12 as well."""
    play.fleet(a1=8)
    play.submit("x", gpus=1, lasts="10s", exit_code="1")
    play.submit("y", gpus=1, after=["x"], afterFailure={"policy": "Fail"})
    play.submit("z", gpus=1, after=["y"], afterFailure={"policy": "Fail"})
    play.until(20)
    assert [(play.phase(name), play.at(name, "finishedAt")) for name in "xyz"] == [("Failed", 12)] * 3
    assert [play.reason(name) for name in "xyz"] == ["PodFailed", "UpstreamFailed", "UpstreamFailed"]


def test_two_runs_that_wait_for_each_other_are_told(play: Play) -> None:
    """The circle closes at 10, for both. Canceled at 20, y is a failed upstream: x has half an hour, to 1820."""
    play.fleet(a1=8)
    play.submit("x", gpus=1, after=["y"])
    play.wait(10)
    assert play.codes("x") == ["UpstreamMissing"]
    play.submit("y", gpus=1, after=["x"])
    play.wait(10)
    assert play.codes("x") == play.codes("y") == ["UpstreamUnfinished", "UpstreamCycle"]
    assert play.message("x").endswith("waits for itself: x -> y -> x; cancel one of them")
    play.cancel("y")
    play.until(2000)
    assert (play.at("y", "finishedAt"), play.at("x", "finishedAt"), play.reason("x")) == (20, 1820, "UpstreamFailed")


def test_three_runs_that_wait_in_a_circle_are_all_told(play: Play) -> None:
    """x after y, y after z; z after x closes the circle at 20, for all three."""
    play.fleet(a1=8)
    for name, upstream in (("x", "y"), ("y", "z"), ("z", "x")):
        play.submit(name, gpus=1, after=[upstream])
        play.wait(10)
    assert [play.codes(name) for name in "xyz"] == [["UpstreamUnfinished", "UpstreamCycle"]] * 3


def test_a_circle_that_is_opened_lets_its_runs_go_on(play: Play) -> None:
    """x, y and z wait in a circle until z waits for nobody, at 10: z 10 to 70, y 70 to 130, x 130 to 190."""
    play.fleet(a1=8)
    for name, upstream in (("x", "y"), ("y", "z"), ("z", "x")):
        play.submit(name, gpus=1, lasts="58s", after=[upstream])
    play.wait(10)
    play.edit("z", after=[])
    play.wait()
    assert [play.codes(name) for name in "xy"] == [["UpstreamUnfinished"]] * 2
    play.until(200)
    assert [play.at(name, "startedAt") for name in "zyx"] == [10, 70, 130]

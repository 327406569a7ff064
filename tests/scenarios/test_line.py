"""Who goes first, and who may not stand in line. One node a1 with 8 GPUs where nothing else is said.

A pod comes up 2 s after its start, so that a run that lasts 58 s holds its GPUs for 60.
"""

from __future__ import annotations

from tests.scenarios.play import Play


def test_first_come_is_first_served(play: Play) -> None:
    """x 0 to 60; y came at 10 and has 60 to 120; z came at 20 and starts at 120."""
    play.fleet(a1=8)
    for name in "xyz":
        play.submit(name, gpus=8, lasts="58s")
        play.wait(10)
    play.until(200)
    assert [play.at(name, "startedAt") for name in "xyz"] == [0, 60, 120]
    assert [play.at(name, "admittedAt") for name in "xyz"] == [0, 10, 20]


def test_a_run_may_pass_one_that_does_not_fit(play: Play) -> None:
    """x holds 6. y (4) waits for more than the 2 that are left; z (2), later, takes them at 20. y starts at 60."""
    play.fleet(a1=8)
    for name, gpus in (("x", 6), ("y", 4), ("z", 2)):
        play.submit(name, gpus=gpus, lasts="58s" if name == "x" else "1h")
        play.wait(10)
    assert (play.at("z", "startedAt"), play.phase("y")) == (20, "Queued")
    play.until(70)
    assert play.at("y", "startedAt") == 60


def test_runs_of_equal_need_start_in_the_order_of_admission(play: Play) -> None:
    """Names run against time: c came first, then b, then a; each has the node for 60 s."""
    play.fleet(a1=8)
    for name in ("x", "c", "b", "a"):
        play.submit(name, gpus=8, lasts="58s")
        play.wait(10)
    play.until(200)
    assert [play.at(name, "startedAt") for name in "cba"] == [60, 120, 180]


def test_runs_admitted_in_the_same_instant_go_by_name(play: Play) -> None:
    """c, b and a are all admitted at 0; two fit (4 each): a and b. c follows at 60."""
    play.fleet(a1=8)
    for name in ("c", "b", "a"):
        play.submit(name, gpus=4, lasts="58s")
    play.until(70)
    assert [play.at(name, "startedAt") for name in "abc"] == [0, 0, 60]


def test_of_what_becomes_free_the_first_in_line_takes_before_the_others(play: Play) -> None:
    """At 60 8 are free: y (6, since 10) first; z (4, since 20) does not fit the 2 left, w (2, since 30) does."""
    play.fleet(a1=8)
    for name, gpus in (("x", 8), ("y", 6), ("z", 4), ("w", 2)):
        play.submit(name, gpus=gpus, lasts="58s")
        play.wait(10)
    play.until(119)
    assert [play.at(name, "startedAt") for name in "yzw"] == [60, None, 60]


def test_two_that_end_in_the_same_instant_make_room_for_one(play: Play) -> None:
    """x and y (4 each) both end at 60; z (8) has both halves in the same instant."""
    play.fleet(a1=8)
    play.submit("x", gpus=4, lasts="58s")
    play.submit("y", gpus=4, lasts="58s")
    play.wait(10)
    play.submit("z", gpus=8)
    play.until(100)
    assert (play.at("x", "finishedAt"), play.at("y", "finishedAt"), play.at("z", "startedAt")) == (60, 60, 60)
    assert [record for record in play.decided("z") if record[1] == "Starts"] == [(60, "Starts")]


def test_all_reasons_of_a_held_run_are_told(play: Play) -> None:
    """Suspended, for an owner that nobody knows, after a run that is not there: none hides the others."""
    play.fleet(a1=8)
    play.submit("x", gpus=1, suspend=True, owner="ghost", after=["nowhere"])
    play.wait()
    assert (play.phase("x"), play.codes("x")) == ("Held", ["Suspended", "OwnerUnknown", "UpstreamMissing"])
    assert (play.at("x", "admittedAt"), play.status("x")["pendingGPUs"]) == (None, 1)


def test_a_resumed_run_stands_at_the_end_of_the_line(play: Play) -> None:
    """y (10) stood before z (20) until it was suspended at 30; resumed at 40, it is behind: z at 60, y at 120."""
    play.fleet(a1=8)
    for name in "xyz":
        play.submit(name, gpus=8, lasts="58s")
        play.wait(10)
    play.suspend("y")
    play.wait(10)
    assert (play.phase("y"), play.codes("y")) == ("Held", ["Suspended"])
    play.resume("y")
    play.until(200)
    assert (play.at("z", "startedAt"), play.at("y", "startedAt"), play.at("y", "admittedAt")) == (60, 120, 40)


def test_a_running_run_that_is_suspended_gives_its_gpus_back(play: Play) -> None:
    """Suspended at 30, x's pods are gone at 31, and y (since 10) starts.

    Resumed at 40, x starts again when y ends at 91.
    """
    play.fleet(a1=8)
    play.submit("x", gpus=8)
    play.wait(10)
    play.submit("y", gpus=8, lasts="58s")
    play.wait(20)
    play.suspend("x")
    play.until(40)
    assert (play.phase("x"), play.reason("x"), play.at("y", "startedAt")) == ("Held", "Suspended", 31)
    play.resume("x")
    play.until(100)
    assert play.ledger("x") == [("Start", 0, "Suspended", 31), ("Requeue", 91, None, None)]
    assert (play.phase("x"), play.at("x", "admittedAt"), play.status("x")["attempt"]) == ("Running", 40, 2)


def test_a_requeued_run_goes_before_those_that_came_later(play: Play) -> None:
    """x on a1, y on b1, z waits since 10. x loses a1 at 20 and was admitted at 0: at 60 it gets b1, and z waits on."""
    play.fleet(a1=8, b1=8)
    play.submit("x", gpus=8)
    play.submit("y", gpus=8, lasts="58s")
    play.wait(10)
    play.submit("z", gpus=8)
    play.wait(10)
    play.lose("a1")
    play.until(70)
    assert play.ledger("x") == [("Start", 0, "NodeLost", 20), ("Requeue", 60, None, None)]
    assert (play.at("x", "admittedAt"), play.places("x"), play.phase("z")) == (0, {"b1": [*range(8)]}, "Queued")


def test_a_run_takes_its_place_in_line_once_nothing_holds_it(play: Play) -> None:
    """y was submitted at 10 and held by x until 60, its admission. z was admitted at 20: z at 60, y at 120."""
    play.fleet(a1=8)
    play.submit("x", gpus=8, lasts="58s")
    play.wait(10)
    play.submit("y", gpus=8, lasts="58s", after=["x"])
    play.wait(10)
    play.submit("z", gpus=8, lasts="58s")
    play.until(200)
    assert [play.at(name, "admittedAt") for name in "yz"] == [60, 20]
    assert [play.at(name, "startedAt") for name in "yz"] == [120, 60]

"""Who finds no room is told when it will start. One node a1 with 8 GPUs where nothing else is said.

A pod comes up 2 s after its start: `x` below, which says 10 minutes and lasts 598 s, holds its GPUs for 600.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.scenarios.play import Play

from runs_core.settings import ReservationSettings, Settings

HISTORY = Settings(reservations=ReservationSettings(history=5))
ONE = Settings(reservations=ReservationSettings(max=1))


def submit(play: Play, name: str, gpus: int, said: str, lasts: str, **more: object) -> None:
    play.submit(name, gpus=gpus, lasts=lasts, runtime={"expectedDuration": said}, **more)


def x_and_y(play: Play, lasts: str = "598s") -> None:
    """x has the node from 0 and says 10 minutes; y comes at 10 and says 10 minutes."""
    play.fleet(a1=8)
    submit(play, "x", 8, "10m", lasts)
    play.until(10)
    submit(play, "y", 8, "10m", "598s")
    play.wait()


def test_a_node_that_is_not_ready_for_a_while_ends_no_promise(play: Play) -> None:
    """As Kubernetes says it, with a taint, from 10 to 70: y's one promise stands through 60, and is kept at 600."""
    x_and_y(play)
    play.node("a1", ready=False, taints=[{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}])
    play.until(70)
    assert (play.promised("y"), play.phase("y")) == (("Pending", 600, "Ends"), "Reserved")
    play.node("a1")
    play.until(700)
    assert (play.at("y", "startedAt"), play.promises("y")) == (600, [(600, "", 0)])


def test_a_promise_is_made_and_kept(play: Play) -> None:
    """600, and y starts at 600: the forecast was off by nothing."""
    x_and_y(play)
    assert play.promised("y") == ("Pending", 600, "Ends")
    found = play.reservation("y")
    assert (found["deficitGPUs"], found["shortOf"], found["blockedBy"]) == (8, "capacity", ["research/x"])
    assert (play.phase("y"), play.reason("y")) == ("Reserved", "NotEnoughGPUs")
    play.until(700)
    assert (play.at("y", "startedAt"), play.promises("y")) == (600, [(600, "", 0)])
    assert (play.promised("y"), play.status("y").get("reservation")) == (("Released", 600, "Ends"), None)


def test_nothing_is_promised_where_nothing_says_when(play: Play) -> None:
    play.fleet(a1=8)
    play.submit("x", gpus=8, lasts="598s")
    play.until(10)
    play.submit("y", gpus=8)
    play.until(100)
    assert (play.phase("y"), play.promised("y")) == ("Queued", None)


def test_one_after_another(play: Play) -> None:
    """x until 600, then y until 1200, then z."""
    x_and_y(play)
    submit(play, "z", 8, "5m", "298s")
    play.wait()
    assert [play.promised(name) for name in "yz"] == [("Pending", 600, "Ends"), ("Pending", 1200, "Ends")]
    play.until(1300)
    assert [play.at(name, "startedAt") for name in "yz"] == [600, 1200]


def test_who_ends_early_lets_the_next_start_early(play: Play) -> None:
    """x ends at 300 instead of 600."""
    x_and_y(play, lasts="298s")
    play.until(310)
    assert (play.at("y", "startedAt"), play.promises("y")) == (300, [(600, "", -300)])


def test_who_runs_on_keeps_the_next_waiting_and_is_told_so_when_it_starts(play: Play) -> None:
    """x says 10 minutes and takes 20. It is waited for until 660, a tenth more; then the promise stands, overdue."""
    x_and_y(play, lasts="1198s")
    play.until(1100)
    assert (play.phase("y"), play.promised("y")) == ("Reserved", ("Pending", 660, "Ends"))
    play.until(1210)
    why = "research/x is expected to run until 2026-01-05T12:11:00Z"
    assert (play.at("y", "startedAt"), play.promises("y")) == (1200, [(600, "", 600), (660, why, 540)])


def test_who_runs_on_long_before_another_ends_moves_the_promise_at_once(play: Play) -> None:
    """y (16) waits for x, which says 10 minutes and takes longer, and z, which says an hour; v has a3 for two hours.

    At 660 nothing says any more when x ends: y is told 7200, when v has ended, and not only at 3600.
    """
    play.fleet(a1=8, a2=8, a3=8)
    submit(play, "x", 8, "10m", "3h")
    submit(play, "z", 8, "1h", "3598s")
    submit(play, "v", 8, "2h", "7198s")
    play.until(10)
    play.submit("y", gpus=16, lasts="598s", runtime={"expectedDuration": "10m"})
    play.until(700)
    why = "research/x runs longer than was expected"
    assert [(start, cause) for start, cause, _ in play.promises("y")] == [(3600, ""), (7200, why)]


def test_a_pod_of_somebody_else_in_promised_places_moves_the_promise_within_the_minute(play: Play) -> None:
    """y (8) is promised a1 at 3600, when x has ended; u has a2 for two hours. Somebody else's pod has a GPU of a1."""
    play.fleet(a1=8, a2=8)
    submit(play, "u", 8, "2h", "7198s")
    submit(play, "x", 7, "1h", "3598s")
    play.until(10)
    submit(play, "y", 8, "10m", "598s")
    play.until(310)
    node = "a2" if "a1" in play.places("u") else "a1"
    play.foreign("other", node, 1)
    play.until(370)
    why = f"node {node} has GPUs in use by pods that runs did not place"
    assert [(start, cause) for start, cause, _ in play.promises("y")] == [(3600, ""), (7200, why)]


@pytest.mark.settings(ONE)
def test_who_never_fits_takes_no_reservation_from_those_behind(play: Play) -> None:
    """Places are kept for one run at most. n (16) never fits; x has a1 until 600, and y, behind n, is promised that."""
    play.fleet(a1=8)
    submit(play, "x", 8, "10m", "598s")
    play.until(10)
    submit(play, "n", 16, "10m", "598s")
    play.until(20)
    submit(play, "y", 8, "10m", "598s")
    play.until(70)
    assert (play.reason("n"), play.promised("n"), play.promised("y")) == ("NeverFits", None, ("Pending", 600, "Ends"))


def test_what_is_long_overdue_keeps_nobody_out_for_ever(play: Play) -> None:
    """x has a1, says 10 minutes and takes 3 hours; y wants a1 and a2. z, 2 hours on a2, must leave it to y until 660.

    An hour, the patience, after that nothing says any more when x ends: z starts. It was told 1200, since y would have
    been there until then, and 1260; once nothing says when y starts, nothing else. Once x has ended, y waits for z.
    """
    play.fleet(a1=8, a2=8)
    submit(play, "x", 8, "10m", "10798s")
    play.until(10)
    play.submit("y", gpus=16, lasts="598s", runtime={"expectedDuration": "10m"})
    play.until(20)
    submit(play, "z", 8, "2h", "7198s")
    play.until(660 + 3600 - 70)
    assert (play.promised("y"), play.at("z", "startedAt")) == (("Pending", 660, "Ends"), None)
    play.until(660 + 3600 + 70)
    said = play.status("y")["message"]
    assert "was to start about 2026-01-05T12:11:00Z" in said
    assert "no places are kept for it" in said
    assert (play.phase("y"), play.reservation("y").get("places")) == ("Reserved", None)
    assert (play.at("z", "startedAt"), [start for start, _, _ in play.promises("z")]) == (4260, [1200, 1260])
    play.until(10870)
    assert (play.promised("y"), play.phase("y")) == (("Pending", 11460, "Ends"), "Reserved")
    assert "was to start" not in play.status("y")["message"]
    play.until(11500)
    late = [(600, 10860), (660, 10800), (11460, 0)]
    assert (play.at("y", "startedAt"), [(start, error) for start, _, error in play.promises("y")]) == (11460, late)


def test_who_is_a_little_late_moves_nobody_behind_a_run_that_ends_much_later(play: Play) -> None:
    """u (4) says a day, x (4) 10 minutes and takes 20 s more: y (4) is told 600, then 660, and starts at 620."""
    play.fleet(a1=8)
    submit(play, "u", 4, "24h", "86398s")
    submit(play, "x", 4, "10m", "618s")
    play.until(10)
    submit(play, "y", 4, "10m", "598s")
    play.until(700)
    assert play.at("y", "startedAt") == 620
    assert [(start, error) for start, _, error in play.promises("y")] == [(600, 20), (660, -40)]


def test_the_short_may_use_what_is_kept_until_then_and_the_long_may_not(play: Play) -> None:
    """x has 6 until 600, y wants 8. Of the 2 that are free z has some from 20 to 320; w would stay until 1530."""
    play.fleet(a1=8)
    submit(play, "x", 6, "10m", "598s")
    play.until(10)
    submit(play, "y", 8, "10m", "598s")
    play.until(20)
    submit(play, "z", 2, "5m", "298s")
    play.until(330)
    submit(play, "w", 2, "20m", "1198s")
    play.wait()
    assert (play.at("z", "startedAt"), play.promised("w")) == (20, ("Pending", 1200, "Ends"))
    play.until(1300)
    assert [play.at(name, "startedAt") for name in "yw"] == [600, 1200]


def test_of_two_that_come_at_once_the_first_by_name_keeps_the_other_out(play: Play) -> None:
    """x has 6 until 600. a (1, an hour) goes before b (8) and starts; c (1, two hours) waits behind b."""
    play.fleet(a1=8)
    submit(play, "x", 6, "10m", "598s")
    play.until(10)
    submit(play, "a", 1, "1h", "3598s")
    submit(play, "b", 8, "10m", "598s")
    submit(play, "c", 1, "2h", "7198s")
    play.until(20)
    assert [play.at(name, "startedAt") for name in "abc"] == [10, None, None]
    assert [play.promised(name) for name in "bc"] == [("Pending", 3610, "Ends"), ("Pending", 4210, "Ends")]


def test_who_says_nothing_leaves_what_is_kept_alone_where_nobody_could_send_it_away(play: Play) -> None:
    play.fleet(a1=8)
    submit(play, "x", 6, "10m", "598s")
    play.until(10)
    submit(play, "y", 8, "10m", "598s")
    play.until(20)
    play.submit("v", gpus=2, lasts="10s")
    play.until(700)
    assert (play.at("y", "startedAt"), play.at("v", "startedAt")) == (600, None)


def test_a_gang_that_has_no_whole_domain_waits_for_the_first_to_come_free(play: Play) -> None:
    """4 are free in each of a and b, 8 in all: a is free at 600, b at 1200."""
    play.fleet(a1=8, b1=8)
    submit(play, "x", 4, "10m", "598s", selector={"runs.dev/fabric-domain": "a"})
    submit(play, "u", 4, "20m", "1198s", selector={"runs.dev/fabric-domain": "b"})
    play.until(10)
    submit(play, "y", 8, "10m", "598s", spread="SingleDomain")
    play.wait()
    found = play.reservation("y")
    assert (found["shortOf"], found["deficitGPUs"], found["blockedBy"]) == ("topology", 0, ["research/x"])
    assert play.promised("y") == ("Pending", 600, "Ends")
    play.until(610)
    assert list(play.places("y")) == ["a1"]


def test_two_that_end_at_once_are_both_waited_for(play: Play) -> None:
    play.fleet(a1=8)
    for name in ("x", "u"):
        submit(play, name, 4, "10m", "598s")
    play.until(10)
    submit(play, "y", 8, "10m", "598s")
    play.wait()
    assert sorted(play.reservation("y")["blockedBy"]) == ["research/u", "research/x"]
    assert play.promised("y") == ("Pending", 600, "Ends")


def test_each_promise_is_held_against_the_start_however_many_there_were(play: Play) -> None:
    """x says a minute more each minute, from 11 to 40, and ends at 2460. Why it moved is said of the last 19."""
    x_and_y(play, lasts="2458s")
    for minutes in range(11, 41):
        play.until(60 * (minutes - 10) - 5)
        play.edit("x", runtime={"expectedDuration": f"{minutes}m"})
    play.until(2500)
    promises = play.promises("y")
    assert (play.at("y", "startedAt"), len(promises)) == (2460, 32)
    assert {(start or 0) + (error or 0) for start, _, error in promises} == {2460}
    said = [bool(cause) for _, cause, _ in promises]
    assert said == [False] * (32 - 19) + [True] * 19


def test_a_lost_node_moves_the_promise_and_that_is_said(play: Play) -> None:
    """a1 goes at 290. x is first in line again and gets b1 at 1200, for 10 minutes; y follows at 1800."""
    play.fleet(a1=8, b1=8)
    submit(play, "u", 8, "20m", "1198s", selector={"runs.dev/fabric-domain": "b"})
    submit(play, "x", 8, "10m", "598s")
    play.until(10)
    submit(play, "y", 8, "10m", "598s")
    play.until(290)
    assert play.promised("y") == ("Pending", 600, "Ends")
    play.lose("a1")
    play.until(310)
    assert play.promised("x") == ("Pending", 1200, "Ends")
    assert play.promises("y") == [(600, "", None), (1800, "node a1 takes nothing new", None)]
    play.until(1900)
    assert [play.at(name, "startedAt") for name in "xy"] == [1200, 1800]
    assert [error for _, _, error in play.promises("y")] == [1200, 0]


def test_capacity_that_comes_earlier_moves_the_promise_earlier(play: Play) -> None:
    """z was to follow y at 1200. y is canceled at 100: at the next whole minute z is told 600."""
    x_and_y(play)
    submit(play, "z", 8, "5m", "298s")
    play.until(100)
    play.cancel("y")
    play.until(130)
    assert play.promises("z") == [(1200, "", None), (600, "capacity comes free earlier", None)]


def leaving(play: Play, leave: Callable[[str], None]) -> str:
    """x has 6; y (8) leaves at 100, and w (2), which would have stayed too long, starts at once. Why y's ended."""
    play.fleet(a1=8)
    submit(play, "x", 6, "10m", "598s")
    play.until(10)
    submit(play, "y", 8, "10m", "598s")
    play.until(20)
    submit(play, "w", 2, "1h", "3598s")
    play.until(100)
    assert play.at("w", "startedAt") is None
    leave("y")
    play.until(101)
    assert play.at("w", "startedAt") == 100
    found = play.reservation("y")
    assert (found["phase"], found.get("places")) == ("Canceled", None)
    return str(found["reason"])


def test_a_canceled_run_leaves_its_places(play: Play) -> None:
    assert (leaving(play, play.cancel), play.phase("y")) == ("Canceled", "Failed")


def test_a_suspended_run_leaves_its_places(play: Play) -> None:
    assert (leaving(play, play.suspend), play.phase("y")) == ("Held", "Held")


def test_a_deleted_run_leaves_its_places(play: Play) -> None:
    assert (leaving(play, play.delete), "y" in play.names()) == ("Deleted", False)


@pytest.mark.settings(ONE)
def test_places_are_kept_for_so_many_and_the_rest_queue_behind_them(play: Play) -> None:
    """One: y. z gets its own at the first whole minute after y has started."""
    x_and_y(play)
    submit(play, "z", 8, "5m", "298s")
    play.until(590)
    assert (play.phase("z"), play.promised("z")) == ("Queued", None)
    play.until(670)
    assert play.promised("z") == ("Pending", 1200, "Ends")


@pytest.mark.settings(HISTORY)
def test_how_long_such_runs_took_is_an_estimate_once_five_have_ended(play: Play) -> None:
    """Five of 8 GPUs took 100 s each. The sixth runs from 500: the seventh is promised 600, by history."""
    play.fleet(a1=8)
    for number in range(6):
        play.submit(f"r{number}", gpus=8, lasts="98s")
    play.until(510)
    play.submit("last", gpus=8, lasts="98s")
    play.wait()
    assert play.promised("last") == ("Pending", 600, "History")
    play.until(610)
    assert (play.at("last", "startedAt"), play.promises("last")) == (600, [(600, "", 0)])


@pytest.mark.settings(Settings(reservations=ReservationSettings(history=1)))
def test_a_start_that_never_came_up_and_a_suspended_run_are_no_such_runs(play: Play) -> None:
    """x does not come up within 60 s, and is undone; y is suspended after 40. Nothing says when z ends."""
    play.fleet(a1=8)
    play.submit("x", gpus=8, starts="1h", startTimeout="60s")
    play.until(70)
    play.cancel("x")
    play.submit("y", gpus=8, lasts="9h")
    play.until(110)
    play.suspend("y")
    play.until(120)
    closed = [held.closed for name in "xy" for held in play.ledger(name)]
    assert closed == ["StartFailed", "Suspended"]
    play.submit("z", gpus=8, lasts="98s")
    play.until(130)
    play.submit("last", gpus=8, lasts="98s")
    play.wait()
    assert (play.phase("z"), play.phase("last"), play.promised("last")) == ("Running", "Queued", None)


def test_an_estimate_of_no_time_at_all_says_nothing(play: Play) -> None:
    play.fleet(a1=8)
    submit(play, "x", 8, "0s", "598s")
    play.until(10)
    submit(play, "y", 8, "10m", "598s")
    play.until(100)
    assert play.promised("y") is None


def test_an_estimate_of_centuries_is_taken_for_ten_years(play: Play) -> None:
    play.fleet(a1=8)
    submit(play, "x", 8, "2000000h", "98s")
    play.until(10)
    submit(play, "y", 8, "2000000h", "98s")
    submit(play, "z", 8, "1h", "98s")
    play.wait()
    year = 365 * 24 * 3600
    assert [play.promised(name) for name in "yz"] == [("Pending", 10 * year, "Ends"), ("Pending", 20 * year, "Ends")]
    play.until(210)
    assert [play.at(name, "startedAt") for name in "yz"] == [100, 200]


def test_a_run_that_could_never_fit_is_promised_nothing(play: Play) -> None:
    play.fleet(a1=8)
    submit(play, "x", 8, "10m", "598s")
    play.until(10)
    submit(play, "y", 16, "10m", "598s")
    play.until(100)
    assert (play.reason("y"), play.promised("y")) == ("NeverFits", None)


def test_a_promise_that_the_fleet_can_never_keep_any_more_is_canceled(play: Play) -> None:
    """y wants both nodes; one of them goes for good at 100."""
    play.fleet(a1=8, a2=8)
    submit(play, "x", 8, "10m", "598s")
    play.until(10)
    submit(play, "y", 16, "10m", "598s")
    play.until(100)
    assert play.promised("y") == ("Pending", 600, "Ends")
    play.lose("a2")
    play.until(110)
    assert (play.reservation("y")["phase"], play.reservation("y")["reason"]) == ("Canceled", "NeverFits")
    assert (play.phase("y"), play.reason("y")) == ("Queued", "NeverFits")


def test_a_clock_that_jumps_far_ahead_keeps_the_promise_late(play: Play) -> None:
    """Nobody looked from 10 to 86400: all that was to happen meanwhile happens in order."""
    x_and_y(play)
    play.until(86_400)
    assert (play.at("y", "startedAt"), play.at("y", "finishedAt")) == (600, 1200)

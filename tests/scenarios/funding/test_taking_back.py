"""Work that nobody pays for makes room for work that somebody does: who is cut, when, and what becomes of it.

Where nothing else is said: one node a1 of 8 GPUs. `guest` has no quota, so that its runs are unfunded; `org` has 8.
A pod needs 1 s to go, so that who is cut at 100 has gone, and the beneficiary starts, at 101.
"""

from __future__ import annotations

import pytest
from tests.scenarios.funds import FundedPlay, Taking, envelope

from runs_budgets import plugin as budgets

pytestmark = pytest.mark.plugins(budgets=budgets)
SHORT = {"minRuntime": "60s"}
LONG = "2h"


def owners(play: FundedPlay) -> None:
    play.quota("guest")
    play.quota("org", envelope(8))


@pytest.mark.live
def test_unfunded_work_makes_room_for_who_is_paid_for(play: FundedPlay) -> None:
    """x (8, guest) from 0; y (8, org) comes at 100. x waits again with its place in line. Metered: 8 x 101 unfunded."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime=SHORT)
    play.until(100)
    play.submit("y", gpus=8, owner="org")
    play.wait(5)
    assert play.takings() == [Taking("y", ["x"], 8, "Released", "Started")]
    assert (play.at("y", "startedAt"), play.classes("y")) == (101, {"owned": 8})
    assert play.ledger("x") == [("Start", 0, "UnfundedReclaimed", 101)]
    assert (play.phase("x"), play.at("x", "admittedAt"), play.status("x")["preemptions"]) == ("Queued", 0, 1)
    assert play.metered("x") == [{"unfunded": 808}]


def test_nobody_is_cut_inside_its_min_runtime(play: FundedPlay) -> None:
    """y comes at 10. x started at 0 and is left alone until 60: cut then, gone at 61."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime=SHORT)
    play.until(10)
    play.submit("y", gpus=8, owner="org")
    play.until(59)
    assert (play.phase("x"), play.phase("y"), play.takings()) == ("Running", "Reserved", [])
    play.until(70)
    assert (play.at("y", "startedAt"), play.ledger("x")[0].end) == (61, 61)


def test_the_clusters_min_runtime_holds_where_a_run_says_none(play: FundedPlay) -> None:
    """30 minutes: x, from 0, is cut at 1800."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest")
    play.until(10)
    play.submit("y", gpus=8, owner="org")
    play.until(1900)
    assert play.at("y", "startedAt") == 1801


def test_a_run_that_asks_to_be_left_alone_for_longer_is_capped(play: FundedPlay) -> None:
    """It says 100 h; the cluster's cap is 4 h: cut at 14400."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime={"minRuntime": "100h"})
    play.until(10)
    play.submit("y", gpus=8, owner="org")
    play.until(14500)
    assert play.at("y", "startedAt") == 14401


@pytest.mark.live
def test_who_is_cut_has_its_grace(play: FundedPlay) -> None:
    """x needs 20 s to go and has 30: cut at 100, gone at 120, and y starts then. Until then x's GPUs are metered."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime={**SHORT, "checkpointGrace": "30s"}, stops="20s")
    play.until(100)
    play.submit("y", gpus=8, owner="org")
    play.until(110)
    assert (play.phase("y"), play.reason("y"), play.held_gpus()) == ("Queued", "Activating", 8)
    play.until(130)
    assert (play.at("y", "startedAt"), play.metered("x")) == (120, [{"unfunded": 960}])


def test_grace_ends(play: FundedPlay) -> None:
    """x would need 100 s to go and has 40: killed at 140."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime={**SHORT, "checkpointGrace": "40s"}, stops="100s")
    play.until(100)
    play.submit("y", gpus=8, owner="org")
    play.until(150)
    assert play.at("y", "startedAt") == 140


def test_who_was_cut_keeps_its_place_in_line(play: FundedPlay) -> None:
    """x (admitted at 0) is cut for y, which ends at 161. w (8, guest, since 50) waits too: x is first, and w is not."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime=SHORT)
    play.until(50)
    play.submit("w", gpus=8, owner="guest", runtime=SHORT)
    play.until(100)
    play.submit("y", gpus=8, owner="org", lasts="58s")
    play.until(170)
    assert (play.at("y", "finishedAt"), play.at("x", "startedAt"), play.phase("w")) == (161, 161, "Queued")
    assert [(held.opened, held.start) for held in play.ledger("x")] == [("Start", 0), ("Requeue", 161)]
    assert play.status("x")["attempt"] == 2


def test_a_run_may_fail_rather_than_wait_again(play: FundedPlay) -> None:
    """onPreemption Fail: x is over at 101."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime=SHORT, onPreemption="Fail")
    play.until(100)
    play.submit("y", gpus=8, owner="org")
    play.wait(5)
    assert (play.phase("x"), play.reason("x"), play.at("x", "finishedAt")) == ("Failed", "Preempted", 101)
    assert play.phase("y") == "Running"


@pytest.mark.live
def test_an_owner_recalls_gpus_from_its_family(play: FundedPlay) -> None:
    """x (8, vision) is shared on org's 8. org's own y (8) makes it unfunded work by its claim, and x is cut for it."""
    play.fleet(a1=8)
    play.quota("org", envelope(8))
    play.quota("vision", parents=["org"])
    play.submit("x", gpus=8, owner="vision", runtime=SHORT)
    play.until(100)
    assert play.classes("x") == {"shared": 8}
    play.submit("y", gpus=8, owner="org")
    play.wait(5)
    assert play.takings() == [Taking("y", ["x"], 8, "Released", "Started")]
    assert play.classes("y") == {"owned": 8}


def test_a_gang_with_an_unfunded_part_stops_as_a_whole(play: FundedPlay) -> None:
    """x (8): 4 of vision's own and 4 of org's. org wants its 4 back for y (4): x, all of it, makes room."""
    play.fleet(a1=8)
    play.quota("org", envelope(4))
    play.quota("vision", envelope(4), parents=["org"])
    play.submit("x", gpus=8, owner="vision", runtime=SHORT)
    play.until(100)
    play.submit("y", gpus=4, owner="org")
    play.wait(5)
    assert play.takings() == [Taking("y", ["x"], 8, "Released", "Started")]
    assert (play.phase("x"), play.held_gpus()) == ("Queued", 4)


def test_the_family_may_take_back_as_well(play: FundedPlay) -> None:
    """vision's y is paid for by org, its parent: it is fundable, and x (guest) is not."""
    play.fleet(a1=8)
    owners(play)
    play.quota("vision", parents=["org"])
    play.submit("x", gpus=8, owner="guest", runtime=SHORT)
    play.until(100)
    play.submit("y", gpus=8, owner="vision")
    play.wait(5)
    assert (play.at("y", "startedAt"), play.classes("y")) == (101, {"shared": 8})


def test_the_family_does_not_take_from_the_family(play: FundedPlay) -> None:
    """x (8, vision) and y (8, audio), both children of org, on org's 8: nothing is left for y, and nobody is cut."""
    play.fleet(a1=8)
    play.quota("org", envelope(8))
    for name in ("vision", "audio"):
        play.quota(name, parents=["org"])
    play.submit("x", gpus=8, owner="vision", runtime=SHORT)
    play.until(100)
    play.submit("y", gpus=8, owner="audio")
    play.until(300)
    assert (play.phase("x"), play.phase("y"), play.takings()) == ("Running", "Queued", [])


def test_who_is_paid_for_is_never_cut(play: FundedPlay) -> None:
    """x (8) is audio's own, y (8) org's own, and the fleet has 8: y waits until x ends at 300."""
    play.fleet(a1=8)
    owners(play)
    play.quota("audio", envelope(8))
    play.submit("x", gpus=8, owner="audio", runtime=SHORT, lasts="298s")
    play.until(100)
    play.submit("y", gpus=8, owner="org")
    play.until(310)
    assert (play.at("y", "startedAt"), play.takings()) == (300, [])


def test_nobody_is_cut_for_who_is_not_paid_for(play: FundedPlay) -> None:
    """Both are guest's: first come, first served, for as long as x lasts."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime=SHORT, lasts="298s")
    play.until(100)
    play.submit("y", gpus=8, owner="guest")
    play.until(310)
    assert (play.at("y", "startedAt"), play.takings()) == (300, [])


def test_nobody_is_cut_for_a_gang_wider_than_its_quota(play: FundedPlay) -> None:
    """org has 8 and y wants 12 of 16: unfundable, and x and z (8 each, guest) are left alone."""
    play.fleet(a1=8, b1=8)
    owners(play)
    for name in "xz":
        play.submit(name, gpus=8, owner="guest", runtime=SHORT)
    play.until(100)
    play.submit("y", gpus=12, owner="org")
    play.until(200)
    assert (play.phase("y"), play.reason("y"), play.takings()) == ("Queued", "OutOfQuota", [])


def test_nobody_is_cut_where_that_would_not_suffice(play: FundedPlay) -> None:
    """Of a1's 8, 4 are somebody else's and 4 x's: y (8) would not fit with x gone either. That pod goes at 201."""
    play.fleet(a1=8)
    owners(play)
    play.foreign("theirs", "a1", 4)
    play.submit("x", gpus=4, owner="guest", runtime=SHORT)
    play.until(100)
    play.submit("y", gpus=8, owner="org")
    play.until(200)
    assert (play.phase("x"), play.takings()) == ("Running", [])
    play.foreign_ends("theirs")
    play.wait(5)
    assert play.takings() == [Taking("y", ["x"], 4, "Released", "Started")]
    assert play.at("y", "startedAt") == 202


def test_as_many_are_cut_as_are_needed(play: FundedPlay) -> None:
    """x and z (4 each, guest) hold a1; y wants all 8: both go."""
    play.fleet(a1=8)
    owners(play)
    for name in "xz":
        play.submit(name, gpus=4, owner="guest", runtime=SHORT)
    play.until(100)
    play.submit("y", gpus=8, owner="org")
    play.wait(5)
    assert play.takings() == [Taking("y", ["x", "z"], 8, "Released", "Started")]


def test_what_proves_unnecessary_is_given_back(play: FundedPlay) -> None:
    """a1: 1 GPU is somebody else's, x has 4, and p, q and r 1 each. y misses 4.

    If the lot falls on x first, that suffices. If it falls on others before, 3 together, x goes too, and they,
    without which it suffices, are given back. Either way only x is cut.
    """
    play.fleet(a1=8)
    owners(play)
    play.foreign("theirs", "a1", 1)
    for name, gpus in (("p", 1), ("q", 1), ("r", 1), ("x", 4)):
        play.submit(name, gpus=gpus, owner="guest", runtime=SHORT)
    play.until(100)
    play.submit("y", gpus=4, owner="org")
    play.wait(5)
    assert play.takings() == [Taking("y", ["x"], 4, "Released", "Started")]
    assert play.phases() == {"p": "Running", "q": "Running", "r": "Running", "x": "Queued", "y": "Running"}


def test_a_wide_run_is_spared_where_narrow_ones_suffice(play: FundedPlay) -> None:
    """v (12) over a1 and a2, x (4) on a2. y misses 4: v is wider than that, x suffices, and is cut."""
    play.fleet(a1=8, a2=8)
    owners(play)
    play.submit("v", gpus=12, owner="guest", runtime=SHORT)
    play.wait(1)
    play.submit("x", gpus=4, owner="guest", runtime=SHORT)
    play.until(100)
    assert play.held_gpus() == 16
    play.submit("y", gpus=4, owner="org")
    play.wait(5)
    assert play.takings() == [Taking("y", ["x"], 4, "Released", "Started")]
    assert play.phase("v") == "Running"


def test_free_gpus_are_used_before_anybody_is_cut(play: FundedPlay) -> None:
    """x (4) holds half of a1. y (4) starts on the other half; z (4) finds no room, and x goes for it."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=4, owner="guest", runtime=SHORT)
    play.until(100)
    play.submit("y", gpus=4, owner="org")
    play.wait(5)
    assert (play.at("y", "startedAt"), play.takings()) == (100, [])
    play.submit("z", gpus=4, owner="org")
    play.wait(5)
    assert play.takings() == [Taking("z", ["x"], 4, "Released", "Started")]
    assert play.at("z", "startedAt") == 106


def test_who_is_past_its_min_runtime_goes_and_the_other_stays(play: FundedPlay) -> None:
    """x (4) may be cut from 60 on, z (4) from 200 on. y (4) comes at 10: x, at 60, and never z."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=4, owner="guest", runtime=SHORT)
    play.submit("z", gpus=4, owner="guest", runtime={"minRuntime": "200s"})
    play.until(10)
    play.submit("y", gpus=4, owner="org")
    play.until(300)
    assert play.takings() == [Taking("y", ["x"], 4, "Released", "Started")]
    assert (play.at("y", "startedAt"), play.phase("z")) == (61, "Running")


@pytest.mark.live
def test_a_beneficiary_that_goes_leaves_the_places_to_the_line(play: FundedPlay) -> None:
    """x was told to go at 100 and is gone at 120; y is canceled at 105. x, first in line, starts again at 120."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime={**SHORT, "checkpointGrace": "30s"}, stops="20s")
    play.until(100)
    play.submit("y", gpus=8, owner="org")
    play.until(105)
    play.cancel("y")
    play.until(130)
    assert play.takings() == [Taking("y", ["x"], 8, "Canceled", "Canceled")]
    assert (play.phase("y"), play.ledger("y"), play.at("x", "startedAt")) == ("Failed", [], 120)
    assert play.status("x")["attempt"] == 2


def test_a_beneficiary_that_is_deleted_leaves_no_trace_but_the_resolution(play: FundedPlay) -> None:
    """As above, by deletion at 105."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime={**SHORT, "checkpointGrace": "30s"}, stops="20s")
    play.until(100)
    play.submit("y", gpus=8, owner="org")
    play.until(105)
    play.delete("y")
    play.until(130)
    assert play.takings() == [Taking("y", ["x"], 8, "Canceled", "Deleted")]
    assert (play.names(), play.at("x", "startedAt")) == (["x"], 120)


def test_a_node_that_is_lost_between_plan_and_start(play: FundedPlay) -> None:
    """a1 is deleted at 105, while x still goes: the resolution is given up. Back at 200, it is y's: it is paid for."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime={**SHORT, "checkpointGrace": "30s"}, stops="20s")
    play.until(100)
    play.submit("y", gpus=8, owner="org")
    play.until(105)
    play.lose("a1")
    play.until(110)
    assert play.takings() == [Taking("y", ["x"], 8, "Canceled", "NodeGone")]
    assert play.phases() == {"x": "Queued", "y": "Queued"}
    play.until(200)
    play.restore("a1")
    play.wait(5)
    assert (play.at("y", "startedAt"), play.phase("x")) == (200, "Queued")


def test_quota_that_is_lost_between_plan_and_start(play: FundedPlay) -> None:
    """org's envelope is taken away at 105: y is not paid for any more, and x, first in line, starts again at 120."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime={**SHORT, "checkpointGrace": "30s"}, stops="20s")
    play.until(100)
    play.submit("y", gpus=8, owner="org")
    play.until(105)
    play.quota("org")
    play.until(130)
    assert play.takings() == [Taking("y", ["x"], 8, "Canceled", "Unfundable")]
    assert (play.at("x", "startedAt"), play.phase("y")) == (120, "Queued")


def test_the_places_that_are_bound_are_nobody_elses(play: FundedPlay) -> None:
    """x (4) goes for y (4), from 100 to 120. a (4, org), at 105, must not have them."""
    play.fleet(a1=4)
    owners(play)
    play.submit("x", gpus=4, owner="guest", runtime={**SHORT, "checkpointGrace": "30s"}, stops="20s")
    play.until(100)
    play.submit("y", gpus=4, owner="org", lasts="58s")
    play.until(105)
    play.submit("a", gpus=4, owner="org")
    play.until(130)
    assert (play.at("y", "startedAt"), play.phase("a")) == (120, "Reserved")
    play.until(190)
    assert play.at("a", "startedAt") == 180


def test_the_quota_that_is_bound_is_nobody_elses(play: FundedPlay) -> None:
    """y (8) has org's 8 from 100 on, though it starts at 120. z (4, org), at 105 on the free b1, is unfunded."""
    play.fleet(a1=8, b1=4)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime={**SHORT, "checkpointGrace": "30s"}, stops="20s")
    play.until(100)
    play.submit("y", gpus=8, owner="org", per_pod=8)
    play.until(105)
    play.submit("z", gpus=4, owner="org")
    play.until(130)
    assert (play.classes("y"), play.classes("z")) == ({"owned": 8}, {"unfunded": 4})


def test_a_window_that_opens_takes_back(play: FundedPlay) -> None:
    """org's window opens at 100: y, which waits since 10, is paid for from then on, and x goes."""
    play.fleet(a1=8)
    play.quota("guest")
    play.quota("org", envelope(8, window=play.window(opens=100)))
    play.submit("x", gpus=8, owner="guest", runtime=SHORT)
    play.until(10)
    play.submit("y", gpus=8, owner="org")
    play.until(99)
    assert play.reason("y") == "OutOfQuota"
    play.until(110)
    assert play.takings() == [Taking("y", ["x"], 8, "Released", "Started")]
    assert play.at("y", "startedAt") == 101


def test_an_envelope_that_is_deleted_leaves_its_work_to_be_cut(play: FundedPlay) -> None:
    """x (8) was audio's own until 50, when the Budget goes; it runs on, until y needs the GPUs at 100.

    Metered 8 x 50 = 400 owned, 8 x 51 = 408 unfunded.
    """
    play.fleet(a1=8)
    owners(play)
    play.quota("audio", envelope(8))
    play.submit("x", gpus=8, owner="audio", runtime=SHORT)
    play.until(50)
    play.delete_budget("audio")
    play.until(100)
    assert (play.phase("x"), play.classes("x")) == ("Running", {"unfunded": 8})
    play.submit("y", gpus=8, owner="org")
    play.wait(5)
    assert play.takings() == [Taking("y", ["x"], 8, "Released", "Started")]
    assert play.metered("x") == [{"owned": 400, "unfunded": 408}]


def test_a_suspended_run_and_one_that_waits_for_another_cut_nobody(play: FundedPlay) -> None:
    """Both are org's, and held: x (guest) runs on. Resumed at 200, y takes its GPUs back."""
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="guest", runtime=SHORT)
    play.submit("y", gpus=8, owner="org", suspend=True)
    play.submit("z", gpus=8, owner="org", after=["y"])
    play.until(200)
    assert (play.phases(), play.takings()) == ({"x": "Running", "y": "Held", "z": "Held"}, [])
    play.resume("y")
    play.wait(5)
    assert play.takings() == [Taking("y", ["x"], 8, "Released", "Started")]


def test_the_beneficiary_starts_where_it_was_decided_about(play: FundedPlay) -> None:
    """v (12) holds a1 and half of b1, x (4) the other half; y misses 4. In a as in b 4 would do: by name, a.

    There only v is to be cut, which frees b1's half too, a tighter fit: y's places are a1's all the same.
    """
    play.fleet(a1=8, b1=8)
    owners(play)
    play.submit("v", gpus=12, owner="guest", runtime=SHORT)
    play.wait(1)
    play.submit("x", gpus=4, owner="guest", runtime=SHORT)
    play.until(100)
    play.submit("y", gpus=4, owner="org")
    play.wait(5)
    assert play.takings() == [Taking("y", ["v"], 12, "Released", "Started")]
    assert (list(play.places("y")), play.phase("x")) == (["a1"], "Running")


def test_who_uses_promised_places_and_stays_too_long_is_sent_away_though_somebody_pays(play: FundedPlay) -> None:
    """x has 6 until 600 and y, who wants 8, is promised 600. z says 5 minutes and takes the 2 that are free at 20.

    At 600 z is still there: it goes at 601, and y starts then, a second late. All of org's quota; z's least runtime of
    a minute is over.
    """
    play.fleet(a1=8)
    play.quota("org", envelope(16))
    play.submit("x", gpus=6, owner="org", lasts="598s", runtime={"expectedDuration": "10m"})
    play.until(10)
    play.submit("y", gpus=8, owner="org", runtime={"expectedDuration": "10m"})
    play.until(20)
    play.submit("z", gpus=2, owner="org", runtime={"expectedDuration": "5m", "minRuntime": "1m"})
    play.until(599)
    assert (play.at("z", "startedAt"), play.promised("y")) == (20, ("Pending", 600, "Ends"))
    play.until(610)
    assert play.takings() == [Taking("y", ["z"], 2, "Released", "Started")]
    assert (play.at("y", "startedAt"), play.promises("y")) == (601, [(600, "", 1)])
    assert play.ledger("z") == [("Start", 20, "SliceReclaimed", 601)]


def test_who_stays_too_long_in_promised_places_is_not_sent_away_inside_its_least_runtime(play: FundedPlay) -> None:
    """As before, but z is safe for half an hour: until 1820. y waits for it, and is told so."""
    play.fleet(a1=8)
    play.quota("org", envelope(16))
    play.submit("x", gpus=6, owner="org", lasts="598s", runtime={"expectedDuration": "10m"})
    play.until(10)
    play.submit("y", gpus=8, owner="org", runtime={"expectedDuration": "10m"})
    play.until(20)
    play.submit("z", gpus=2, owner="org", runtime={"expectedDuration": "5m"})
    play.until(1819)
    assert (play.takings(), play.promised("y")) == ([], ("Pending", 1820, "Ends"))
    play.until(1830)
    assert play.takings() == [Taking("y", ["z"], 2, "Released", "Started")]
    assert play.ledger("z") == [("Start", 20, "SliceReclaimed", 1821)]
    assert play.at("y", "startedAt") == 1821


def test_who_says_nothing_may_use_promised_places_if_its_least_runtime_is_over_by_then(play: FundedPlay) -> None:
    """x has 6 until 600 and y is promised 600. v, safe for 60 s, has the 2 from 20 until it is sent away at 600."""
    play.fleet(a1=8)
    play.quota("org", envelope(16))
    play.submit("x", gpus=6, owner="org", lasts="598s", runtime={"expectedDuration": "10m"})
    play.until(10)
    play.submit("y", gpus=8, owner="org", runtime={"expectedDuration": "10m"})
    play.until(20)
    play.submit("v", gpus=1, owner="org", runtime=SHORT)
    play.submit("w", gpus=1, owner="org")
    play.until(650)
    assert (play.ledger("w"), play.at("y", "startedAt")) == ([], 601)
    assert play.ledger("v") == [("Start", 20, "SliceReclaimed", 601)]


def test_a_promise_is_canceled_once_nobody_would_pay_for_it(play: FundedPlay) -> None:
    """y, of org, is promised 600. At 100 org's quota shrinks to what x holds: y waits for idle GPUs from then on."""
    play.fleet(a1=8)
    play.quota("org", envelope(16))
    play.submit("x", gpus=8, owner="org", runtime={"expectedDuration": "10m"})
    play.until(10)
    play.submit("y", gpus=8, owner="org")
    play.until(100)
    assert play.promised("y") == ("Pending", 600, "Ends")
    play.quota("org", envelope(8))
    play.until(110)
    found = play.reservation("y")
    assert (found["phase"], found["reason"], play.phase("y"), play.reason("y")) == (
        "Canceled",
        "Unfundable",
        "Queued",
        "OutOfQuota",
    )


def test_nothing_is_promised_to_who_nobody_would_pay_for(play: FundedPlay) -> None:
    play.fleet(a1=8)
    owners(play)
    play.submit("x", gpus=8, owner="org", runtime={"expectedDuration": "10m"})
    play.until(10)
    play.submit("y", gpus=8, owner="guest")
    play.until(100)
    assert (play.phase("y"), play.promised("y")) == ("Queued", None)


def lost_beside_a_promise(play: FundedPlay, owner: str) -> None:
    """e (2) runs on b1, of 2, and u (6, org) on a1 until 600. y (8, org) is promised a1 at 600. b1 goes at 200."""
    play.fleet(a1=8, b1=2)
    owners(play)
    play.quota("org", envelope(16))
    play.submit("e", gpus=2, owner=owner, runtime={**SHORT, "expectedDuration": "1h"})
    play.wait()
    play.submit("u", gpus=6, owner="org", lasts="598s", runtime={**SHORT, "expectedDuration": "10m"})
    play.until(10)
    play.submit("y", gpus=8, owner="org", runtime={**SHORT, "expectedDuration": "10m"})
    play.until(200)
    assert (list(play.places("e")), play.promised("y")) == (["b1"], ("Pending", 600, "Ends"))
    play.lose("b1")
    play.until(300)
    assert play.places("e") == {"a1": [6, 7]}


@pytest.mark.live
def test_who_stands_before_it_in_line_is_not_cut_for_whom_places_were_promised_to(play: FundedPlay) -> None:
    """e, there since 0, is first in line again and takes 2 of what is kept for y. It stays until 3800, as y is told."""
    lost_beside_a_promise(play, "org")
    why = "research/e is expected to run until 2026-01-05T13:03:20Z"
    assert play.promises("y") == [(600, "", None), (3800, why, None)]
    play.until(700)
    assert (play.phase("e"), play.takings()) == ("Running", [])


def test_who_came_before_it_and_is_unpaid_stands_behind_it_and_is_cut(play: FundedPlay) -> None:
    """e is the guest's: nobody pays for it, and it goes at y's time."""
    lost_beside_a_promise(play, "guest")
    play.until(700)
    assert (play.at("y", "startedAt"), play.promises("y")) == (601, [(600, "", 1)])
    assert [(held.closed, held.end) for held in play.ledger("e")] == [("NodeLost", 200), ("SliceReclaimed", 601)]

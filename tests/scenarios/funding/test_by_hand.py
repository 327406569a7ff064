"""GPUs that an administrator wants free: who is cut, in which order, and what becomes of it.

Where nothing else is said: one node a1 of 8 GPUs, alone in its domain, is cordoned when something is asked. `guest`
has no quota, so that its runs are unfunded; `org` has 8, and `lab` is its child. A pod needs 1 s to go.
"""

from __future__ import annotations

import pytest
from tests.scenarios.funds import FundedPlay, Taking, envelope

from runs_budgets import plugin as budgets

pytestmark = pytest.mark.plugins(budgets=budgets)
SHORT = {"minRuntime": "60s"}
HOUR = 3600


def a_stage(play: FundedPlay, **nodes: int) -> None:
    play.fleet(**(nodes or {"a1": 8}))
    play.quota("guest")
    play.quota("org", envelope(8))
    play.quota("lab", parents=["org"])


@pytest.mark.live
def test_unfunded_work_goes_and_waits_again_with_its_place(play: FundedPlay) -> None:
    """x (4, org) and y (4, guest) from 0. At 100, 4 GPUs: y goes, and has gone at 101. Metered: 4 x 101 unfunded."""
    a_stage(play)
    play.submit("x", gpus=4, owner="org", runtime=SHORT)
    play.submit("y", gpus=4, owner="guest", runtime=SHORT)
    play.until(100)
    play.take_back(4)
    play.wait(5)
    assert play.takings() == [Taking("", ["y"], 4, "Released", "Freed")]
    assert play.stages() == [{"y": "unfunded"}]
    assert play.ledger("y") == [("Start", 0, "UnfundedReclaimed", 101)]
    assert (play.phase("y"), play.at("y", "admittedAt"), play.status("y")["preemptions"]) == ("Queued", 0, 1)
    assert (play.phase("x"), play.metered("y")) == ("Running", [{"unfunded": 404}])


def test_the_lottery_gives_only_what_unfunded_work_lacks(play: FundedPlay) -> None:
    """Five hours in, 8 GPUs are wanted: y (4, guest) first, then x (4, org), who is paid for and past its quantum."""
    a_stage(play)
    play.submit("x", gpus=4, owner="org")
    play.submit("y", gpus=4, owner="guest")
    play.until(5 * HOUR)
    play.take_back(8)
    play.wait(5)
    assert play.stages() == [{"y": "unfunded", "x": "lottery"}]
    assert play.ledger("x") == [("Start", 0, "Preempted", 5 * HOUR + 1)]


def test_a_quantum_of_four_hours_spares_who_is_paid_for(play: FundedPlay) -> None:
    """x (8, org) from 0. Asked at 3:59:00, nobody is cut; asked at 4:00:00, x is."""
    a_stage(play)
    play.submit("x", gpus=8, owner="org", runtime=SHORT)
    play.until(4 * HOUR - 60)
    play.take_back(8)
    play.until(4 * HOUR - 1)
    assert play.takings() == []
    play.until(4 * HOUR)
    play.take_back(8, uid="by-hand-2")
    play.wait(5)
    assert play.stages() == [{"x": "lottery"}]


def test_a_request_that_waited_for_ten_minutes_is_void(play: FundedPlay) -> None:
    """x (8, guest) from 0 is safe until 3600. Asked at 10: at 3600 nobody remembers."""
    a_stage(play)
    play.submit("x", gpus=8, owner="guest", runtime={"minRuntime": "1h"})
    play.until(10)
    play.take_back(8)
    play.until(2 * HOUR)
    assert (play.phase("x"), play.takings()) == ("Running", [])


def test_a_request_is_answered_as_soon_as_somebody_may_be_cut(play: FundedPlay) -> None:
    """x (8, guest) is safe until 60. Asked at 10: x is cut at 60, and has gone at 61."""
    a_stage(play)
    play.submit("x", gpus=8, owner="guest", runtime=SHORT)
    play.until(10)
    play.take_back(8)
    play.until(59)
    assert play.takings() == []
    play.until(70)
    assert play.takings() == [Taking("", ["x"], 8, "Released", "Freed")]
    assert play.ledger("x") == [("Start", 0, "UnfundedReclaimed", 61)]


def test_a_courtesy_goes_before_a_right(play: FundedPlay) -> None:
    """x (4, org) owns; y (4, lab) is org's guest in the family. Five hours in, 4 are wanted: y, whatever is drawn."""
    a_stage(play)
    play.submit("x", gpus=4, owner="org")
    play.submit("y", gpus=4, owner="lab")
    play.until(5 * HOUR)
    assert (play.classes("x"), play.classes("y")) == ({"owned": 4}, {"shared": 4})
    play.take_back(4)
    play.wait(5)
    assert play.stages() == [{"y": "lottery"}]


def test_a_gang_goes_as_a_whole_though_half_of_it_lies_elsewhere(play: FundedPlay) -> None:
    """x (16, guest) lies on a1 and b1. For the 8 of domain a it loses 16; what b1 gets free is anybody's."""
    a_stage(play, a1=8, b1=8)
    play.submit("x", gpus=16, per_pod=8, owner="guest", runtime=SHORT)
    play.until(100)
    play.take_back(8)
    play.until(110)
    play.submit("y", gpus=8, per_pod=8, owner="guest")
    play.wait(5)
    assert play.takings() == [Taking("", ["x"], 16, "Released", "Freed")]
    assert list(play.places("y")) == ["b1"]


def test_a_wide_run_stays_where_a_narrow_one_will_do(play: FundedPlay) -> None:
    """x has 4, y has 2, and 2 are free. For 4, y goes, whatever is drawn."""
    a_stage(play)
    play.submit("x", gpus=4, owner="guest", runtime=SHORT)
    play.submit("y", gpus=2, owner="guest", runtime=SHORT)
    play.until(100)
    play.take_back(4)
    play.wait(5)
    assert play.takings() == [Taking("", ["y"], 2, "Released", "Freed")]


def test_more_than_may_be_cut_is_refused_and_nobody_is(play: FundedPlay) -> None:
    """x (4, guest) may be cut, y (4, org) is within its quantum. 8 are wanted: x alone would not do."""
    a_stage(play)
    play.submit("x", gpus=4, owner="guest", runtime=SHORT)
    play.submit("y", gpus=4, owner="org", runtime=SHORT)
    play.until(100)
    play.take_back(8)
    play.wait(5)
    assert (play.takings(), play.phases()) == ([], {"x": "Running", "y": "Running"})


def test_two_requests_take_nothing_twice(play: FundedPlay) -> None:
    """x has 8. The first request of 4 takes all of it, and then as many are free as the second one wants."""
    a_stage(play)
    play.submit("x", gpus=8, owner="guest", runtime=SHORT)
    play.until(100)
    play.take_back(4)
    play.wait(5)
    play.take_back(4, uid="by-hand-2")
    play.wait(5)
    assert play.takings() == [Taking("", ["x"], 8, "Released", "Freed")]


def test_who_does_not_want_to_come_back_fails(play: FundedPlay) -> None:
    a_stage(play)
    play.submit("x", gpus=8, owner="guest", runtime=SHORT, onPreemption="Fail")
    play.until(100)
    play.take_back(8, cordoned=False)
    play.wait(5)
    assert (play.phase("x"), play.reason("x")) == ("Failed", "Preempted")


def test_what_is_not_cordoned_is_anybodys_again(play: FundedPlay) -> None:
    """x (8, guest) goes at 100, and is the first in line for what it left: it starts again at 101."""
    a_stage(play)
    play.submit("x", gpus=8, owner="guest", runtime=SHORT)
    play.until(100)
    play.take_back(8, cordoned=False)
    play.wait(5)
    assert (play.at("x", "startedAt"), play.status("x")["attempt"]) == (101, 2)
    assert play.takings() == [Taking("", ["x"], 8, "Released", "Freed")]


def test_a_node_that_goes_out_of_service_meanwhile_ends_it(play: FundedPlay) -> None:
    """x needs 60 s to go, cut at 100. At 110 its node is out of service: x has gone, and the resolution is over."""
    a_stage(play)
    play.submit("x", gpus=8, owner="guest", runtime={**SHORT, "checkpointGrace": "90s"}, stops="60s")
    play.until(100)
    play.take_back(8, cordoned=False)
    play.until(110)
    assert [taking.phase for taking in play.takings()] == ["Activating"]
    play.out_of_service("a1")
    play.wait(5)
    assert play.takings() == [Taking("", ["x"], 8, "Released", "Freed")]

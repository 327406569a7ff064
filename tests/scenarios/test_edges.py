"""Two things at once, and things that change where one would not expect it. A pod runs 2 s after it was made."""

from __future__ import annotations

import pytest
from tests.scenarios.play import Play

from runs_core.settings import FleetSettings, Settings

RETRY = {"policy": "Retry", "limit": 3, "backoff": "10s"}


def fail_at_12(play: Play) -> None:
    """x, alone on a1, fails at 2 + 10 = 12 and would start again at 22; meanwhile it has places and no pods.

    It is 15 then.
    """
    play.fleet(a1=8)
    play.submit("x", gpus=8, lasts="10s", failures="1", onPodFailure=RETRY)
    play.until(15)
    assert (play.phase("x"), play.held_gpus()) == ("Starting", 8)


def test_canceled_between_two_tries_a_run_ends_at_once(play: Play) -> None:
    """There is no pod to wait for."""
    fail_at_12(play)
    play.cancel("x")
    play.until(60)
    assert (play.phase("x"), play.ledger("x")) == ("Failed", [("Start", 0, "Canceled", 15)])


def test_suspended_between_two_tries_a_run_starts_a_new_attempt_later(play: Play) -> None:
    """Held from 15 to 30; attempt 2 runs from 32 to 42, and does not fail: one failure was ordered, and was had."""
    fail_at_12(play)
    play.suspend("x")
    play.until(30)
    assert play.phase("x") == "Held"
    play.resume("x")
    play.until(60)
    assert play.ledger("x") == [("Start", 0, "Suspended", 15), ("Requeue", 30, "Succeeded", 42)]


def test_a_node_lost_between_two_tries_ends_the_attempt(play: Play) -> None:
    """a1 goes at 15; b1 takes the second attempt at once, from 15 to 15 + 12 = 27."""
    fail_at_12(play)
    play.fleet(b1=8)
    play.lose("a1")
    play.until(60)
    assert play.ledger("x") == [("Start", 0, "NodeLost", 15), ("Requeue", 15, "Succeeded", 27)]


def test_what_is_over_stays_as_it_ended(play: Play) -> None:
    """x succeeded at 12. Canceled, suspended, and its node lost afterwards: it succeeded."""
    play.fleet(a1=8)
    play.submit("x", gpus=8, lasts="10s")
    play.until(20)
    play.cancel("x")
    play.lose("a1")
    play.until(60)
    assert (play.phase("x"), play.at("x", "finishedAt"), play.ledger("x")) == (
        "Succeeded",
        12,
        [("Start", 0, "Succeeded", 12)],
    )


def test_canceled_and_its_node_lost_in_one_instant_a_run_does_not_come_back(play: Play) -> None:
    """At 100, both. There would be room on b1."""
    play.fleet(a1=8, b1=8)
    play.submit("x", gpus=8)
    play.until(100)
    play.cancel("x")
    play.lose("a1")
    play.until(110)
    assert (play.phase("x"), play.ledger("x")) == ("Failed", [("Start", 0, "Canceled", 100)])


def test_a_rank_evicted_before_it_came_up_delays_the_start(play: Play) -> None:
    """Rank 0 runs at 2. Rank 1, told to go at 1, is gone at 2, made anew and runs at 4: only then does the gang."""
    play.fleet(a1=8)
    play.submit("x", gpus=8, per_pod=4)
    play.until(1)
    play.evict("x", 1)
    play.until(3)
    assert play.phase("x") == "Starting"
    play.until(10)
    assert (play.phase("x"), play.decided("x")[-1]) == ("Running", (4, "Moves"))


def test_a_suspended_run_can_be_deleted(play: Play) -> None:
    """It holds nothing, so that nothing has to go first."""
    play.fleet(a1=8)
    play.submit("x", gpus=8, suspend=True)
    play.wait(10)
    play.delete("x")
    play.wait()
    assert play.names() == []


def test_a_held_run_may_still_change_its_shape(play: Play) -> None:
    """Suspended and never admitted, x asks for 4 in place of 16, which would not fit; resumed at 10 it has 4."""
    play.fleet(a1=8)
    play.submit("x", gpus=16, suspend=True)
    play.wait(10)
    play.edit("x", resources={"gpus": 4}, suspend=False)
    play.wait()
    assert (play.at("x", "startedAt"), play.places("x"), play.status("x")["width"]) == (10, {"a1": [0, 1, 2, 3]}, 4)


def test_a_node_that_grows_takes_more(play: Play) -> None:
    """4 GPUs until 10, 8 from then on."""
    play.fleet(a1=4)
    play.submit("x", gpus=8)
    play.wait(10)
    assert play.reason("x") == "NeverFits"
    play.node("a1", 8)
    play.wait()
    assert play.at("x", "startedAt") == 10


def test_a_node_that_changes_its_flavor_keeps_what_runs(play: Play) -> None:
    """x (h100) has places 0 to 3 of a1 when it turns into an a100 at 10: y, which waits for that, gets 4 to 7.

    b1 keeps the flavor of x alive, and at 20 x2 finds 4 there, and no more on a1.
    """
    play.node("a1", 8, flavor="h100")
    play.node("b1", 4, flavor="h100")
    play.submit("x", gpus=4, per_pod=1, flavor="h100", selector={"runs.dev/fabric-domain": "a"})
    play.submit("y", gpus=4, flavor="a100")
    play.wait(10)
    assert play.codes("y") == ["FlavorUnknown"]
    play.node("a1", 8, flavor="a100")
    play.wait(10)
    play.submit("z", gpus=4, flavor="h100")
    play.wait(2)
    assert (play.places("x"), play.places("y")) == ({"a1": [0, 1, 2, 3]}, {"a1": [4, 5, 6, 7]})
    assert (play.places("z"), play.phases()) == ({"b1": [0, 1, 2, 3]}, dict.fromkeys("xyz", "Running"))


def test_a_pod_never_spans_nodes(play: Play) -> None:
    """16 free, but no node of 8 takes a pod of 16, not even empty."""
    play.fleet(a1=8, a2=8)
    play.submit("x", gpus=16, per_pod=16)
    play.wait()
    assert play.codes("x") == ["NeverFits", "NoRoomForPod"]


@pytest.mark.settings(Settings(fleet=FleetSettings(resources=(("mi300", "amd.com/gpu"),))))
def test_a_flavor_may_have_a_resource_of_its_own(play: Play) -> None:
    """Nodes of mi300 count amd.com/gpu, and its taint of that name is tolerated; another flavor's is not."""
    room, taints = {"amd.com/gpu": "4"}, [{"key": "amd.com/gpu", "effect": "NoSchedule"}]
    play.node("a1", 0, flavor="mi300", room=room, taints=taints)
    play.node("b1", 8, flavor="h100", taints=taints)
    play.submit("x", gpus=4, flavor="mi300")
    play.submit("y", gpus=4, flavor="h100")
    play.wait()
    assert (play.places("x"), play.codes("y")) == (
        {"a1": [0, 1, 2, 3]},
        ["NeverFits", "NoNodeAllowed", "NotEnoughGPUs"],
    )


def test_a_pod_of_somebody_else_on_leased_gpus_takes_nothing_from_who_is_there(play: Play) -> None:
    """x has all 8 when a pod of 4 is bound to a1 past the scheduler at 10. x ends at 60: 4 are left for y, not 8."""
    play.fleet(a1=8)
    play.submit("x", gpus=8, lasts="58s")
    play.wait(10)
    play.foreign("f", "a1", 4)
    play.submit("y", gpus=8)
    play.submit("z", gpus=4)
    play.until(70)
    assert (play.phase("x"), play.at("z", "startedAt"), play.phase("y")) == ("Succeeded", 60, "Queued")


def test_a_node_without_the_label_lies_in_the_default_region(play: Play) -> None:
    """Nothing says where a1 is, so that it is in the region `default`; x wants to be there."""
    play.fleet(a1=8)
    play.submit("x", gpus=8, selector={"topology.kubernetes.io/region": "default"})
    play.wait()
    assert play.places("x") == {"a1": [*range(8)]}

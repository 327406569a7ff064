"""Nodes that are lost.

A pod on a node that is there goes 1 s after it was told to; one on a lost node is gone at once.
"""

from __future__ import annotations

from tests.scenarios.play import Play


def test_a_gang_that_loses_a_node_starts_anew_as_a_whole(play: Play) -> None:
    """x on a1 and a2; a1 goes at 100. The rank on a2 is told to go and gone at 101; then a2 and a3 take the gang."""
    play.fleet(a1=8, a2=8, a3=8)
    play.submit("x", gpus=16, per_pod=8)
    play.until(100)
    play.lose("a1")
    play.wait()
    assert (play.phase("x"), play.reason("x"), sorted(play.places("x"))) == ("Running", "NodeLost", ["a1", "a2"])
    play.until(110)
    assert play.ledger("x") == [("Start", 0, "NodeLost", 101), ("Requeue", 101, None, None)]
    assert (play.ranks("x"), play.status("x")["attempt"], play.at("x", "admittedAt")) == (["a2", "a3"], 2, 0)


def test_a_gang_that_is_not_to_be_requeued_fails(play: Play) -> None:
    """As before, but it fails at 101, and y, which waits for 16 since 10, gets a2 and a3 then."""
    play.fleet(a1=8, a2=8, a3=8)
    play.submit("x", gpus=16, per_pod=8, onNodeLoss="Fail")
    play.wait(10)
    play.submit("y", gpus=16, per_pod=8)
    play.until(100)
    play.lose("a1")
    play.until(110)
    assert (play.phase("x"), play.reason("x"), play.at("x", "finishedAt")) == ("Failed", "NodeLost", 101)
    assert (play.at("y", "startedAt"), play.ranks("y")) == (101, ["a2", "a3"])


def test_two_nodes_lost_at_once_are_one_loss(play: Play) -> None:
    """x on a1 and a2, both gone at 100: nothing of it is left to end, and b1 and b2 take it in the same instant."""
    play.fleet(a1=8, a2=8, b1=8, b2=8, b3=8)
    play.submit("x", gpus=16, per_pod=8)
    play.until(100)
    assert play.ranks("x") == ["a1", "a2"]
    play.lose("a1")
    play.lose("a2")
    play.until(110)
    assert play.decided("x")[-3:] == [(100, "Released"), (100, "Starts"), (102, "Moves")]
    assert (play.ledger("x")[0], play.ranks("x")) == (("Start", 0, "NodeLost", 100), ["b1", "b2"])


def test_a_loss_concerns_only_who_is_there(play: Play) -> None:
    """x is on a1 and loses it, y on b1 does not notice. c1, with 4, takes nothing of 8: x waits."""
    play.fleet(a1=8, b1=8, c1=4)
    play.submit("x", gpus=8)
    play.submit("y", gpus=8)
    play.until(100)
    play.lose("a1")
    play.until(110)
    assert (play.phase("x"), play.ledger("y")) == ("Queued", [("Start", 0, None, None)])
    assert play.phase("y") == "Running"


def test_a_lost_node_that_returns_takes_the_run_again(play: Play) -> None:
    """Without a1, c1 with its 4 could never take 8. At 200 a1 is back, empty."""
    play.fleet(a1=8, c1=4)
    play.submit("x", gpus=8)
    play.until(100)
    play.lose("a1")
    play.until(200)
    assert play.codes("x") == ["NeverFits", "NotEnoughGPUs"]
    play.restore("a1")
    play.until(210)
    assert play.ledger("x") == [("Start", 0, "NodeLost", 100), ("Requeue", 200, None, None)]
    assert (play.phase("x"), play.at("x", "admittedAt"), play.status("x")["attempt"]) == ("Running", 0, 2)


def test_a_node_that_is_declared_out_of_service_is_lost(play: Play) -> None:
    """The Node is there with the taint from 100 on; nobody on it will say anything any more. a2 takes x at once."""
    play.fleet(a1=8, a2=8)
    play.submit("x", gpus=8)
    play.until(100)
    play.out_of_service("a1")
    play.until(110)
    assert play.ledger("x") == [("Start", 0, "NodeLost", 100), ("Requeue", 100, None, None)]
    assert play.places("x") == {"a2": [*range(8)]}


def test_a_node_that_returns_while_the_gang_is_undone_changes_nothing(play: Play) -> None:
    """a1 goes at 100; the rank on a2 takes 45 of its 60 s. a1 is back at 120, but x starts when a2 is free: at 145."""
    play.fleet(a1=8, a2=8)
    play.submit("x", gpus=16, per_pod=8, stops="45s", runtime={"checkpointGrace": "60s"})
    play.until(100)
    play.lose("a1")
    play.until(120)
    play.restore("a1")
    play.until(150)
    assert play.ledger("x") == [("Start", 0, "NodeLost", 145), ("Requeue", 145, None, None)]
    assert play.phase("x") == "Running"


def test_nobody_waits_for_pods_on_a_node_that_was_lost_meanwhile(play: Play) -> None:
    """Canceled at 100 with 600 s of grace, all of which it would take; the node goes out of service at 200."""
    play.fleet(a1=8)
    play.submit("x", gpus=8, stops="1h", runtime={"checkpointGrace": "10m"})
    play.until(100)
    play.cancel("x")
    play.until(200)
    assert play.held_gpus() == 8
    play.out_of_service("a1")
    play.wait()
    assert (play.phase("x"), play.ledger("x"), play.pods("x")) == ("Failed", [("Start", 0, "Canceled", 200)], [])


def test_each_group_of_a_lost_gang_closes_its_own_lease(play: Play) -> None:
    """Groups of 8 on a1 and b1 (a and b equal, then a full). b1 goes at 100, the rank on a1 is gone at 101.

    c1 and a1 are free then, 8 each: group 0 on a1, group 1 on c1.
    """
    play.fleet(a1=8, b1=8, c1=8)
    play.submit("x", gpus=16, per_pod=8, group=8)
    play.until(100)
    assert play.groups("x") == [{"a1": 8}, {"b1": 8}]
    play.lose("b1")
    play.until(110)
    assert play.ledger("x") == [("Start", 0, "NodeLost", 101)] * 2 + [("Requeue", 101, None, None)] * 2
    assert play.groups("x") == [{"a1": 8}, {"c1": 8}]

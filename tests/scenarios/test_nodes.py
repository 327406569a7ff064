"""Nodes that change while runs wait and run."""

from __future__ import annotations

from tests.scenarios.play import Play


def test_gpus_that_other_pods_request_are_occupied(play: Play) -> None:
    """8-5 = 3 free: x (4) waits, y (3) starts at 1. At 11 the other pod is gone: 8-3 = 5 free, x has places 3 to 6."""
    play.fleet(a1=8)
    play.foreign("f", "a1", 5)
    play.submit("x", gpus=4)
    play.wait(1)
    play.submit("y", gpus=3)
    play.wait(9)
    assert (play.reason("x"), play.places("y")) == ("NotEnoughGPUs", {"a1": [0, 1, 2]})
    play.foreign_ends("f")
    play.wait(10)
    assert (play.at("x", "startedAt"), play.places("x")) == (11, {"a1": [3, 4, 5, 6]})


def test_a_cordoned_node_takes_nothing_new_and_keeps_what_runs(play: Play) -> None:
    """x holds 4 of a1. Cordoned from 10 to 20, its other 4 are no use to z; a2 takes y. At 20 z gets places 4 to 7."""
    play.fleet(a1=8, a2=8)
    play.submit("x", gpus=4)
    play.wait(10)
    play.cordon("a1")
    play.submit("y", gpus=8)
    play.submit("z", gpus=4)
    play.wait(10)
    assert (play.phase("x"), play.places("y"), play.codes("z")) == ("Running", {"a2": [*range(8)]}, ["NotEnoughGPUs"])
    play.uncordon("a1")
    play.wait()
    assert (play.at("z", "startedAt"), play.places("z")) == (20, {"a1": [4, 5, 6, 7]})
    assert play.ledger("x") == [("Start", 0, None, None)]


def test_a_node_that_is_not_ready_takes_nothing_new_and_is_not_lost(play: Play) -> None:
    """As with the cordon: x stays, y waits from 10 to 20 although 4 GPUs are free. It is not a loss."""
    play.fleet(a1=8)
    play.submit("x", gpus=4)
    play.wait(10)
    play.node("a1", ready=False)
    play.submit("y", gpus=4)
    play.wait(10)
    assert (play.phase("x"), play.codes("y")) == ("Running", ["NotEnoughGPUs"])
    play.node("a1", ready=True)
    play.wait(10)
    assert (play.phase("x"), play.at("y", "startedAt")) == ("Running", 20)


def test_a_malformed_node_is_set_aside_and_spoils_nothing_else(play: Play) -> None:
    """a1 says it has 8,000,000 GPUs: only a2 counts, which takes x. y waits until a1 is mended at 10."""
    play.node("a1", 8_000_000)
    play.node("a2", 8)
    play.submit("x", gpus=8)
    play.submit("y", gpus=8)
    play.wait(10)
    assert (play.places("x"), play.match("y")[0]) == ({"a2": [*range(8)]}, (1, 8))
    play.node("a1", 8)
    play.wait()
    assert (play.at("y", "startedAt"), play.places("y")) == (10, {"a1": [*range(8)]})


def test_a_node_that_moves_to_another_domain_takes_its_room_along(play: Play) -> None:
    """x (12 in pods of 4) fits only a: a1 whole, 4 of a2. Free: 4 in a, 8 in b; y wants 12 in one domain.

    At 10 a2 lies in b: 4+8 = 12. y: rank 0 on a2, ranks 1 and 2 on b1. x is not moved.
    """
    play.fleet(a1=8, a2=8, b1=8)
    play.submit("x", gpus=12, per_pod=4)
    play.submit("y", gpus=12, per_pod=4, spread="SingleDomain")
    play.wait(10)
    assert (play.ranks("x"), play.codes("y")) == (["a1", "a1", "a2"], ["Fragmented"])
    play.node("a2", 8, domain="b")
    play.wait(2)
    assert (play.at("y", "startedAt"), play.ranks("y")) == (10, ["a2", "b1", "b1"])
    assert play.phases() == {"x": "Running", "y": "Running"}


def test_a_node_that_shrank_under_its_leases_takes_nothing_until_they_close(play: Play) -> None:
    """x holds places 0 to 5 of a1 until 60. From 10 on a1 has 4 GPUs: y (1) waits although x's 6 are its own affair.

    At 60 the 4 are free: y takes place 0.
    """
    play.fleet(a1=8)
    play.submit("x", gpus=6, lasts="58s")
    play.wait(10)
    play.node("a1", 4)
    play.submit("y", gpus=1)
    play.wait(10)
    assert (play.phase("x"), play.codes("y")) == ("Running", ["NotEnoughGPUs"])
    play.wait(60)
    assert (play.at("y", "startedAt"), play.places("y")) == (60, {"a1": [0]})


def test_a_run_that_the_fleet_could_never_take_says_so_until_a_node_is_added(play: Play) -> None:
    """16 GPUs of 8: even empty not. At 10 a2 comes: at once 16."""
    play.fleet(a1=8)
    play.submit("x", gpus=16)
    play.wait(10)
    assert (play.phase("x"), play.codes("x")) == ("Queued", ["NeverFits", "NotEnoughGPUs"])
    play.fleet(a2=8)
    play.wait(2)
    assert (play.phase("x"), play.at("x", "startedAt"), play.at("x", "admittedAt")) == ("Running", 10, 0)


def test_a_run_that_waits_learns_when_it_could_never_fit_any_more(play: Play) -> None:
    """x holds a1 and a2; y (16) waits. At 10 b1, where nothing runs, goes; at 20 a2, where x runs: 8 are left."""
    play.fleet(a1=8, a2=8, b1=8)
    play.submit("x", gpus=16, per_pod=8, onNodeLoss="Fail")
    play.submit("y", gpus=16, per_pod=8)
    play.wait(10)
    play.lose("b1")
    play.wait(10)
    assert play.reason("y") == "NotEnoughGPUs"
    play.lose("a2")
    play.wait(10)
    assert (play.phase("x"), play.reason("y")) == ("Failed", "NeverFits")


def test_a_run_without_a_flavor_gets_the_one_that_there_is(play: Play) -> None:
    """All nodes are h100: x needs to name nothing, y names it, and z asks for what is not there."""
    play.node("a1", flavor="h100")
    play.submit("x", gpus=4)
    play.submit("y", gpus=4, flavor="h100")
    play.submit("z", gpus=4, flavor="a100")
    play.wait(2)
    assert play.phases() == {"x": "Running", "y": "Running", "z": "Queued"}
    assert (play.codes("z"), play.message("z")) == (["FlavorUnknown"], "wants a100; the fleet has h100")


def test_a_run_without_a_flavor_waits_where_there_are_several(play: Play) -> None:
    """y names a100 and gets b1. x would have to choose; at 10 b1 is lost, and only h100 is left."""
    play.node("a1", flavor="h100")
    play.node("b1", flavor="a100")
    play.submit("x", gpus=4)
    play.submit("y", gpus=4, flavor="a100", onNodeLoss="Fail")
    play.wait(10)
    assert (play.codes("x"), play.places("y")) == (["FlavorAmbiguous"], {"b1": [0, 1, 2, 3]})
    play.lose("b1")
    play.wait(2)
    assert (play.at("x", "startedAt"), play.places("x")) == (10, {"a1": [0, 1, 2, 3]})


def test_the_fleet_may_be_empty(play: Play) -> None:
    """Nothing to run on: x waits, and starts with the first node at 10."""
    play.submit("x", gpus=1)
    play.wait(10)
    assert play.codes("x") == ["FlavorUnknown"]
    play.fleet(a1=1)
    play.wait(2)
    assert play.at("x", "startedAt") == 10

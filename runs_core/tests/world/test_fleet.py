from __future__ import annotations

import random
from collections.abc import Iterator

import attrs

from runs_core.testing.builders import a_lease, a_node, a_run, a_world
from runs_core.testing.harness import Harness
from runs_core.values.change import HeadSeen, LeaseGone, LeaseSeen, NodeGone, NodeSeen
from runs_core.values.lease import NodeSlots, Role
from runs_core.values.node import MalformedNode
from runs_core.world.invariants import breaches, shrunken
from runs_core.world.oracle import differences, snapshot


def test_nodes_seen_in_any_order_sit_in_the_order_of_their_names() -> None:
    names = [f"n{at:03}" for at in range(40)]
    world = a_world(*(a_node(name) for name in random.Random(1).sample(names, len(names))))
    [domain] = world.fleet.flavors["h100"].domains.values()
    assert domain.names == names
    assert differences(world) == []


def test_names_that_never_come_back_do_not_add_up() -> None:
    world = a_world(a_node("keep"))
    for at in range(1000):
        world.apply(NodeSeen(a_node(f"autoscaled-{at:04}")))
        world.apply(NodeGone(f"autoscaled-{at:04}"))
    [domain] = world.fleet.flavors["h100"].domains.values()
    assert len(domain.names) < 100
    assert len(world.fleet.states) == 1
    assert differences(world) == []


def test_leases_on_nodes_keep_their_places_while_other_seats_are_dropped() -> None:
    world = a_world(a_node("z-kept"), a_lease(a_run("old", gpus=3), {"z-kept": (0, 3, 7)}))
    for at in range(200):
        world.apply(NodeSeen(a_node(f"autoscaled-{at:04}")))
        world.apply(NodeGone(f"autoscaled-{at:04}"))
        assert world.free_gpus("h100") == 5
    assert world.fleet.rebuilds > 0
    assert differences(world) == []


def test_a_node_that_moves_to_another_domain_takes_its_leases_along() -> None:
    world = a_world(a_node("n1"), a_node("n2"), a_lease(a_run("old", gpus=3), {"n1": (0, 1, 2)}))
    world.apply(NodeSeen(a_node("n1", domain="d2")))
    frees = {key.name: domain.free for key, domain in world.fleet.flavors["h100"].domains.items()}
    assert frees == {"d1": 8, "d2": 5}
    assert differences(world) == []


def test_leases_may_be_known_before_their_node() -> None:
    world = a_world(a_lease(a_run("old", gpus=3), {"n1": (0, 1, 2)}))
    assert world.flavors() == []
    world.apply(NodeSeen(a_node("n1")))
    assert world.free_gpus("h100") == 5
    assert differences(world) == []


def test_a_slot_with_a_spare_and_a_rank_is_one_slot() -> None:
    rank = a_lease(a_run("rank", gpus=2), {"n1": (0, 1)})
    spare = a_lease(a_run("spare", gpus=2), {"n1": (1, 2)})
    world = a_world(a_node("n1"), rank, attrs.evolve(spare, spec=attrs.evolve(spare.spec, role=Role.SPARE)))
    assert world.free_gpus("h100") == 5
    assert breaches(world) == []
    assert differences(world) == []


def test_a_set_aside_node_is_gone_from_the_fleet_and_comes_back_as_it_was() -> None:
    world = a_world(a_node("n1"), a_node("n2"), a_lease(a_run("old", gpus=3), {"n1": (0, 1, 2)}))
    before = snapshot(world)
    with world.supposing([NodeSeen(MalformedNode(name="n1", why="got 'x', want a number"))]):
        assert (world.free_gpus("h100"), [node.name for node in world.nodes()]) == (8, ["n2"])
    assert snapshot(world) == before


def test_a_node_that_shrank_below_its_leases_is_told_apart_from_a_breach() -> None:
    stage = Harness(a_node("n1"), a_run("train", gpus=8), oracles=True)
    stage.advance(1)
    stage.node(a_node("n1", gpus=4))
    stage.settle()
    assert shrunken(stage.world) == ["n1"]
    assert breaches(stage.world) == []
    assert stage.world.free_gpus("h100") == 0


def test_a_lease_opened_on_places_that_a_node_does_not_have_is_a_breach() -> None:
    world = a_world(a_node("n1", gpus=4))
    world.apply(LeaseSeen(a_lease(a_run("train", gpus=1), {"n1": (4,)})))
    assert [breach.invariant for breach in breaches(world)] == [2]


def test_a_place_that_two_leases_seem_to_hold_is_free_once_both_have_left_it() -> None:
    """As it seems while a closure that was refused is written again."""
    first, second = (a_lease(a_run(name, gpus=2), {"n1": (0, 1)}) for name in ("first", "second"))
    world = a_world(a_node("n1"), first, second)
    for lease, free in ((second, 6), (first, 8)):
        world.apply(LeaseGone(lease.key))
        assert world.free_gpus("h100") == free
        assert differences(world) == []
    assert world.fleet.shared == set()


def test_taking_back_a_lease_on_a_shared_place_leaves_no_trace() -> None:
    first, second = (a_lease(a_run(name, gpus=2), {"n1": (0, 1), "n2": (0,)}) for name in ("first", "second"))
    world = a_world(a_node("n1"), a_node("n2"), first)
    before, head = snapshot(world), HeadSeen(world.ledger.head)
    inverse = world.apply(LeaseSeen(second))
    assert inverse is not None
    world.revert(inverse)
    world.revert(head)
    assert snapshot(world) == before
    assert world.free_gpus("h100") == 13


class Looked(tuple[NodeSlots, ...]):
    """A lease's slots, that count how often they are gone through."""

    __slots__ = ()
    times = 0

    def __iter__(self) -> Iterator[NodeSlots]:
        Looked.times += 1
        return super().__iter__()


def looked_at(number: int) -> int:
    """How often a check goes through the slots of so many leases, all of which have just been opened."""
    nodes = [f"n{at:03}" for at in range(number)]
    leases = [a_lease(a_run(f"on-{node}"), {node: tuple(range(8))}) for node in nodes]
    counted = [attrs.evolve(one, spec=attrs.evolve(one.spec, slots=Looked(one.spec.slots))) for one in leases]
    world = a_world(*(a_node(node) for node in nodes), *counted)
    Looked.times = 0
    assert breaches(world) == []
    return Looked.times


def test_a_check_of_four_times_the_leases_looks_four_times_as_often() -> None:
    assert 40 < looked_at(40) <= looked_at(160) <= 4 * looked_at(40)

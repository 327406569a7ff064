from __future__ import annotations

from itertools import permutations

from runs_core.decide.release import _closed
from runs_core.testing.builders import A_MONDAY, a_lease, a_node, a_run, a_world
from runs_core.values.change import HeadSeen, LeaseGone, LeaseSeen
from runs_core.values.lease import Closed

RUNS = [a_run(name, gpus=2) for name in "abc"]
LEASES = [a_lease(run, {"n1": (2 * at, 2 * at + 1)}) for at, run in enumerate(RUNS)]


def test_the_head_does_not_depend_on_the_order_of_openings_and_closures() -> None:
    heads = set()
    for order in permutations(LEASES):
        world = a_world(a_node("n1"), *order)
        for lease in order:
            world.apply(LeaseSeen(_closed(lease, A_MONDAY, Closed.SUCCEEDED, "")))
        heads.add(world.ledger.head)
    assert len(heads) == 1
    assert heads != {0}


def test_the_head_tells_every_opening_and_every_closure_apart() -> None:
    world = a_world(a_node("n1"))
    heads = [world.ledger.head]
    for reason in (Closed.SUCCEEDED, Closed.CANCELED):
        for change in (LeaseSeen(LEASES[0]), LeaseSeen(_closed(LEASES[0], A_MONDAY, reason, ""))):
            world.apply(change)
            heads.append(world.ledger.head)
    assert len(set(heads)) == len(heads)


def test_a_lease_seen_twice_counts_once() -> None:
    world = a_world(a_node("n1"), LEASES[0])
    head = world.ledger.head
    assert world.apply(LeaseSeen(LEASES[0])) is None
    assert world.ledger.head == head


def test_a_closed_lease_whose_record_goes_leaves_the_head_as_it_is() -> None:
    world = a_world(a_node("n1"), LEASES[0])
    world.apply(LeaseSeen(_closed(LEASES[0], A_MONDAY, Closed.SUCCEEDED, "")))
    head = world.ledger.head
    assert world.apply(LeaseGone(LEASES[0].key)) is None
    assert world.ledger.head == head


def test_a_restart_begins_with_the_head_that_the_cluster_kept() -> None:
    world = a_world(a_node("n1"), LEASES[0])
    world.apply(HeadSeen(7))
    assert world.ledger.head == 7
    with world.supposing([LeaseSeen(LEASES[1])]):
        assert world.ledger.head != 7
    assert world.ledger.head == 7


def test_leases_are_found_by_run_and_a_node_keeps_its_slots_when_its_object_goes() -> None:
    world = a_world(a_node("n1"), *LEASES)
    assert list(world.leases_of(RUNS[1].key)) == [LEASES[1]]
    assert sorted(world.ledger.by_node["n1"]) == [lease.key for lease in LEASES]
    assert world.free_gpus("h100") == 2

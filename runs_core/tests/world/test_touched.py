"""Who has something new to say, or to ask, after a change of the fleet."""

from __future__ import annotations

import pytest

from runs_core.testing.builders import a_budget, a_lease, a_node, a_run, a_world, seen
from runs_core.values.change import LeaseGone, NodeGone
from runs_core.world.world import World


@pytest.fixture
def world() -> World:
    """One node of h100 and two Budgets, of which everything is said."""
    found = a_world(a_node("n1", flavor="h100"), a_budget("audio"), a_budget("vision"))
    found.touched_budgets.clear()
    return found


def test_a_node_of_another_flavor_is_news_for_every_budget(world: World) -> None:
    world.apply(seen(a_node("n2", flavor="a100")))
    assert world.touched_budgets == {"audio", "vision"}


def test_one_more_of_a_flavor_is_news_for_none(world: World) -> None:
    world.apply(seen(a_node("n2", flavor="h100")))
    assert world.touched_budgets == set()


def test_the_last_node_of_a_flavor_is_news_for_every_budget_as_it_goes(world: World) -> None:
    world.apply(NodeGone("n1"))
    assert world.touched_budgets == {"audio", "vision"}


def test_a_what_if_is_news_for_none(world: World) -> None:
    with world.supposing([NodeGone("n1")]):
        assert world.touched_budgets == set()


def test_what_comes_free_in_a_what_if_is_no_reason_to_ask_anybody(world: World) -> None:
    for one in (a_run("waits", gpus=8), a_lease(a_run("holds", gpus=8), {"n1": tuple(range(8))})):
        world.apply(seen(one))
    before, world.promises.stirred = world.fleet.freed, False
    with world.supposing([LeaseGone(key) for key in world.ledger.open]):
        assert (world.fleet.freed > before, world.promises.stirred) == (True, True)
    assert (world.fleet.freed, world.fleet.flavors["h100"].freed) == (before, before)
    assert not world.promises.stirred

from typing import Any

import attrs

from runs_core.decide.advice import Silent
from runs_core.serve.views.plain import plain
from runs_core.serve.views.top import Counts, top
from runs_core.testing.builders import a_node, a_run
from runs_core.testing.purses import Purse, a_stage, purses
from runs_core.values.lease import Role

Scene = Any
"""The fixture's class: test folders are no packages, so conftest.py cannot be imported from."""


def test_every_gpu_is_counted_once(scene: Scene) -> None:
    for name, domain in (("a", "d0"), ("b", "d0"), ("c", "d1")):
        scene.node(name, domain=domain)
    run = scene.run("r", gpus=4)
    scene.lease(run, "a", range(4))
    scene.lease(run, "b", (0, 1), role=Role.SPARE)
    scene.foreign_pod("c", 3)

    (flavor,) = top(scene.world, Silent()).flavors

    assert attrs.asdict(flavor, filter=lambda field, _: field.name in attrs.fields_dict(Counts)) == {
        "gpus": 24,
        "active": 4,
        "spare": 2,
        "unfunded": 0,
        "unavailable": 3,
        "free": 15,
    }
    assert [(str(d.domain), d.free) for d in flavor.domains] == [("default/default/d0", 10), ("default/default/d1", 5)]


def test_the_largest_gang_is_that_of_one_domain(scene: Scene) -> None:
    for name, domain in (("a", "d0"), ("b", "d0"), ("c", "d1")):
        scene.node(name, domain=domain)
    assert top(scene.world, Silent()).flavors[0].largest_gang == 16


def test_a_cordoned_nodes_idle_gpus_are_unavailable_and_its_held_ones_active(scene: Scene) -> None:
    scene.node("a", cordoned=True)
    scene.lease(scene.run("r", gpus=3), "a", range(3))
    (flavor,) = top(scene.world, Silent()).flavors
    assert (flavor.active, flavor.unavailable, flavor.free, flavor.largest_gang) == (3, 5, 0, 0)


def test_the_json_has_the_keys_of_the_interface(scene: Scene) -> None:
    scene.node("a")
    answer: Any = plain(top(scene.world, Silent()))
    (flavor,) = answer["flavors"]
    counts = {"gpus", "active", "spare", "unfunded", "unavailable", "free"}
    assert set(flavor) == counts | {"flavor", "largestGang", "domains"}
    assert set(flavor["domains"][0]) == counts | {"domain"}


def test_what_nobody_pays_for_is_told_apart_from_what_is_active() -> None:
    runs = a_run("a-paid", gpus=2), a_run("b", gpus=3)
    stage = a_stage(a_node("n1", gpus=8), *runs, plugin=purses(Purse(name="p", gpus=2)))
    stage.settle()
    (flavor,) = top(stage.world, stage.loop.advice).flavors
    assert (flavor.active, flavor.unfunded, flavor.free, flavor.gpus) == (2, 3, 3, 8)

from typing import Any

import attrs

from runs_core.serve.views.plain import plain
from runs_core.serve.views.status import status
from runs_core.values.change import NodeSeen
from runs_core.values.node import OUT_OF_SERVICE, MalformedNode, Taint
from runs_core.values.run import Phase

Scene = Any
"""The fixture's class: test folders are no packages, so conftest.py cannot be imported from."""


def test_each_node_counts_once_and_the_worst_counts(scene: Scene) -> None:
    scene.node("fine")
    scene.node("closed", cordoned=True)
    lost = scene.node("lost", cordoned=True, ready=False)
    scene.world.apply(NodeSeen(attrs.evolve(lost, taints=(Taint(key=OUT_OF_SERVICE),))))
    scene.node("silent", ready=False)
    scene.world.apply(NodeSeen(MalformedNode(name="odd", why="nvidia.com/gpu: -1")))

    answer: Any = plain(status(scene.world))

    assert answer["nodes"] == {"ready": 1, "cordoned": 1, "lost": 1, "notReady": 1, "setAside": 1}


def test_runs_are_counted_by_phase_and_absent_phases_are_zero(scene: Scene) -> None:
    scene.run("a")
    scene.run("b")
    scene.run("c", phase=Phase.RUNNING)
    runs = status(scene.world).runs
    assert (runs["Queued"], runs["Running"], runs["Failed"]) == (2, 1, 0)


def test_the_head_changes_with_every_lease(scene: Scene) -> None:
    scene.node("a")
    before = status(scene.world).head
    scene.lease(scene.run("r"), "a", (0,))
    after = status(scene.world).head
    assert len(before) == len(after) == 64
    assert before != after

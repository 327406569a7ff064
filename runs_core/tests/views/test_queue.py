from typing import Any

from runs_core.serve.views.plain import plain
from runs_core.serve.views.queue import line
from runs_core.values.run import Phase

Scene = Any
"""The fixture's class: test folders are no packages, so conftest.py cannot be imported from."""


def test_the_line_is_in_order_of_admission_and_says_how_much_is_ahead(scene: Scene) -> None:
    scene.node("a", gpus=1)
    scene.run("second", gpus=4, waited=5)
    scene.run("first", gpus=2, waited=9)
    scene.run("third", gpus=8, waited=1)

    assert [(w.position, w.run.name, w.ahead) for w in line(scene.world).items] == [
        (1, "first", 0),
        (2, "second", 2),
        (3, "third", 6),
    ]


def test_who_is_held_or_runs_is_not_in_line(scene: Scene) -> None:
    scene.run("held", phase=Phase.HELD)
    scene.run("runs", phase=Phase.RUNNING)
    scene.run("waits")
    assert [w.run.name for w in line(scene.world).items] == ["waits"]


def test_the_json_has_the_keys_of_the_interface(scene: Scene) -> None:
    scene.run("waits", gpus=2, waited=3, reason="NotEnoughGPUs", message="wants 2; 0 are free")
    answer: Any = plain(line(scene.world))
    assert answer == {
        "items": [
            {
                "position": 1,
                "run": "default/waits",
                "gpus": 2,
                "flavor": "H100",
                "fundable": True,
                "phase": "Queued",
                "reason": "NotEnoughGPUs",
                "message": "wants 2; 0 are free",
                "queuedSince": "2026-01-05T11:57:00Z",
                "earliestStart": None,
                "ahead": 0,
            }
        ]
    }

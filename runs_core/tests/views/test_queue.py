from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from runs_core.decide.advice import Advice, Silent
from runs_core.decide.consider import seek
from runs_core.serve.views.plain import plain
from runs_core.serve.views.present import Present, Why
from runs_core.serve.views.queue import Waiting, line
from runs_core.settings import ReservationSettings, Settings
from runs_core.testing.builders import a_node, a_run
from runs_core.testing.harness import Harness
from runs_core.values.change import LeaseGone
from runs_core.values.decision import NoPlace
from runs_core.values.funding import Cover
from runs_core.values.need import Need
from runs_core.values.placement import Placement
from runs_core.values.run import Ending, Phase, Runtime
from runs_core.world.world import World

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
Scene = Any
"""The fixture's class: test folders are no packages, so conftest.py cannot be imported from."""


def test_the_line_is_in_order_of_admission_and_says_how_much_is_ahead(scene: Scene) -> None:
    scene.node("a")
    scene.lease(scene.run("runs", gpus=7, phase=Phase.RUNNING), "a", range(7))
    scene.run("second", gpus=4, waited=5)
    scene.run("first", gpus=2, waited=9)
    scene.run("third", gpus=8, waited=1)

    assert [(w.position, w.run.name, w.ahead) for w in line(scene.world, Silent()).items] == [
        (1, "first", 0),
        (2, "second", 2),
        (3, "third", 6),
    ]


def test_who_can_never_fit_is_ahead_of_nobody(scene: Scene) -> None:
    scene.node("a")
    scene.lease(scene.run("runs", gpus=7, phase=Phase.RUNNING), "a", range(7))
    scene.run("wide", gpus=9, waited=9)
    scene.run("next", gpus=2, waited=5)
    found = line(scene.world, Silent()).items
    assert [(w.run.name, w.reason, w.ahead) for w in found] == [("wide", "NeverFits", 0), ("next", "NotEnoughGPUs", 0)]


def test_the_reason_is_that_of_now_and_not_of_the_last_answer(scene: Scene) -> None:
    scene.node("a")
    running = scene.run("runs", gpus=7, phase=Phase.RUNNING)
    lease = scene.lease(running, "a", range(7))
    scene.run("waits", gpus=4, reason="NotEnoughGPUs", message="wants 4; 3 GPUs are free")
    (waits,) = line(scene.world, Silent()).items
    assert waits.message == "wants 4; 1 GPU is free on 1 H100 node that will do"
    scene.world.apply(LeaseGone(lease.key))
    (waits,) = line(scene.world, Silent()).items
    assert (waits.reason, waits.message) == ("Admitted", "stands in line; what it wants is free")


def test_runs_of_one_need_share_one_answer(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counting(world: World, need: Need, advice: Advice, said: Cover | None) -> Placement | NoPlace:
        asked.append(need)
        return seek(world, need, advice, said)

    monkeypatch.setattr("runs_core.serve.views.present.seek", counting)
    for name in ("a", "b", "c"):
        scene.run(name, gpus=4)
    scene.run("other", gpus=2)
    assert len(line(scene.world, Silent()).items) == 4
    assert len(asked) == 2


def test_a_run_that_is_being_undone_says_so_and_why(scene: Scene) -> None:
    scene.node("a")
    ending = Ending(reason="NodeLost", detail="lost node a", then=Phase.QUEUED, since=NOON)
    run = scene.run("r", phase=Phase.RUNNING, reason="NodeLost", message="ending: lost node a", ending=ending)
    assert Present(scene.world, Silent()).of(run) == Why("Ending: NodeLost", "ending: lost node a")


def test_who_is_held_or_runs_is_not_in_line(scene: Scene) -> None:
    scene.run("held", phase=Phase.HELD)
    scene.run("runs", phase=Phase.RUNNING)
    scene.run("waits")
    assert [w.run.name for w in line(scene.world, Silent()).items] == ["waits"]


def test_the_json_has_the_keys_of_the_interface(scene: Scene) -> None:
    scene.node("a", gpus=2)
    scene.lease(scene.run("runs", gpus=2, phase=Phase.RUNNING), "a", range(2))
    scene.run("waits", gpus=2, waited=3)
    answer: Any = plain(line(scene.world, Silent()))
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
                "message": "wants 2; no GPU is free on 1 H100 node that will do",
                "queuedSince": "2026-01-05T11:57:00Z",
                "earliestStart": None,
                "basis": None,
                "remedies": [],
                "ahead": 0,
            }
        ]
    }


def test_whom_nothing_is_promised_is_told_where_as_many_are_as_may_be() -> None:
    said = Runtime(expected_duration=timedelta(hours=1))
    runs = [a_run(name) for name in ("a", "b", "c")]
    stage = Harness(
        a_node("n1"),
        *(attrs.evolve(run, spec=attrs.evolve(run.spec, runtime=said)) for run in runs),
        settings=Settings(reservations=ReservationSettings(max=1)),
    )
    stage.settle()
    told = {one.run.name: (one.basis is None, one.message.partition("; ")[2:]) for one in _all(stage)}
    most = "nothing is promised to it: places are kept for 1 run (reservations.max)"
    free = "no GPU is free on 1 h100 node that will do"
    assert told == {"b": (False, (free,)), "c": (True, (f"{free}; {most}",))}


def _all(stage: Harness) -> Sequence[Waiting]:
    return line(stage.world, stage.loop.advice).items

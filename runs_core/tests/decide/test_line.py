from __future__ import annotations

from datetime import timedelta

import attrs

from runs_core.testing.builders import A_MONDAY, a_node, a_run, lasting
from runs_core.testing.harness import Harness
from runs_core.values.change import RunGone, RunSeen
from runs_core.values.decision import Starts
from runs_core.values.run import Phase, RunStatus
from runs_core.world.queues import UNFUNDABLE, UNPAYABLE

MINUTE = timedelta(minutes=1)


def started(stage: Harness) -> list[str]:
    return [record.run.name for record in stage.records if isinstance(record.outcome, Starts)]


def test_who_was_admitted_first_starts_first_whatever_its_name() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("first"), MINUTE), oracles=True)
    stage.advance(10)
    stage.submit(a_run("z-came-second"))
    stage.advance(10)
    stage.submit(a_run("a-came-third"))
    stage.advance(minutes=2)
    assert started(stage) == ["first", "z-came-second"]


def test_a_run_that_comes_as_gpus_get_free_stands_behind_who_waits_since_the_last_turn() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("first"), MINUTE, start="0s"))
    stage.advance(10)
    stage.submit(a_run("z-waits"))
    stage.settle()  # the last turn before the end of the first run
    assert stage.stage.advance(A_MONDAY + MINUTE)
    stage.submit(a_run("a-comes"))
    stage.settle()
    assert started(stage) == ["first", "z-waits"]


def test_a_run_may_pass_one_that_does_not_fit() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("half", gpus=4), MINUTE), oracles=True)
    stage.settle()
    stage.submit(a_run("whole", gpus=8))
    stage.settle()
    stage.submit(a_run("other-half", gpus=4))
    stage.settle()
    assert started(stage) == ["half", "other-half"]
    assert stage.run("whole").status.reason == "NotEnoughGPUs"


def test_every_waiting_run_learns_that_its_flavor_left_the_fleet() -> None:
    stage = Harness(a_node("n1"), a_node("n2", flavor="b200"), a_run("runs"), a_run("waits"), a_run("waits-too"))
    stage.settle()
    assert stage.run("waits-too").status.reason == "NotEnoughGPUs"
    stage.lose("n1")
    stage.settle()
    assert {stage.run(name).status.reason for name in ("runs", "waits", "waits-too")} == {"FlavorUnknown"}
    assert stage.run("waits").status.message == "wants h100; the fleet has b200"


def test_a_waiting_run_learns_that_its_flavor_came_and_is_too_small() -> None:
    stage = Harness(a_node("n2", flavor="b200"), a_run("fits"), a_run("too-wide", gpus=16))
    stage.settle()
    assert stage.run("too-wide").status.reason == "FlavorUnknown"
    stage.add(a_node("n1"))
    stage.settle()
    assert stage.phase("fits") is Phase.STARTING
    assert stage.run("too-wide").status.reason == "NeverFits"


def test_a_run_without_a_flavor_follows_the_one_flavor_of_a_relabelled_fleet() -> None:
    stage = Harness(a_node("n1"), a_run("waits", gpus=9, flavor=None), oracles=True)
    stage.settle()
    stage.node(a_node("n1", flavor="b200", gpus=9))
    stage.settle()
    assert stage.placed("waits") == {"n1": 9}


def test_a_run_without_a_flavor_says_so_once_there_are_two() -> None:
    stage = Harness(a_node("n1", gpus=4), a_run("waits", flavor=None))
    stage.settle()
    stage.add(a_node("n2", flavor="b200", gpus=4))
    stage.settle()
    assert stage.run("waits").status.reason == "FlavorAmbiguous"
    assert "set spec.resources.flavor" in stage.run("waits").status.message


def test_a_what_if_in_which_a_run_leaves_the_line_forgets_nothing_of_its_queue() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("first"), MINUTE), a_run("second"), oracles=True)
    stage.settle()
    world, second = stage.world, stage.run("second")
    before, asked = world.line.entries[second.key], world.line.asked
    bound = attrs.evolve(second, status=attrs.evolve(second.status, phase=Phase.HELD))
    with world.supposing([RunSeen(bound)]):
        assert second.key not in world.line.entries
        assert world.line.head(before.shape) is None
    assert world.line.entries[second.key].queue is before.queue
    assert (world.line.asked, world.line.head(before.shape)) == (asked, (before.order, second.key))


def test_a_queue_that_only_a_what_if_needs_is_gone_afterwards() -> None:
    stage = Harness(a_node("n1"))
    stage.settle()
    other = a_run("other", gpus=2)
    with stage.world.supposing([RunSeen(attrs.evolve(other, status=RunStatus(phase=Phase.QUEUED)))]):
        assert len(stage.world.line.shapes) == 1
    assert stage.world.line.shapes == {}
    assert stage.world.line.sizes == {}


def test_who_leaves_the_line_in_a_what_if_about_its_band_leaves_nothing_behind() -> None:
    stage = Harness(a_node("n1"), a_run("runs"), a_run("waits"), a_run("waits-too"), oracles=True)
    stage.settle()
    line, waits = stage.world.line, stage.run("waits")
    for band in (UNFUNDABLE, UNPAYABLE):
        with line.in_band(waits.key, band), stage.world.supposing([RunGone(waits.key)]):
            assert waits.key not in line.entries
        assert [queue.size for shape in line.shapes.values() for queue in shape.queues.values()] == [2]
    stage.delete("waits-too")
    stage.settle()
    with line.in_band(waits.key, UNFUNDABLE), stage.world.supposing([RunGone(waits.key)]):
        assert not line.shapes
    assert [queue.size for shape in line.shapes.values() for queue in shape.queues.values()] == [1]
    stage.delete("waits")
    stage.settle()
    assert not line.shapes

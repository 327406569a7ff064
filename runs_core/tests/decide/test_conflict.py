from __future__ import annotations

from datetime import timedelta

import pytest

from runs_core.errors import Conflict
from runs_core.testing.builders import A_MONDAY, a_node, a_run, lasting
from runs_core.testing.canonical import canonical
from runs_core.testing.harness import Harness
from runs_core.values.change import NodeSeen, TimePassed
from runs_core.values.effect import Emit
from runs_core.values.node import MalformedNode
from runs_core.world.oracle import snapshot


def busy() -> Harness:
    """A run that starts, one that waits for GPUs, one that waits for the first, and one that the fleet cannot take."""
    minute = timedelta(minutes=1)
    return Harness(
        a_node("n1"),
        lasting(a_run("first"), minute),
        a_run("second", after=("first",)),
        lasting(a_run("third", gpus=4), minute),
        a_run("wide", gpus=16),
    )


def test_a_refused_commit_leaves_the_world_as_it_was_observed() -> None:
    stage = busy()
    observed = Harness().world
    now, changes = stage.stage.observe()
    for change in changes:
        stage.stage.inject(change)
        observed.apply(change)
    assert len(changes) == 5 + 2  # what draws are made from comes first
    stage.refuse(1)
    with pytest.raises(Conflict):
        stage.loop.cycle()
    observed.apply(TimePassed(now))
    assert snapshot(stage.world) == snapshot(observed)
    assert not stage.records


def test_after_a_refused_commit_the_same_is_decided_in_the_same_order() -> None:
    refused, granted = busy(), busy()
    refused.refuse(3)
    for stage in (refused, granted):
        stage.advance_until_quiet()
    assert canonical(refused.records, A_MONDAY) == canonical(granted.records, A_MONDAY)
    assert len(granted.records) > 5


def test_a_refused_commit_does_not_swallow_the_event_of_a_node_that_is_set_aside() -> None:
    stage = busy()
    stage.settle()
    stage.refuse(1)
    stage.stage.inject(NodeSeen(MalformedNode(name="n9", why="got 'eight' GPUs, want a number")))
    written: list[str] = []
    check = stage.loop.check

    def keep() -> None:
        written.extend(effect.reason for effect in stage.stage.written if isinstance(effect, Emit))
        check()

    stage.loop.check = keep
    stage.settle()
    assert "SetAside" in written


def test_what_a_waiting_run_is_told_counts_the_starts_of_the_same_turn() -> None:
    stage = Harness(a_node("n1"), a_run("a", gpus=9), a_run("b", gpus=3), a_run("c", gpus=9))
    stage.settle()
    assert "0 GPUs are free" not in stage.run("a").status.message
    assert "8 GPUs are free" in stage.run("a").status.message
    assert "5 GPUs are free" in stage.run("c").status.message

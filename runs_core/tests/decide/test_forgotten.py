"""Whoever takes over between the writes of an end must find out why it ends, though its leases are closed already."""

from __future__ import annotations

import attrs
import pytest

from runs_core.decide.lifecycle import lifecycle
from runs_core.testing.builders import A_MONDAY, a_lease, a_node, a_run, a_world
from runs_core.values.change import LeaseSeen, NodeGone, RunSeen
from runs_core.values.effect import CloseLease, Effect, SetRunStatus
from runs_core.values.lease import Closed, LeaseStatus
from runs_core.values.run import Ending, OnLoss, Phase, Run
from runs_core.world.world import World


def lost(policy: OnLoss) -> tuple[World, Run]:
    """A run whose only node is gone, with its pods."""
    run = a_run("train", gpus=2, phase=Phase.RUNNING)
    run = attrs.evolve(run, spec=attrs.evolve(run.spec, on_node_loss=policy))
    world = a_world(a_node("n1"), run, a_lease(run, {"n1": (0, 1)}))
    world.apply(NodeGone("n1"))
    return world, run


def decided(world: World, run: Run) -> tuple[Effect, ...]:
    found = lifecycle(world, run)
    assert found is not None
    return found.effects


@pytest.mark.parametrize(("policy", "phase"), [(OnLoss.REQUEUE, Phase.QUEUED), (OnLoss.FAIL, Phase.FAILED)])
def test_a_kill_after_the_leases_of_a_lost_node_closed_ends_as_no_kill_would(policy: OnLoss, phase: Phase) -> None:
    world, run = lost(policy)
    effects = decided(world, run)
    last = next(effect.run for effect in reversed(effects) if isinstance(effect, SetRunStatus))
    assert last.status.phase is phase
    for effect in effects:
        match effect:
            case CloseLease(lease):
                world.apply(LeaseSeen(lease))
                break
            case SetRunStatus(run):
                world.apply(RunSeen(run))
            case _:
                pass
    resumed = [effect.run.status for effect in decided(world, run) if isinstance(effect, SetRunStatus)]
    assert [(status.phase, status.reason, status.message) for status in resumed] == [
        (last.status.phase, last.status.reason, last.status.message)
    ]


def test_a_cause_that_can_be_seen_again_is_not_written_down_before_the_leases_close() -> None:
    """One write less: the run itself still says that it is canceled."""
    world, run = lost(OnLoss.REQUEUE)
    canceled = attrs.evolve(run, spec=attrs.evolve(run.spec, canceled=True))
    world.apply(RunSeen(canceled))
    assert sum(isinstance(effect, SetRunStatus) for effect in decided(world, canceled)) == 1


def test_an_end_that_finds_a_lease_of_the_next_attempt_counts_that_attempt_as_spent() -> None:
    world, run = lost(OnLoss.REQUEUE)
    [before] = world.leases_of(run.key)
    world.apply(LeaseSeen(attrs.evolve(before, status=a_closure())))
    world.apply(RunSeen(attrs.evolve(run, status=attrs.evolve(run.status, ending=an_ending()))))
    world.apply(LeaseSeen(a_lease(run, {"n2": (0, 1)}, attempt=2)))
    ending = world.run(run.key)
    assert ending is not None
    [after] = [effect.run.status for effect in decided(world, ending) if isinstance(effect, SetRunStatus)]
    assert (after.phase, after.attempt) == (Phase.QUEUED, 2)


def a_closure() -> LeaseStatus:
    return LeaseStatus(closed=True, end=A_MONDAY, closure_reason=Closed.NODE_LOST)


def an_ending() -> Ending:
    return Ending(reason="NodeLost", detail="lost node n1", then=Phase.QUEUED, since=A_MONDAY)

"""A gang that runs and whose pods the cluster would not make again."""

from __future__ import annotations

from datetime import timedelta

from runs_core.decide.lifecycle import lifecycle
from runs_core.testing.builders import A_MONDAY, a_lease, a_node, a_run, a_world
from runs_core.values.change import Refusal, StartRefused, TimePassed
from runs_core.values.effect import MakePod
from runs_core.values.run import Phase

LATER = A_MONDAY + timedelta(minutes=1)
RUN = a_run("train", gpus=2, phase=Phase.RUNNING)


def test_replacements_that_were_refused_are_not_asked_for_again_before_the_pause_is_over() -> None:
    world = a_world(a_node("n1"), RUN, a_lease(RUN, {"n1": (0, 1)}))
    world.apply(StartRefused(RUN.key, Refusal(message="exceeded quota", count=1, until=LATER)))
    assert lifecycle(world, RUN) is None
    assert world.next_deadline() == LATER
    world.apply(TimePassed(LATER))
    decision = lifecycle(world, RUN)
    assert decision is not None
    assert sum(isinstance(effect, MakePod) for effect in decision.effects) == 2

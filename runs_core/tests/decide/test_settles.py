"""A cycle whose decisions would never end is given up, so that a mistake cannot hang the loop and fill its memory."""

from __future__ import annotations

import pytest

from runs_core.decide import cycle
from runs_core.decide.advice import Advice
from runs_core.decide.standing import stand
from runs_core.errors import RunsError
from runs_core.testing.builders import a_run
from runs_core.testing.harness import Harness
from runs_core.values.decision import Decision, Moves
from runs_core.values.effect import SetRunStatus
from runs_core.values.meta import Key
from runs_core.world.world import World


def test_a_decision_that_asks_for_itself_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def again(world: World, key: Key, _: Advice) -> Decision | None:
        run = world.run(key)
        assert run is not None
        taken.append(key)
        moves = Moves(reason="Again", message=f"for the {len(taken)}th time")
        stands = stand(run, world.now, phase=run.status.phase, reason="Again", message=moves.message)
        return Decision(run=key, uid=run.uid, outcome=moves, effects=(SetRunStatus(stands),))

    monkeypatch.setattr(cycle, "attend", again)
    with pytest.raises(RunsError, match="do not settle after"):
        Harness(a_run("r")).settle()
    assert len(taken) == cycle.AT_LEAST

"""The comparison of stages is no formality: a stage that differs is found out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.scenarios.evidence import unverified
from tests.scenarios.funds import FundedPlay, envelope
from tests.scenarios.local import LocalStage, RestartedStage
from tests.scenarios.memory import MemoryStage
from tests.scenarios.play import Play
from tests.scenarios.stage import Object, Stage
from tests.scenarios.transcript import difference, transcript

from runs_budgets import plugin as budgets
from runs_core.settings import LocalSettings, Settings
from runs_core.testing.builders import A_MONDAY


def scenario(stage: Stage) -> str:
    """x has a1 from 0 to 60, then y."""
    play = Play(stage)
    play.fleet(a1=8)
    play.submit("x", gpus=8, lasts="58s")
    play.submit("y", gpus=8, lasts="58s")
    play.until(70)
    assert play.phases() == {"x": "Succeeded", "y": "Running"}
    return transcript(stage, A_MONDAY)


class Forgetful(MemoryStage):
    """Loses the record of every start: the first thing it tells is that y waits."""

    def records(self) -> list[Object]:
        return [record for record in super().records() if record["outcome"]["is"] != "Starts"]


def test_equal_stages_tell_the_same_although_their_uids_differ(tmp_path: Path) -> None:
    memory, local = MemoryStage(Settings()), LocalStage(tmp_path, Settings())
    assert difference(scenario(local), scenario(memory)) is None
    uids = [stage.objects("Run")[0]["metadata"]["uid"] for stage in (memory, local)]
    assert uids[0] != uids[1]


@pytest.mark.parametrize(
    ("broken", "first"),
    [
        (MemoryStage(Settings(local=LocalSettings(pod_start=A_MONDAY.resolution * 2_500_000))), '"at": 2.5'),
        (Forgetful(Settings()), '"is": "Waits"'),
    ],
    ids=["late", "forgetful"],
)
def test_a_stage_that_differs_is_found_out(broken: Stage, first: str) -> None:
    found = difference(scenario(broken), scenario(MemoryStage(Settings())))
    assert found is not None
    assert first in found.splitlines()[0]


class Tampered(LocalStage):
    """Tells of one more GPU that was cut than there was."""

    def objects(self, kind: str) -> Sequence[Object]:
        found = copy.deepcopy(list(super().objects(kind)))
        for one in found if kind == "Resolution" else ():
            one["spec"]["cutGPUs"] += 1
        return found


class Shortened(LocalStage):
    """Tells of nothing but the last that was taken back."""

    def objects(self, kind: str) -> Sequence[Object]:
        return list(super().objects(kind))[-1:] if kind == "Resolution" else super().objects(kind)


def taken_back_twice(stage: Stage) -> list[str]:
    """x (8, guest) makes room for y at 100, and once y has ended and x has started again, for z at 300."""
    play = FundedPlay(stage)
    play.fleet(a1=8)
    play.quota("guest")
    play.quota("org", envelope(8))
    play.submit("x", gpus=8, owner="guest", runtime={"minRuntime": "60s"})
    play.until(100)
    play.submit("y", gpus=8, owner="org", lasts="58s")
    play.until(300)
    play.submit("z", gpus=8, owner="org")
    play.until(310)
    assert [taking.beneficiary for taking in play.takings()][-1:] == ["z"]
    return unverified(stage)


def test_what_was_taken_back_is_worked_out_again_on_each_stage(tmp_path: Path) -> None:
    for name, kind in (("plain", LocalStage), ("restarted", RestartedStage)):
        (tmp_path / name).mkdir()
        assert taken_back_twice(kind(tmp_path / name, Settings(), {"budgets": budgets})) == []


@pytest.mark.parametrize(
    ("broken", "why"),
    [(Tampered, "resolution-2: spec.cutGPUs: got 9, want 8"), (Shortened, "resolution-2: got number 2, want 1")],
)
def test_a_stage_that_keeps_other_evidence_is_found_out(broken: type[LocalStage], why: str, tmp_path: Path) -> None:
    assert why in taken_back_twice(broken(tmp_path, Settings(), {"budgets": budgets}))


def test_a_stage_whose_invariants_are_broken_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's GPUs are ever taken, so that x and y get the same ones."""
    monkeypatch.setattr("runs_core.world.fleet.Fleet.hold", lambda *_args, **_more: None)
    with pytest.raises(AssertionError, match="place 0 of node a1 has the open leases"):
        scenario(LocalStage(tmp_path, Settings()))

"""Whoever is paid for takes back what nobody pays for: who is cut, when not, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import attrs
import pytest

from runs_core.decide.reach import gains
from runs_core.decide.verify import verify
from runs_core.testing.builders import a_budget, a_node, a_run, lasting
from runs_core.testing.harness import Harness
from runs_core.testing.plugins import a_plugin
from runs_core.testing.purses import Purse, a_stage, hours, leases, purses
from runs_core.values.change import Change, LeaseGone
from runs_core.values.decision import Reclaims
from runs_core.values.lease import Closed
from runs_core.values.meta import Key
from runs_core.values.node import Domain
from runs_core.values.resolution import Resolution, ResolutionPhase
from runs_core.values.run import OnLoss, Phase, Run, Runtime
from runs_core.world.slack import Slacks


def lasting_at_least(run: Run, minutes: int) -> Run:
    runtime = Runtime(min_runtime=timedelta(minutes=minutes))
    return attrs.evolve(run, spec=attrs.evolve(run.spec, runtime=runtime))


def unpaid(stage: Harness, *runs: Run) -> None:
    """They start while the purse is used up, on what else there is, and run on once it has GPUs again."""
    for run in runs:
        stage.submit(run)
    stage.settle()


def last(stage: Harness) -> Resolution:
    return stage.world.resolutions()[-1]


def test_the_smallest_set_that_makes_room_is_cut_and_the_record_verifies() -> None:
    stage = a_stage(a_node("n1", gpus=8), plugin=purses(Purse(name="main", gpus=4)))
    unpaid(stage, hours(a_run("wide", gpus=6), 9), hours(a_run("slim", gpus=2, gpus_per_pod=2), 1))
    stage.advance(minutes=31)
    stage.cancel("slim")
    stage.submit(hours(a_run("heir", gpus=4), 1))
    stage.settle()
    assert leases(stage, "heir") == []
    stage.advance(minutes=1)
    assert [(lease.run.name, lease.spec.payer is not None) for lease in stage.world.ledger.open.values()] == [
        ("heir", True)
    ]
    found = last(stage)
    assert [(cut.name, cut.gpus, cut.stage) for cut in found.spec.cuts] == [("wide", 6, "unfunded")]
    assert verify(found, found.spec.evidence.data, None) == []
    assert found.status.phase is ResolutionPhase.RELEASED
    [closed] = [lease for lease in stage.witness.closed.values() if lease.run.name == "wide"]
    assert closed.status.closure_reason is Closed.UNFUNDED_RECLAIMED
    assert found.name in closed.status.closure_detail
    wide = stage.run("wide").status
    assert (wide.phase, wide.preemptions) == (Phase.QUEUED, 1)
    assert any(isinstance(record.outcome, Reclaims) for record in stage.records_of("heir"))


def test_nothing_is_taken_from_a_run_inside_its_least_runtime() -> None:
    stage = a_stage(a_node("n1", gpus=8), plugin=purses(Purse(name="main", gpus=4)))
    unpaid(stage, lasting_at_least(hours(a_run("wide", gpus=6), 9), 45))
    stage.submit(hours(a_run("heir", gpus=4), 1))
    stage.advance(minutes=44, seconds=59)
    assert leases(stage, "heir") == []
    assert stage.phase("wide") is Phase.RUNNING
    stage.advance(seconds=40)
    assert leases(stage, "heir") == [((0, 1, 2, 3), "main")]
    assert stage.run("wide").status.preemptions == 1


def test_who_is_cut_has_its_grace_and_the_places_are_kept_meanwhile() -> None:
    """`wide` saves for two minutes; `thief` would fit into what is being freed, and does not get it."""
    wide = hours(a_run("wide", gpus=6), 9)
    wide = attrs.evolve(wide, spec=attrs.evolve(wide.spec, runtime=Runtime(checkpoint_grace=timedelta(minutes=2))))
    stage = a_stage(a_node("n1", gpus=8), wide, plugin=purses(Purse(name="main", gpus=4)))
    stage.settle()
    stage.advance(minutes=31)
    stage.submit(hours(a_run("heir", gpus=4), 1))
    stage.settle()
    assert stage.run("heir").status.reason == "Activating"
    assert last(stage).status.phase is ResolutionPhase.ACTIVATING
    stage.submit(hours(a_run("thief", gpus=4), 1))
    stage.advance(minutes=3)
    assert leases(stage, "heir") == [((0, 1, 2, 3), "main")]
    assert stage.phase("thief") is not Phase.QUEUED
    assert stage.phase("wide") is Phase.QUEUED


def test_a_beneficiary_that_goes_gives_up_what_was_bound() -> None:
    wide = hours(a_run("wide", gpus=8), 9)
    wide = attrs.evolve(wide, spec=attrs.evolve(wide.spec, runtime=Runtime(checkpoint_grace=timedelta(minutes=2))))
    stage = a_stage(a_node("n1", gpus=8), wide, plugin=purses(Purse(name="main", gpus=4)))
    stage.advance(minutes=31)
    stage.submit(hours(a_run("heir", gpus=4), 1))
    stage.settle()
    stage.cancel("heir")
    stage.settle()
    found = last(stage)
    assert (found.status.phase, found.status.reason) == (ResolutionPhase.CANCELED, "Canceled")
    stage.advance(minutes=5)
    assert leases(stage, "wide") != []
    assert stage.run("heir").status.phase is Phase.FAILED


def test_who_does_not_want_to_come_back_fails() -> None:
    wide = hours(a_run("wide", gpus=8), 9)
    wide = attrs.evolve(wide, spec=attrs.evolve(wide.spec, on_preemption=OnLoss.FAIL))
    stage = a_stage(a_node("n1", gpus=8), wide, plugin=purses(Purse(name="main", gpus=4)))
    stage.advance(minutes=31)
    stage.submit(hours(a_run("heir", gpus=4), 1))
    stage.advance(minutes=1)
    assert (stage.phase("wide"), stage.run("wide").status.reason) == (Phase.FAILED, "Preempted")


def test_nobody_is_cut_for_a_run_that_nobody_pays_for() -> None:
    stage = a_stage(a_node("n1", gpus=8), plugin=purses(Purse(name="main", gpus=4)))
    unpaid(stage, hours(a_run("wide", gpus=8), 9))
    stage.advance(minutes=31)
    stage.submit(hours(a_run("beggar", gpus=6), 1))
    stage.advance(hours=1)
    assert stage.phase("wide") is Phase.RUNNING
    assert stage.world.resolutions() == []


def test_nobody_is_cut_where_all_of_it_would_not_make_room() -> None:
    """4 GPUs on each node, `heir` wants a pod of 8: cutting everybody would not help."""
    plugin = purses(Purse(name="main", gpus=8))
    stage = a_stage(a_node("n1", gpus=4), a_node("n2", gpus=4), plugin=plugin)
    unpaid(stage, hours(a_run("a", gpus=4, gpus_per_pod=4), 9))
    stage.submit(hours(a_run("heir", gpus=8, gpus_per_pod=8), 1))
    stage.advance(hours=2)
    assert stage.phase("a") is Phase.RUNNING
    assert stage.run("heir").status.reason == "NeverFits"


def test_a_new_process_carries_out_what_was_begun() -> None:
    told = []
    for restarts in (False, True):
        wide = hours(a_run("wide", gpus=6), 9)
        runtime = Runtime(checkpoint_grace=timedelta(minutes=2))
        wide = attrs.evolve(wide, spec=attrs.evolve(wide.spec, runtime=runtime))
        stage = a_stage(a_node("n1", gpus=8), wide, plugin=purses(Purse(name="main", gpus=4)))
        stage.advance(minutes=31)
        stage.submit(hours(a_run("heir", gpus=4), 1))
        stage.settle()
        if restarts:
            stage.restart()
        stage.advance(minutes=1)
        if restarts:
            stage.restart()
        stage.advance(minutes=3)
        told.append([(str(record.run), record.at, type(record.outcome).__name__) for record in stage.records])
        assert last(stage).status.phase is ResolutionPhase.RELEASED
    assert told[0] == told[1]


@pytest.mark.parametrize("scores", [False, True])
def test_a_plugin_hears_of_the_plan_after_the_cuts_only_where_it_is_asked_in_it(*, scores: bool) -> None:
    """Its index is told in vain otherwise, twice for each run that is cut."""
    told: list[Change] = []

    class Ear:
        supposing = False

        def supposed(self, begins: bool) -> None:
            self.supposing = begins

        def apply(self, change: Change) -> Sequence[Key]:
            if self.supposing and isinstance(change, LeaseGone):
                told.append(change)
            return ()

    def runs_index() -> Ear:
        return Ear()

    def runs_score(domains: Sequence[Domain]) -> Sequence[float]:
        return [0.0] * len(domains)

    ear = a_plugin(runs_index, runs_score) if scores else a_plugin(runs_index)
    plugins = {"purses": purses(Purse(name="main", gpus=4)), "ear": ear}
    stage = Harness(a_budget("vision"), a_node("n1", gpus=8), plugins=plugins, oracles=True)
    unpaid(stage, hours(a_run("wide", gpus=6), 9))
    stage.advance(minutes=31)
    stage.submit(hours(a_run("heir", gpus=4), 1))
    stage.advance(minutes=1)
    assert leases(stage, "heir") == [((0, 1, 2, 3), "main")]
    assert bool(told) is scores


def test_who_is_not_counted_anew_when_something_of_it_changed_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def play() -> None:
        plugins = {"purses": purses(Purse(name="main", gpus=4))}
        stage = Harness(a_budget("vision"), a_node("n1", gpus=8), plugins=plugins, oracles=True)
        unpaid(stage, hours(a_run("wide", gpus=6), 9))
        stage.advance(minutes=31)
        assert gains(stage.world, "h100").said() == ({"n1": 6}, {})
        stage.submit(hours(a_run("heir", gpus=4), 1))
        stage.advance(minutes=1)
        assert gains(stage.world, "h100").said() == ({}, {})

    play()
    monkeypatch.setattr(Slacks, "stirred", property(lambda _: set(), lambda *_: None), raising=False)
    with pytest.raises(AssertionError, match="may be taken back of h100"):
        play()


def test_a_node_that_is_lost_between_the_plan_and_the_commit_cuts_nobody() -> None:
    """The commit that would cut `wide` is refused, and `n1` was lost meanwhile: all of it is decided anew."""
    wide = hours(a_run("wide", gpus=8), 9)
    stage = a_stage(a_node("n1", gpus=8), a_node("n2", gpus=2), wide, plugin=purses(Purse(name="main", gpus=4)))
    stage.advance(minutes=31)
    refused: list[int] = []

    def refuses() -> bool:
        if not refused and (found := stage.world.resolutions()):
            refused.append(found[0].spec.number)
            stage.lose("n1")
            return True
        return False

    stage.stage.refuses = refuses
    stage.submit(hours(a_run("heir", gpus=4), 1))
    stage.advance(minutes=1)
    assert refused == [1]
    assert stage.world.resolutions() == []
    assert stage.phase("heir") is Phase.QUEUED
    assert (stage.run("wide").status.preemptions, stage.phase("wide")) == (0, Phase.QUEUED)


def test_a_node_that_is_lost_while_the_victims_save_gives_up_what_was_bound() -> None:
    """`wide` saves for two minutes; after one, the node is gone: the resolution says so, and `heir` waits on."""
    wide = lasting(a_run("wide", gpus=8), timedelta(hours=9), shutdown="2m")
    runtime = Runtime(checkpoint_grace=timedelta(minutes=3))
    wide = attrs.evolve(wide, spec=attrs.evolve(wide.spec, runtime=runtime))
    stage = a_stage(a_node("n1", gpus=8), wide, plugin=purses(Purse(name="main", gpus=4)))
    stage.advance(minutes=31)
    stage.submit(hours(a_run("heir", gpus=4), 1))
    stage.advance(minutes=1)
    assert last(stage).status.phase is ResolutionPhase.ACTIVATING
    stage.lose("n1")
    stage.advance(minutes=2)
    assert (last(stage).status.phase, last(stage).status.reason) == (ResolutionPhase.CANCELED, "NodeGone")
    assert stage.phase("heir") is Phase.QUEUED

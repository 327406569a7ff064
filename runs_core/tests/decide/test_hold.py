from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from runs_core.settings import FleetSettings, Settings, Unbudgeted
from runs_core.testing.builders import A_MONDAY, a_budget, a_node, a_run, lasting
from runs_core.testing.harness import Harness
from runs_core.values.budget import Namespace, Namespaces
from runs_core.values.change import BudgetGone, RunSeen
from runs_core.values.decision import Held
from runs_core.values.run import AfterFailure, OnUpstreamFailure, Phase, Run
from runs_core.values.template import PodTemplate

HOUR = timedelta(hours=1)


def reasons(stage: Harness, name: str) -> list[tuple[str, str]]:
    """Code and message of each reason of the last hold."""
    held = [record.outcome for record in stage.records_of(name) if isinstance(record.outcome, Held)]
    return [(reason.code, reason.message) for reason in held[-1].reasons]


def codes(stage: Harness, name: str) -> list[str]:
    return [code for code, _ in reasons(stage, name)]


# -- templates --------------------------------------------------------------------------------------------------------

AMD = Settings(fleet=FleetSettings(resources=(("MI300", "amd.com/gpu"),)))


def asking(*extended: tuple[str, int]) -> Run:
    """A run of one pod of 4 GPUs whose template asks for these by itself."""
    run = a_run("train", gpus=4, gpus_per_pod=4)
    return attrs.evolve(run, spec=attrs.evolve(run.spec, template=PodTemplate(extended=extended)))


@pytest.mark.parametrize("extended", [(), (("nvidia.com/gpu", 4),), (("nvidia.com/gpu", 0),), (("rdma/hca", 1),)])
def test_a_template_may_place_the_gpus_of_the_run(extended: tuple[tuple[str, int], ...]) -> None:
    stage = Harness(a_node("n1"), asking(*extended), settings=AMD)
    stage.settle()
    assert stage.phase("train") is Phase.STARTING


@pytest.mark.parametrize(
    ("asked", "amount"),
    [("nvidia.com/gpu", 8), ("nvidia.com/gpu", 1), ("amd.com/gpu", 4)],
    ids=["more", "less", "other"],
)
def test_a_template_that_asks_for_other_gpus_than_the_run_holds_is_held(asked: str, amount: int) -> None:
    """Or a run that is paid for by the GPU would have a pod of eight."""
    stage = Harness(a_node("n1"), asking((asked, amount)), settings=AMD)
    stage.settle()
    [(code, message)] = reasons(stage, "train")
    assert code == "PodMismatch"
    assert message.startswith(f"its template asks for {amount} {asked} a pod, the run for 4 nvidia.com/gpu: submit")


# -- owners -----------------------------------------------------------------------------------------------------------


def test_a_namespace_with_one_owner_spends_for_it() -> None:
    stage = Harness(a_node("n1"), a_budget("vision"), a_run("train"))
    stage.settle()
    [lease] = stage.world.leases_of(stage.run("train").key)
    assert lease.spec.owner == "vision"


def test_a_run_without_an_owner_may_run_unless_the_settings_deny_it() -> None:
    allowed, denied = Harness(a_node("n1")), Harness(a_node("n1"), settings=Settings(unbudgeted=Unbudgeted.DENY))
    for stage in (allowed, denied):
        stage.submit(a_run("train"))
        stage.settle()
    assert (allowed.phase("train"), denied.phase("train")) == (Phase.STARTING, Phase.HELD)
    message = "no Budget lists namespace research, and runs without an owner are denied"
    assert reasons(denied, "train") == [("Unbudgeted", message)]


def test_an_owner_that_the_namespace_may_not_spend_for_holds_the_run_until_it_may() -> None:
    stage = Harness(a_node("n1"), a_budget("vision"), a_run("train", owner="speech"), oracles=True)
    stage.settle()
    message = "namespace research may not spend for speech: it may spend for vision"
    assert reasons(stage, "train") == [("OwnerUnknown", message)]
    stage.add(a_budget("speech"))
    stage.settle()
    assert stage.phase("train") is Phase.STARTING


def test_several_owners_hold_a_run_that_picks_none() -> None:
    stage = Harness(a_node("n1"), a_budget("vision"), a_budget("speech"), a_run("train"))
    stage.settle()
    assert reasons(stage, "train") == [("OwnerAmbiguous", "set spec.owner to one of speech, vision")]
    stage.stage.inject(BudgetGone("speech"))
    stage.settle()
    assert stage.phase("train") is Phase.STARTING


def test_a_budget_may_list_namespaces_by_their_labels() -> None:
    listed = a_budget("vision")
    spec = attrs.evolve(listed.spec, namespaces=Namespaces(match_labels=(("team", "vision"),)))
    stage = Harness(a_node("n1"), attrs.evolve(listed, spec=spec), a_run("train", owner="vision"), oracles=True)
    stage.settle()
    assert codes(stage, "train") == ["OwnerUnknown"]
    stage.add(Namespace(name="research", labels=(("team", "vision"),)))
    stage.settle()
    assert stage.phase("train") is Phase.STARTING
    condition = stage.world.budgets()[0].status.conditions[0]
    assert condition.message.startswith("1 namespaces spend for vision")


# -- upstreams ---------------------------------------------------------------------------------------------------------


def failing(run: Run) -> Run:
    return lasting(run, timedelta(minutes=1), exit_code="1")


def patient(run: Run, policy: OnUpstreamFailure) -> Run:
    after = AfterFailure(policy=policy, grace=timedelta(minutes=30))
    return attrs.evolve(run, spec=attrs.evolve(run.spec, after_failure=after))


def test_a_run_waits_for_its_upstreams_and_is_admitted_when_the_last_has_succeeded() -> None:
    stage = Harness(a_node("n1"), lasting(a_run("a", gpus=4), HOUR), lasting(a_run("b", gpus=4), 2 * HOUR))
    stage.submit(a_run("c", after=("a", "b")))
    stage.settle()
    assert codes(stage, "c") == ["UpstreamUnfinished", "UpstreamUnfinished"]
    stage.advance(hours=1.5)
    assert codes(stage, "c") == ["UpstreamUnfinished"]
    stage.advance(hours=1)
    assert stage.run("c").status.admitted_at == A_MONDAY + 2 * HOUR + timedelta(seconds=2)


def test_an_upstream_that_is_not_there_is_told_and_waited_for() -> None:
    stage = Harness(a_node("n1"), a_run("second", after=("first",)))
    stage.settle()
    assert reasons(stage, "second") == [("UpstreamMissing", "waits for run first, which does not exist; submit it")]
    stage.submit(lasting(a_run("first"), HOUR))
    stage.advance(hours=2)
    assert stage.phase("second") is Phase.RUNNING


def test_a_failed_upstream_is_given_its_grace_to_be_submitted_again() -> None:
    second = patient(a_run("second", after=("first",)), OnUpstreamFailure.WAIT)
    stage = Harness(a_node("n1"), failing(a_run("first")), second)
    stage.advance(minutes=20)
    assert codes(stage, "second") == ["UpstreamFailed"]
    stage.delete("first")
    stage.settle()
    stage.submit(lasting(a_run("first"), HOUR))
    stage.advance(hours=2)
    assert stage.phase("second") is Phase.RUNNING


def test_a_run_fails_when_the_grace_of_its_failed_upstream_is_over() -> None:
    second = patient(a_run("second", after=("first",)), OnUpstreamFailure.WAIT)
    stage = Harness(a_node("n1"), failing(a_run("first")), second)
    stage.advance_until_quiet()
    status = stage.run("second").status
    assert (status.phase, status.reason, status.message) == (Phase.FAILED, "UpstreamFailed", "run first failed")
    assert status.finished_at == A_MONDAY + timedelta(minutes=31, seconds=2)


def test_a_failed_upstream_that_does_not_say_since_when_is_waited_for() -> None:
    """As whoever may write statuses can leave it: no moment to count the grace from."""
    stage = Harness(a_node("n1"), patient(a_run("second", after=("first",)), OnUpstreamFailure.WAIT))
    first = a_run("first")
    stage.world.apply(RunSeen(attrs.evolve(first, status=attrs.evolve(first.status, phase=Phase.FAILED, reason="X"))))
    stage.advance(hours=2)
    assert codes(stage, "second") == ["UpstreamFailed"]


def test_a_run_that_wants_it_fails_at_once_with_its_upstream_and_so_do_those_behind_it() -> None:
    stage = Harness(a_node("n1"), failing(a_run("first")))
    stage.submit(patient(a_run("second", after=("first",)), OnUpstreamFailure.FAIL))
    stage.submit(patient(a_run("third", after=("second",)), OnUpstreamFailure.FAIL))
    stage.advance_until_quiet()
    at = A_MONDAY + timedelta(minutes=1, seconds=2)
    assert [stage.run(name).status.finished_at for name in ("first", "second", "third")] == [at, at, at]


def test_runs_that_wait_for_each_other_are_told_the_way_round() -> None:
    stage = Harness(a_node("n1"), a_run("a", after=("b",)), a_run("b", after=("c",)), a_run("c", after=("a",)))
    stage.settle()
    assert reasons(stage, "a")[-1] == ("UpstreamCycle", "waits for itself: a -> b -> c -> a; cancel one of them")
    stage.cancel("c")
    stage.settle()
    assert "UpstreamCycle" not in codes(stage, "a")


# -- all of them -------------------------------------------------------------------------------------------------------


def test_every_reason_is_kept_not_only_the_first() -> None:
    run = a_run("train", owner="speech", after=("first",))
    stage = Harness(a_node("n1"), attrs.evolve(run, spec=attrs.evolve(run.spec, suspend=True)))
    stage.settle()
    assert codes(stage, "train") == ["Suspended", "OwnerUnknown", "UpstreamMissing"]
    assert stage.run("train").status.message.count(";") >= 2


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_a_held_run_can_be_ended(how: str) -> None:
    stage = Harness(a_node("n1"), a_run("train", owner="speech"))
    stage.settle()
    getattr(stage, how)("train")
    stage.settle()
    known = stage.world.run(stage.records[0].run)
    assert known is None if how == "delete" else known is not None and known.status.phase is Phase.FAILED

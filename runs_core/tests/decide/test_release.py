from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from runs_core.decide.advice import Silent
from runs_core.decide.cycle import cycle
from runs_core.settings import Settings
from runs_core.testing.builders import A_MONDAY, a_lease, a_node, a_pod, a_run, a_world, lasting
from runs_core.testing.harness import Harness
from runs_core.values.effect import CloseLease, Effect
from runs_core.values.lease import Closed, Lease
from runs_core.values.node import Node
from runs_core.values.pod import Pod, PodPhase
from runs_core.values.run import Phase, Run, Runtime
from runs_core.values.template import PodTemplate


def stubborn(*, template: int | None, checkpoint: int = 0) -> Run:
    """Its pods ignore SIGTERM. Seconds of grace: of the template, if it has one, and of the checkpoint."""
    run = lasting(a_run("train"), timedelta(hours=1), shutdown="1h")
    own = None if template is None else PodTemplate(grace=timedelta(seconds=template))
    runtime = Runtime(checkpoint_grace=timedelta(seconds=checkpoint))
    return attrs.evolve(run, spec=attrs.evolve(run.spec, template=own, runtime=runtime))


@pytest.mark.parametrize(
    ("template", "checkpoint", "seconds"),
    [(None, 0, 30), (10, 0, 10), (10, 120, 120), (300, 120, 300), (3600, 0, 600), (10, 3600, 600)],
)
def test_pods_get_the_greater_grace_and_never_more_than_the_cap(
    template: int | None, checkpoint: int, seconds: int
) -> None:
    stage = Harness(a_node("n1"), stubborn(template=template, checkpoint=checkpoint))
    stage.advance(10)
    stage.cancel("train")
    stage.advance_until_quiet()
    assert stage.run("train").status.finished_at == A_MONDAY + timedelta(seconds=10 + seconds)


def test_the_cap_is_a_setting() -> None:
    settings = Settings(checkpoint_grace_cap=timedelta(seconds=5))
    stage = Harness(a_node("n1"), stubborn(template=60), settings=settings)
    stage.advance(10)
    stage.cancel("train")
    stage.advance(5)
    assert stage.phase("train") is Phase.FAILED


def test_pods_are_asked_to_go_once() -> None:
    stage = Harness(a_node("n1"), stubborn(template=60))
    stage.advance(10)
    stage.suspend("train")
    stage.advance(20)
    stage.cancel("train")
    stage.advance(10)
    assert {pod.deleting for pod in stage.pods("train")} == {A_MONDAY + timedelta(seconds=10)}
    stage.advance(30)
    assert (stage.phase("train"), stage.run("train").status.reason) == (Phase.FAILED, "Canceled")


@pytest.mark.parametrize(("cap", "seconds"), [(600, 60), (0, 1)])
def test_who_deletes_a_pod_with_a_grace_beyond_the_cap_keeps_its_gpus_no_longer_than_the_run_may(
    cap: int, seconds: int
) -> None:
    """A tenant may: else what it was cut for would wait as long as the tenant likes."""
    settings = Settings(checkpoint_grace_cap=timedelta(seconds=cap))
    stage = Harness(a_node("n1"), stubborn(template=60), settings=settings)
    stage.advance(10)
    for pod in stage.pods("train"):
        stage.add(attrs.evolve(pod, deleting=stage.now, grace=timedelta(days=365)))
    stage.advance(10)
    assert stage.phase("train") is Phase.RUNNING
    stage.cancel("train")
    stage.advance(seconds)
    assert stage.phase("train") is Phase.FAILED


def test_a_pod_that_somebody_deletes_with_a_grace_within_the_cap_is_asked_nothing_more() -> None:
    stage = Harness(a_node("n1"), stubborn(template=60))
    stage.advance(10)
    first, *_ = stage.pods("train")
    stage.add(attrs.evolve(first, deleting=stage.now, grace=timedelta(seconds=600)))
    stage.cancel("train")
    stage.settle()
    assert [pod.grace for pod in stage.pods("train") if pod.name == first.name] == [timedelta(seconds=600)]


def test_while_it_ends_a_run_keeps_its_width_and_says_why() -> None:
    stage = Harness(a_node("n1"), stubborn(template=60))
    stage.advance(10)
    stage.cancel("train")
    stage.advance(30)
    status = stage.run("train").status
    assert (status.phase, status.width, status.message) == (Phase.RUNNING, 8, "ending: the run was canceled")


def test_a_node_lost_while_a_run_ends_does_not_make_it_wait_for_the_grace() -> None:
    stage = Harness(a_node("n1"), stubborn(template=60))
    stage.advance(10)
    stage.cancel("train")
    stage.advance(10)
    stage.lose("n1", taint=True)
    stage.settle()
    assert stage.run("train").status.finished_at == A_MONDAY + timedelta(seconds=20)


def succeeded_holding(*more: Node | Run | Lease | Pod) -> list[Effect]:
    """What is decided about a run that has succeeded, and whose lease somebody left open."""
    run = a_run("train", gpus=2)
    over = attrs.evolve(run, status=attrs.evolve(run.status, phase=Phase.SUCCEEDED, attempt=1, observed_generation=1))
    world = a_world(a_node("n1"), over, a_lease(over, {"n1": (0, 1)}), *more)
    return [effect for one in cycle(world, Silent(), lambda: 0.0).decisions for effect in one.effects]


def test_what_a_success_left_open_is_closed_at_once_as_a_success() -> None:
    (closes,) = succeeded_holding()
    assert isinstance(closes, CloseLease)
    assert closes.lease.status.closure_reason is Closed.SUCCEEDED


def test_what_a_success_left_open_stays_so_while_a_pod_of_it_lives() -> None:
    pod = a_pod(a_run("train", gpus=2), node="n1", phase=PodPhase.RUNNING)
    assert not any(isinstance(effect, CloseLease) for effect in succeeded_holding(pod))

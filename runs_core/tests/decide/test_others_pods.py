"""A run without a template, where somebody else makes the pods."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from runs_core.decide.advice import Silent
from runs_core.decide.cycle import cycle
from runs_core.settings import FleetSettings, Settings
from runs_core.testing.builders import a_node, a_run
from runs_core.values.change import NodeSeen, PodGone, PodSeen, RunSeen, TimePassed
from runs_core.values.decision import Held, Starts
from runs_core.values.effect import BindPod, Effect, MakePod, expected
from runs_core.values.meta import Key
from runs_core.values.pod import Claim, Pod, PodPhase
from runs_core.values.run import OnPodFailure, Phase, PodFailure, RunStatus
from runs_core.values.template import PodTemplate
from runs_core.world.world import World

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def a_claim(run: str, name: str, *, owner: str = "job", index: int = 0, gpus: int = 4) -> Pod:
    key = Key("default", run)
    claim = Claim(run=key, order=(owner, index, name), rules=PodTemplate())
    return Pod(namespace=key.namespace, name=name, claim=claim, gpus=gpus)


def a_world_with(*pods: Pod, settings: Settings | None = None) -> World:
    world = World(settings)
    world.plays_pods = False
    world.apply(NodeSeen(a_node("n1", gpus=8)))
    run = a_run("train", gpus=8, gpus_per_pod=4)
    run = attrs.evolve(run, meta=attrs.evolve(run.meta, namespace="default"))
    world.apply(RunSeen(run))
    for pod in pods:
        world.apply(PodSeen(pod))
    return world


def outcome(world: World) -> object:
    return cycle(world, Silent(), lambda: 0.0).decisions[0].outcome


def test_it_waits_until_all_of_its_pods_are_there() -> None:
    held = outcome(a_world_with(a_claim("train", "b")))
    assert isinstance(held, Held)
    assert [reason.code for reason in held.reasons] == ["WaitingForPods"]
    assert "1 of 2 pods" in held.reasons[0].message


def test_a_pod_of_another_size_is_named() -> None:
    held = outcome(a_world_with(a_claim("train", "b", gpus=2), a_claim("train", "c")))
    assert isinstance(held, Held)
    assert "pod b asks for 2 GPUs" in held.reasons[0].message


def test_its_pods_are_bound_as_ranks_by_owner_then_index_then_name() -> None:
    pods = (a_claim("train", "x", owner="b", index=0), a_claim("train", "y", owner="a", index=7))
    (decision,) = cycle(a_world_with(*pods), Silent(), lambda: 0.0).decisions
    assert isinstance(decision.outcome, Starts)
    bound = [effect.pod for effect in decision.effects if isinstance(effect, BindPod)]
    assert [(pod.name, pod.rank.rank if pod.rank else None, pod.node) for pod in bound] == [
        ("y", 0, "n1"),
        ("x", 1, "n1"),
    ]
    assert not [effect for effect in decision.effects if isinstance(effect, MakePod)]


def test_a_pod_that_asks_for_gpus_of_another_flavor_is_named() -> None:
    """Bound, it would run without a GPU: a kubelet passes over what its node does not offer."""
    rules = PodTemplate(extended=(("amd.com/gpu", 4),))
    odd = a_claim("train", "b")
    odd = attrs.evolve(odd, claim=attrs.evolve(odd.claim, rules=rules)) if odd.claim else odd
    fleet = FleetSettings(resources=(("MI300", "amd.com/gpu"),))
    held = outcome(a_world_with(odd, a_claim("train", "c"), settings=Settings(fleet=fleet)))
    assert isinstance(held, Held)
    assert (
        held.reasons[0].message == "pod b asks for 4 amd.com/gpu, the run for 4 nvidia.com/gpu a pod; make them equal"
    )


# -- once it runs -----------------------------------------------------------------------------------------------------


def step(world: World) -> list[Effect]:
    """What is decided, and that it was done."""
    effects = [effect for decision in cycle(world, Silent(), lambda: 0.0).decisions for effect in decision.effects]
    for effect in effects:
        change = expected(effect)
        if change is not None:
            world.apply(change)
    return effects


def running(*names: str) -> tuple[World, list[Pod]]:
    """Its pods run, and what is there of them."""
    world = a_world_with(*(a_claim("train", name) for name in names))
    bound = [effect.pod for effect in step(world) if isinstance(effect, BindPod)]
    there = [attrs.evolve(pod, phase=PodPhase.RUNNING, created=world.now) for pod in bound]
    for pod in there:
        world.apply(PodSeen(pod))
    step(world)
    assert status(world).phase is Phase.RUNNING
    return world, there


def status(world: World) -> RunStatus:
    run = world.run(Key("default", "train"))
    assert run is not None
    return run.status


def test_one_that_is_made_anew_takes_the_rank_of_the_one_that_went() -> None:
    world, (_, second) = running("a", "b")
    world.apply(PodGone(second.key))
    world.apply(PodSeen(a_claim("train", "c")))
    (bound,) = [effect.pod for effect in step(world) if isinstance(effect, BindPod)]
    assert (bound.name, bound.rank) == ("c", second.rank)


def test_one_that_asks_for_more_gpus_than_the_one_that_went_is_not_bound() -> None:
    """It would take GPUs that no lease covers, under the nose of whoever they are free for."""
    world, (_, second) = running("a", "b")
    world.apply(PodGone(second.key))
    world.apply(PodSeen(a_claim("train", "c", gpus=8)))
    assert not [effect for effect in step(world) if isinstance(effect, BindPod)]
    assert status(world).phase is Phase.STARTING
    assert status(world).message == (
        "rank 1 was evicted; waits for 1 pod with schedulerName runs and the label runs.dev/run: train: "
        "pod c asks for 8 GPUs, the run for 4 a pod; make them equal"
    )


@pytest.mark.parametrize("gone", [1, 2])
def test_pods_that_nobody_makes_anew_keep_the_gpus_no_longer_than_a_start_may_take(gone: int) -> None:
    """Such as when their Job was deleted: it went on saying that its pods run, and held its GPUs for ever."""
    world, pods = running("a", "b")
    world.apply(TimePassed(world.now + HOUR))
    for pod in pods[:gone]:
        world.apply(PodGone(pod.key))
    began = world.now
    step(world)
    assert (status(world).phase, status(world).reason) == (Phase.STARTING, "Evicted")
    for left in range(2):
        world.apply(TimePassed(began + (15 - 1 + left) * MINUTE))
        step(world)
        assert status(world).start_timeouts == left
    for pod in pods[gone:]:
        world.apply(PodGone(pod.key))
    step(world)
    assert not world.leases_of(Key("default", "train"))
    assert status(world).message.startswith("0 of 2 pods with schedulerName runs")


def test_nor_do_those_of_a_retry() -> None:
    world, pods = running("a", "b")
    retries = PodFailure(policy=OnPodFailure.RETRY)
    run = world.run(Key("default", "train"))
    assert run is not None
    world.apply(RunSeen(attrs.evolve(run, spec=attrs.evolve(run.spec, on_pod_failure=retries))))
    for pod in pods:
        world.apply(PodSeen(attrs.evolve(pod, phase=PodPhase.FAILED)))
    step(world)
    assert status(world).reason == "Retrying"
    for pod in pods:
        world.apply(PodGone(pod.key))
    retried = status(world).retried_at
    assert retried is not None
    world.apply(TimePassed(retried))
    step(world)
    world.apply(TimePassed(retried + 15 * MINUTE))
    step(world)
    assert status(world).start_timeouts == 1
    assert not world.leases_of(Key("default", "train"))

"""A run without a template, where somebody else makes the pods."""

from __future__ import annotations

import attrs

from runs_core.decide.advice import Silent
from runs_core.decide.cycle import cycle
from runs_core.testing.builders import a_node, a_run
from runs_core.values.change import NodeSeen, PodSeen, RunSeen
from runs_core.values.decision import Held, Starts
from runs_core.values.effect import BindPod, MakePod
from runs_core.values.meta import Key
from runs_core.values.pod import Claim, Pod
from runs_core.values.template import PodTemplate
from runs_core.world.world import World


def a_claim(run: str, name: str, *, owner: str = "job", index: int = 0, gpus: int = 4) -> Pod:
    key = Key("default", run)
    claim = Claim(run=key, order=(owner, index, name), rules=PodTemplate())
    return Pod(namespace=key.namespace, name=name, claim=claim, gpus=gpus)


def a_world_with(*pods: Pod) -> World:
    world = World()
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

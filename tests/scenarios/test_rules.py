"""The template's rules, taints, and what else a pod needs of a node beside GPUs."""

from __future__ import annotations

from collections.abc import Sequence

from tests.scenarios.play import Play
from tests.scenarios.stage import Object


def affinity(*terms: Sequence[tuple[str, str, str]]) -> Object:
    """Required node affinity: any of the terms, each all of its (key, operator, values)."""
    expressions = [
        [{"key": key, "operator": operator, "values": values.split()} for key, operator, values in term]
        for term in terms
    ]
    required = {"nodeSelectorTerms": [{"matchExpressions": expression} for expression in expressions]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


def test_a_node_selector_outweighs_best_fit(play: Play) -> None:
    """a2 (4 free) fits better than a1 (8), but only a1 has the label."""
    play.node("a1", 8, labels={"disk": "ssd"})
    play.node("a2", 4)
    play.submit("x", gpus=2, pod={"nodeSelector": {"disk": "ssd"}})
    play.submit("y", gpus=2)
    play.wait()
    assert (play.ranks("x"), play.ranks("y")) == (["a1", "a1"], ["a2", "a2"])


def test_required_affinity_holds_by_every_operator(play: Play) -> None:
    """Free: a1 2, a2 4, a3 8, a4 16, so that a1 fits best where nothing is said.

    In y: a2. Not in x or y: a3. Newer than 2: a3. Older than 2: a1. No zone at all: a4.
    y or newer than 2: a2 (3 left by then) before a3.
    """
    for name, gpus, zone, gen in (("a1", 2, "x", "1"), ("a2", 4, "y", "2"), ("a3", 8, "z", "3")):
        play.node(name, gpus, labels={"zone": zone, "gen": gen})
    play.node("a4", 16)
    wanted = {
        "in": affinity([("zone", "In", "y")]),
        "notin": affinity([("zone", "NotIn", "x y"), ("zone", "Exists", "")]),
        "gt": affinity([("gen", "Gt", "2")]),
        "lt": affinity([("gen", "Lt", "2")]),
        "none": affinity([("zone", "DoesNotExist", "")]),
        "or": affinity([("zone", "In", "y")], [("gen", "Gt", "2")]),
    }
    for name, pod in wanted.items():
        play.submit(name, gpus=1, pod=pod)
        play.wait(1)
    assert {name: play.ranks(name) for name in wanted} == {
        "in": ["a2"],
        "notin": ["a3"],
        "gt": ["a3"],
        "lt": ["a1"],
        "none": ["a4"],
        "or": ["a2"],
    }


def test_a_taint_keeps_away_who_does_not_tolerate_it(play: Play) -> None:
    """a1 (4) fits better than a2 (8) and is for the team; that a2 would rather not be used keeps nobody away."""
    play.node("a1", 4, taints=[{"key": "team", "value": "vision", "effect": "NoSchedule"}])
    play.node("a2", 8, taints=[{"key": "slow", "effect": "PreferNoSchedule"}])
    play.submit("x", gpus=2, pod={"tolerations": [{"key": "team", "operator": "Equal", "value": "vision"}]})
    play.submit("y", gpus=2, pod={"tolerations": [{"key": "team", "operator": "Equal", "value": "audio"}]})
    play.submit("z", gpus=2)
    play.wait()
    assert [play.ranks(name) for name in "xyz"] == [["a1", "a1"], ["a2", "a2"], ["a2", "a2"]]


def test_the_taint_of_the_flavors_own_resource_is_tolerated(play: Play) -> None:
    """Clusters taint GPU nodes so that nothing else lands there; x has no toleration and starts."""
    play.node("a1", 8, taints=[{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}])
    play.submit("x", gpus=8)
    play.wait(2)
    assert play.phase("x") == "Running"


def test_who_is_allowed_nowhere_is_told_so_until_the_taint_goes(play: Play) -> None:
    """The only node is tainted: even empty, this fleet does not take x. Without the taint, at 10, it starts."""
    play.node("a1", 8, taints=[{"key": "maintenance", "effect": "NoSchedule"}])
    play.submit("x", gpus=8)
    play.wait(10)
    assert play.codes("x") == ["NeverFits", "NoNodeAllowed", "NotEnoughGPUs"]
    play.node("a1", 8)
    play.wait()
    assert play.at("x", "startedAt") == 10


def test_cpu_bounds_how_many_pods_a_node_takes(play: Play) -> None:
    """Pods of 1 GPU and 6 CPUs: a1 has 16 CPUs and takes two, the other two go to a2."""
    play.node("a1", 8, room={"cpu": "16"})
    play.node("a2", 8)
    play.submit("x", gpus=4, pod={"requests": {"cpu": "6"}})
    play.wait()
    assert play.ranks("x") == ["a1", "a1", "a2", "a2"]


def test_what_one_run_requests_another_lacks(play: Play) -> None:
    """a1 has 16 CPUs: x takes 2 x 6 until 60, so y (5) finds 4, though 6 GPUs are free; at 60 it starts."""
    play.node("a1", 8, room={"cpu": "16"})
    play.submit("x", gpus=2, lasts="58s", pod={"requests": {"cpu": "6"}})
    play.wait(10)
    play.submit("y", gpus=1, pod={"requests": {"cpu": "5"}})
    play.wait(10)
    assert play.codes("y") == ["NoRoomForPod"]
    play.wait(100)
    assert play.at("y", "startedAt") == 60


def test_memory_that_others_request_is_not_there(play: Play) -> None:
    """100Gi less 60Gi leave 40Gi: too little for 50Gi, until the other pod, told to go at 10, is gone at 11."""
    play.node("a1", 8, room={"memory": "100Gi"})
    play.foreign("f", "a1", memory="60Gi")
    play.submit("x", gpus=1, pod={"requests": {"memory": "50Gi"}})
    play.wait(10)
    assert (play.codes("x"), play.match("x")[-2:]) == (["NoRoomForPod"], [(0, 0), (0, 0)])
    play.foreign_ends("f")
    play.wait(10)
    assert play.at("x", "startedAt") == 11


def test_ephemeral_storage_bounds_how_many_pods_a_node_takes(play: Play) -> None:
    """Pods of 30Gi: 100Gi on a1 take three, the fourth goes to a2."""
    play.node("a1", 8, room={"ephemeral-storage": "100Gi"})
    play.node("a2", 8)
    play.submit("x", gpus=4, pod={"requests": {"ephemeral-storage": "30Gi"}})
    play.wait()
    assert play.ranks("x") == ["a1", "a1", "a1", "a2"]


def test_the_number_of_pods_bounds_a_node(play: Play) -> None:
    """a1 takes 3 pods and has one of somebody else: two of x, the other two go to a2."""
    play.node("a1", 8, room={"pods": "3"})
    play.node("a2", 8)
    play.foreign("f", "a1")
    play.submit("x", gpus=4)
    play.wait()
    assert play.ranks("x") == ["a1", "a1", "a2", "a2"]

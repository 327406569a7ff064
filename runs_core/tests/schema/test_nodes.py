from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs_core.schema.nodes import node_from_object, node_to_object
from runs_core.settings import FleetSettings
from runs_core.values.node import Domain, MalformedNode, Node, Taint

FLEET = FleetSettings(resources=(("MI300", "amd.com/gpu"),))
GOOD: dict[str, Any] = {
    "metadata": {
        "name": "node-1",
        "uid": "u",
        "labels": {
            "nvidia.com/gpu.product": "H100",
            "topology.kubernetes.io/region": "eu",
            "runs.dev/fabric-domain": "rack-1",
        },
    },
    "spec": {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]},
    "status": {
        "allocatable": {
            "nvidia.com/gpu": "8",
            "cpu": "95500m",
            "memory": "1000Gi",
            "ephemeral-storage": "1e12",
            "pods": "110",
        },
        "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
    },
}


def test_a_node_is_read() -> None:
    assert node_from_object(GOOD, FLEET) == Node(
        name="node-1",
        uid="u",
        flavor="H100",
        resource="nvidia.com/gpu",
        domain=Domain(region="eu", cluster="default", name="rack-1"),
        gpus=8,
        cpu_milli=95500,
        memory_bytes=1000 * 2**30,
        ephemeral_bytes=10**12,
        pods=110,
        ready=True,
        taints=(Taint(key="nvidia.com/gpu"),),
        labels=tuple(sorted(GOOD["metadata"]["labels"].items())),
    )


@pytest.mark.parametrize(
    ("state", "ready", "cordoned"),
    [("not-ready", False, False), ("unreachable", False, False), ("unschedulable", True, True)],
)
def test_a_taint_for_a_state_that_passes_is_that_state(state: str, *, ready: bool, cordoned: bool) -> None:
    """Were it a taint, a run that only this node fits would be told that it never fits."""
    taint = {"key": f"node.kubernetes.io/{state}", "effect": "NoSchedule"}
    found = node_from_object({**GOOD, "spec": {"taints": [*GOOD["spec"]["taints"], taint]}}, FLEET)
    assert isinstance(found, Node)
    assert (found.ready, found.cordoned, found.taints) == (ready, cordoned, (Taint(key="nvidia.com/gpu"),))


def read(path: str, value: object) -> Node | MalformedNode:
    """The good node with one field replaced; `a/b` is one step where it is a label or resource."""
    body: dict[str, Any] = {"metadata": {**GOOD["metadata"]}, "spec": {**GOOD["spec"]}, "status": {**GOOD["status"]}}
    part, _, name = path.partition(".")
    if not name:
        return node_from_object({**body, part: value}, FLEET)
    into = body[part]
    if name.startswith(("labels.", "allocatable.")):
        group, _, key = name.partition(".")
        into[group] = {**into[group], key: value}
    else:
        into[name] = value
    return node_from_object(body, FLEET)


def a_node(path: str, value: object) -> Node:
    node = read(path, value)
    assert isinstance(node, Node), node
    return node


def test_the_flavors_own_label_counts_before_the_products() -> None:
    assert a_node("metadata.labels.runs.dev/gpu-flavor", "H100-80GB").flavor == "H100-80GB"


def test_a_node_without_labels_is_of_the_default_flavor_and_domain() -> None:
    node = a_node("metadata.labels", None)
    assert (node.flavor, node.domain) == ("default", Domain())


def test_an_empty_label_is_no_label() -> None:
    assert a_node("metadata.labels.nvidia.com/gpu.product", "").flavor == "default"


def test_a_flavor_names_its_resource() -> None:
    node = a_node("metadata.labels.runs.dev/gpu-flavor", "MI300")
    assert (node.resource, node.gpus) == ("amd.com/gpu", 0)


def test_what_is_allocatable_counts_before_the_capacity() -> None:
    assert a_node("status.capacity", {"nvidia.com/gpu": 4}).gpus == 8


def test_the_capacity_counts_where_nothing_is_said_to_be_allocatable() -> None:
    node = node_from_object({"metadata": {"name": "n"}, "status": {"capacity": {"nvidia.com/gpu": 4, "cpu": 2}}}, FLEET)
    assert isinstance(node, Node)
    assert (node.gpus, node.cpu_milli, node.pods) == (4, 2000, 0)


@pytest.mark.parametrize("conditions", [None, [], [{"type": "Ready", "status": "Unknown"}], [{"status": "True"}]])
def test_a_node_that_does_not_say_that_it_is_ready_is_not(conditions: object) -> None:
    assert not a_node("status.conditions", conditions).ready


def test_a_cordoned_node_is_known_as_such() -> None:
    assert a_node("spec.unschedulable", True).cordoned


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("metadata", {}, "metadata.name: got nothing, want text"),
        ("metadata.name", 5, "metadata.name: got 5, want text"),
        ("metadata", "x", "metadata: got 'x', want a map"),
        ("metadata.uid", 7, "metadata.uid: got 7, want text"),
        ("metadata.labels", ["a"], "metadata.labels: got a list of 1, want a map"),
        ("metadata.labels.team", 5, "metadata.labels[team]: got 5, want text"),
        ("metadata.labels", {1: "a"}, "metadata.labels: got 1, want text"),
        ("spec", [], "spec: got a list of 0, want a map"),
        ("spec.unschedulable", "yes", "spec.unschedulable: got 'yes', want true or false"),
        ("spec.taints", {"key": "a"}, "spec.taints: got a map, want a list"),
        ("spec.taints", ["a"], "spec.taints: got 'a', want a map"),
        ("spec.taints", [{"effect": "NoSchedule"}], "spec.taints.key: got nothing, want the key of the taint"),
        ("spec.taints", [{"key": 5, "effect": "NoSchedule"}], "spec.taints.key: got 5, want text"),
        ("spec.taints", [{"key": "a", "effect": "Never"}], "spec.taints.effect: got 'Never', want one of"),
        ("status", 5, "status: got 5, want a map"),
        ("status.allocatable", [1], "status.allocatable: got a list of 1, want a map"),
        ("status.conditions", {}, "status.conditions: got a map, want a list"),
        ("status.conditions", [5], "status.conditions: got 5, want a map"),
        (
            "status.allocatable.nvidia.com/gpu",
            "eight",
            "status.allocatable[nvidia.com/gpu]: got 'eight', want a quantity",
        ),
        ("status.allocatable.nvidia.com/gpu", "-1", "status.allocatable[nvidia.com/gpu]: got '-1', want a quantity"),
        (
            "status.allocatable.nvidia.com/gpu",
            "1500m",
            "status.allocatable[nvidia.com/gpu]: got '1500m', want whole GPUs",
        ),
        (
            "status.allocatable.nvidia.com/gpu",
            1025,
            "status.allocatable[nvidia.com/gpu]: got 1025, want at most 1024 GPUs",
        ),
        ("status.allocatable.nvidia.com/gpu", None, "status.allocatable[nvidia.com/gpu]: got nothing, want a quantity"),
        ("status.allocatable.nvidia.com/gpu", True, "status.allocatable[nvidia.com/gpu]: got true, want a quantity"),
        ("status.allocatable.cpu", "lots", "status.allocatable[cpu]: got 'lots', want a quantity"),
        ("status.allocatable.memory", "-5Gi", "status.allocatable[memory]: got '-5Gi', want a quantity"),
        ("status.allocatable.memory", "99999999Ei", "status.allocatable[memory]: got '99999999Ei', want a quantity"),
        ("status.allocatable.pods", [], "status.allocatable[pods]: got a list of 0, want a quantity"),
        ("status.allocatable.ephemeral-storage", "9" * 9000, "status.allocatable[ephemeral-storage]: got '9"),
    ],
)
def test_a_malformed_node_is_set_aside_with_the_reason(path: str, value: object, why: str) -> None:
    found = read(path, value)
    assert isinstance(found, MalformedNode), found
    assert found.why.startswith(why)
    assert "\n" not in found.why
    assert found.name == ("" if path in ("metadata", "metadata.name") else "node-1")


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(
        ["metadata", "spec", "status", "metadata.labels", "spec.taints", "status.allocatable", "status.conditions"]
    ),
    junk,
)
def test_no_node_is_too_odd_to_be_read(path: str, value: object) -> None:
    assert isinstance(read(path, value), Node | MalformedNode)


@given(
    st.builds(
        Node,
        name=st.just("n"),
        flavor=st.sampled_from(["default", "H100", "MI300"]),
        domain=st.builds(
            Domain, st.sampled_from(["default", "eu"]), st.just("default"), st.sampled_from(["default", "rack"])
        ),
        gpus=st.integers(0, 1024),
        cpu_milli=st.integers(0, 10**6),
        memory_bytes=st.integers(0, 2**45),
        ephemeral_bytes=st.integers(0, 2**45),
        pods=st.integers(0, 500),
        ready=st.booleans(),
        cordoned=st.booleans(),
        taints=st.sampled_from([(), (Taint(key="a", value="b", effect="NoExecute"),)]),
    )
)
def test_a_node_reads_back_as_written(node: Node) -> None:
    written = node_to_object(attrs.evolve(node, resource=FLEET.resource_of(node.flavor)), FLEET)
    back = node_from_object(written, FLEET)
    assert isinstance(back, Node)
    assert node_to_object(back, FLEET) == written
    assert (back.flavor, back.domain, back.gpus, back.taints) == (node.flavor, node.domain, node.gpus, node.taints)

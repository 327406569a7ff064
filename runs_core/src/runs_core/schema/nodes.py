"""Nodes: from whatever a Node object says to a node, or to the one sentence why it is set aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from runs_core.schema.convert import Object
from runs_core.schema.requests import RESOLVE, annotation_of, request_in
from runs_core.schema.say import got
from runs_core.settings import FleetSettings
from runs_core.values.meta import Pairs, pairs
from runs_core.values.node import MOST_NODE_GPUS, Domain, MalformedNode, Node, Taint
from runs_core.values.quantity import parse_count, parse_milli, parse_quantity

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_DEFAULT = "default"
_UNREADY = {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}
_CORDONED = "node.kubernetes.io/unschedulable"
_PASSING = _UNREADY | {_CORDONED}
"""Taints that Kubernetes sets for a state that passes: the node takes nothing meanwhile, and is still there."""


def node_from_object(obj: Mapping[str, Any], fleet: FleetSettings) -> Node | MalformedNode:
    """Never raises. What is allocatable counts; where a node says nothing of that, its capacity."""
    name = _name(obj)
    try:
        return _node(name, obj, fleet)
    except _Malformed as error:
        return MalformedNode(name=name, why=str(error))


class _Malformed(Exception):
    """where: the field; what: got, want."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")


def _name(obj: object) -> str:
    metadata = obj.get("metadata") if isinstance(obj, Mapping) else None
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return name if isinstance(name, str) else ""


def _node(name: str, obj: object, fleet: FleetSettings) -> Node:
    node = _map(obj, "node")
    metadata, spec, status = (_map(node.get(part), part) for part in ("metadata", "spec", "status"))
    if not name:
        raise _Malformed("metadata.name", f"got {got(metadata.get('name'))}, want text")
    labels = _labels(metadata)
    said = dict(labels)
    flavor = next((said[label] for label in fleet.flavor_labels if said.get(label)), _DEFAULT)
    resource = fleet.resource_of(flavor)
    field = "status.allocatable" if status.get("allocatable") else "status.capacity"
    amounts = _map(status.get(field.removeprefix("status.")), field)
    taints = _taints(spec)
    passing = {taint.key for taint in taints if taint.key in _PASSING}
    return Node(
        name=name,
        uid=_text(metadata.get("uid"), "metadata.uid"),
        flavor=flavor,
        resource=resource,
        domain=Domain(
            said.get(fleet.region_label) or _DEFAULT,
            said.get(fleet.cluster_label) or _DEFAULT,
            said.get(fleet.domain_label) or _DEFAULT,
        ),
        gpus=_gpus(amounts, resource, field),
        cpu_milli=_amount(amounts, "cpu", field),
        memory_bytes=_amount(amounts, "memory", field),
        ephemeral_bytes=_amount(amounts, "ephemeral-storage", field),
        pods=_amount(amounts, "pods", field),
        ready=_ready(status) and not passing & _UNREADY,
        cordoned=_cordoned(spec) or _CORDONED in passing,
        taints=tuple(taint for taint in taints if taint.key not in _PASSING),
        labels=labels,
        request=request_in(_map(metadata.get("annotations"), "metadata.annotations")),
    )


def _labels(metadata: Mapping[str, Any]) -> Pairs:
    labels = _map(metadata.get("labels"), "metadata.labels")
    return pairs(
        {_text(key, "metadata.labels"): _text(value, f"metadata.labels[{key}]") for key, value in labels.items()}
    )


def _gpus(amounts: Mapping[str, Any], resource: str, field: str) -> int:
    text = amounts.get(resource, 0)
    where = f"{field}[{resource}]"
    gpus = _quantity(text, where)
    if gpus != int(gpus):
        raise _Malformed(where, f"got {got(text)}, want whole GPUs")
    if gpus > MOST_NODE_GPUS:
        raise _Malformed(where, f"got {got(text)}, want at most {MOST_NODE_GPUS} GPUs")
    return int(gpus)


def _amount(amounts: Mapping[str, Any], resource: str, field: str) -> int:
    """Rounded down: room that is not whole is no room."""
    amount = _quantity(amounts.get(resource, 0), f"{field}[{resource}]")
    return int(amount * 1000) if resource == "cpu" else int(amount)


def _quantity(text: object, where: str) -> Decimal:
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise _Malformed(where, f"got {got(text)}, want a quantity such as 8, 500m or 16Gi")
    try:
        return _parsed(text)
    except ValueError as error:
        raise _Malformed(where, str(error)) from error


@lru_cache(maxsize=4096)
def _parsed(text: str | float) -> Decimal:
    """Remembered: nodes of one kind say the same."""
    parse_count(text)
    parse_milli(text)
    return parse_quantity(text)


def _ready(status: Mapping[str, Any]) -> bool:
    """A node that does not say so is not ready."""
    found = [_map(one, "status.conditions") for one in _list(status.get("conditions"), "status.conditions")]
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in found)


def _cordoned(spec: Mapping[str, Any]) -> bool:
    cordoned = spec.get("unschedulable")
    if cordoned is not None and not isinstance(cordoned, bool):
        raise _Malformed("spec.unschedulable", f"got {got(cordoned)}, want true or false")
    return bool(cordoned)


def _taints(spec: Mapping[str, Any]) -> tuple[Taint, ...]:
    return tuple(_taint(_map(one, "spec.taints")) for one in _list(spec.get("taints"), "spec.taints"))


def _taint(taint: Mapping[str, Any]) -> Taint:
    key, effect = _text(taint.get("key"), "spec.taints.key"), taint.get("effect")
    if not key:
        raise _Malformed("spec.taints.key", "got nothing, want the key of the taint")
    if effect not in _EFFECTS:
        raise _Malformed("spec.taints.effect", f"got {got(effect)}, want one of {', '.join(_EFFECTS)}")
    return Taint(key=key, value=_text(taint.get("value"), "spec.taints.value"), effect=effect)


def _map(value: object, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _Malformed(where, f"got {got(value)}, want a map")
    return value


def _list(value: object, where: str) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _Malformed(where, f"got {got(value)}, want a list")
    return value


def _text(value: object, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _Malformed(where, f"got {got(value)}, want text")
    return value


def node_to_object(node: Node, fleet: FleetSettings) -> Object:
    """A Node manifest that reads back as this node; flavor and domain become labels where no label says them yet."""
    labels = dict(node.labels)
    flavor = next((labels[label] for label in fleet.flavor_labels if labels.get(label)), _DEFAULT)
    if flavor != node.flavor:
        labels[fleet.flavor_labels[0]] = node.flavor
    places = (fleet.region_label, fleet.cluster_label, fleet.domain_label)
    labels |= {
        key: place for key, place in zip(places, node.domain, strict=True) if place != (labels.get(key) or _DEFAULT)
    }
    spec: Object = {"unschedulable": True} if node.cordoned else {}
    if node.taints:
        spec["taints"] = [{"key": one.key, "value": one.value, "effect": one.effect} for one in node.taints]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name}
        | ({"uid": node.uid} if node.uid else {})
        | ({"labels": labels} if labels else {})
        | ({"annotations": {RESOLVE: annotation_of(node.request)}} if node.request is not None else {}),
        "spec": spec,
        "status": {
            "allocatable": {
                node.resource: str(node.gpus),
                "cpu": f"{node.cpu_milli}m",
                "memory": str(node.memory_bytes),
                "ephemeral-storage": str(node.ephemeral_bytes),
                "pods": str(node.pods),
            },
            "conditions": [{"type": "Ready", "status": str(node.ready)}],
        },
    }

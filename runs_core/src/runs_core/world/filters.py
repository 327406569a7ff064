"""Whether a node will do for a pod, by its labels and taints, as Kubernetes' own scheduler judges.

Source: Kubernetes documentation, "Assigning Pods to Nodes" and "Taints and Tolerations".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import assert_never

from runs_core.values.need import NodeFilter
from runs_core.values.node import Node, Taint
from runs_core.values.template import Operator, Requirement, Terms, Toleration

_DIGITS = re.compile(r"[+-]?[0-9]{1,64}")


def allows(wanted: NodeFilter, node: Node) -> bool:
    """All of it: location, nodeSelector, required node affinity, taints, volumes."""
    if not located(wanted, node) or wanted.location_only:
        return located(wanted, node)
    return matches(wanted, node) and not repels(wanted, node) and (not wanted.volumes or reaches(wanted, node))


def located(wanted: NodeFilter, node: Node) -> bool:
    """Whether the node lies where topology.selector wants the gang."""
    if not wanted.selector:
        return True
    labels = dict(node.labels)
    return all(
        labels.get(key) == value or (key in wanted.by_default and not labels.get(key)) for key, value in wanted.selector
    )


def matches(wanted: NodeFilter, node: Node) -> bool:
    """nodeSelector, and any one of the terms of required node affinity; no terms: any node."""
    if not wanted.node_selector and not wanted.terms:
        return True
    labels = dict(node.labels)
    if not all(labels.get(key) == value for key, value in wanted.node_selector):
        return False
    return not wanted.terms or _any(wanted.terms, labels, node.name)


def reaches(wanted: NodeFilter, node: Node) -> bool:
    """Whether the node reaches each of the volumes."""
    labels = dict(node.labels)
    return all(_any(terms, labels, node.name) for terms in wanted.volumes)


def _any(terms: Terms, labels: Mapping[str, str], name: str) -> bool:
    return any(bool(term) and all(_meets(requirement, labels, name) for requirement in term) for term in terms)


def repels(wanted: NodeFilter, node: Node) -> bool:
    """Whether some taint of the node keeps the pod away. A taint named after the flavor's own resource never does."""
    return bool(node.taints) and any(
        taint.effect in ("NoSchedule", "NoExecute")
        and taint.key != node.resource
        and taint.key not in wanted.tolerated
        and not any(_tolerates(toleration, taint) for toleration in wanted.tolerations)
        for taint in node.taints
    )


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    return (
        toleration.key in (None, taint.key)
        and toleration.value in (None, taint.value)
        and toleration.effect in (None, taint.effect)
    )


def _meets(requirement: Requirement, labels: Mapping[str, str], name: str) -> bool:
    value = name if requirement.on_name else labels.get(requirement.key)
    match requirement.operator:
        case Operator.IN:
            return value in requirement.values
        case Operator.NOT_IN:
            return value not in requirement.values
        case Operator.EXISTS:
            return value is not None
        case Operator.DOES_NOT_EXIST:
            return value is None
        case Operator.GT | Operator.LT:
            return _compares(requirement, value)
        case _:
            assert_never(requirement.operator)


def _compares(requirement: Requirement, value: str | None) -> bool:
    have, bound = _whole(value), _whole(next(iter(requirement.values), None))
    if have is None or bound is None:
        return False
    return have > bound if requirement.operator is Operator.GT else have < bound


def _whole(text: str | None) -> int | None:
    """As Kubernetes reads it: 64 bits, and nothing but digits after a sign. Python would take `1_000` as well."""
    if text is None or _DIGITS.fullmatch(text) is None:
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None

"""What of an object nobody judges before it is read: the API server keeps some parts as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runs_core.schema.names import KINDS, Kind
from runs_core.schema.shape import Slots
from runs_core.values.fields import Rule, rules_of
from runs_core.values.lease import Lease, NodeSlots
from runs_core.values.node import MOST_NODE_GPUS


def judge(kind: Kind, found: Any) -> None:  # a value of that kind
    """ValueError, with the field and what is wanted."""
    for part, rule in _LEFT[kind.name]:
        if rule.check is not None and not rule.check(getattr(found, part) if part else found):
            raise ValueError(f"{part}.{rule.field}".lstrip(".") + f": {rule.message}")
    if isinstance(found, Lease) and (ranks := found.spec.ranks) and (min(ranks) < 0 or len(set(ranks)) < len(ranks)):
        raise ValueError("spec.ranks: want each rank once, from 0")


def slots_from(slots: Any, _: object) -> Slots:  # JSON
    """Sorted, of whatever order."""
    return tuple(NodeSlots(node=node, ordinals=_ordinals(slots[node])) for node in sorted(slots.keys()))


def _ordinals(found: Any) -> tuple[int, ...]:  # JSON
    ordinals = tuple(sorted(found))
    if {*map(type, ordinals)} != {int} or len({*ordinals}) < len(ordinals):
        raise ValueError("spec.slots: want whole numbers, each once")
    if ordinals[0] < 0 or ordinals[-1] >= MOST_NODE_GPUS:
        raise ValueError(f"spec.slots: want numbers from 0 to {MOST_NODE_GPUS - 1}")
    return ordinals


def _left(kind: Kind) -> Sequence[tuple[str, Rule]]:
    """The rules that the API server does not hold, with the part that each is about; "": the whole object."""
    classes: Mapping[str, type] = {"spec": kind.spec, "status": kind.status}
    inside = [(part, rule) for part in kind.as_it_comes for rule in rules_of(classes[part])]
    beside = [("", rule) for rule in rules_of(kind.value) if rule.field.partition(".")[0] in kind.as_it_comes]
    return [(part, rule) for part, rule in (*inside, *beside) if rule.check is not None]


_LEFT = {kind.name: _left(kind) for kind in KINDS.values()}

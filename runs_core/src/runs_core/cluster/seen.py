"""A stored or watched object as runs reads it, and what the world is told of it: one way for every cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runs_core.schema.convert import again, from_object
from runs_core.schema.nodes import node_from_object
from runs_core.schema.pods import pod_from_object
from runs_core.schema.storage import KINDS, storage_from_object
from runs_core.settings import FleetSettings
from runs_core.values import change as c
from runs_core.values.budget import Budget, Namespace
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.node import MalformedNode, Node
from runs_core.values.pod import Pod
from runs_core.values.reservation import Reservation
from runs_core.values.resolution import Resolution
from runs_core.values.run import Run
from runs_core.values.section import Section
from runs_core.values.storage import Storage, StorageClass, Volume, VolumeClaim

Name = tuple[str, Key]
"""Kind and key."""
Value = Run | Lease | Budget | Reservation | Resolution | Namespace | Node | MalformedNode | Pod | Storage


def read(
    kind: str, item: dict[str, Any], fleet: FleetSettings, sections: Sequence[Section], known: Value | None = None
) -> Value:
    """It as runs reads it. known: as it was before, if it was. InvalidInput: it cannot be read."""
    if kind == "Node":
        return node_from_object(item, fleet)
    if kind == "Pod":
        return pod_from_object(item, fleet)
    if kind in KINDS:
        return storage_from_object(kind, item)
    if isinstance(known, Run | Lease):
        return again(known, item, sections)
    return from_object({**item, "kind": kind}, sections)


def as_change(name: Name, value: Value | None) -> c.Change | None:
    """What the world is told."""
    kind, key = name
    match value:
        case Run():
            return c.RunSeen(value)
        case Lease():
            return c.LeaseSeen(value)
        case Pod():
            return c.PodSeen(value)
        case Node() | MalformedNode():
            return c.NodeSeen(value)
        case Budget():
            return c.BudgetSeen(value)
        case Namespace():
            return c.NamespaceSeen(value)
        case VolumeClaim() | Volume() | StorageClass():
            return c.StorageSeen(value)
        case Reservation():
            return c.ReservationSeen(value)
        case Resolution():
            return c.ResolutionSeen(value)
        case None:
            return _gone(kind, key)


def _gone(kind: str, key: Key) -> c.Change | None:
    match kind:
        case "Run":
            return c.RunGone(key)
        case "GPULease":
            return c.LeaseGone(key)
        case "Pod":
            return c.PodGone(key)
        case "Node":
            return c.NodeGone(key.name)
        case "Budget":
            return c.BudgetGone(key.name)
        case "Namespace":
            return c.NamespaceGone(key.name)
        case "Reservation":
            return c.ReservationGone(key)
        case "Resolution":
            return c.ResolutionGone(key.name)
        case _ if kind in KINDS:
            return c.StorageGone(kind, key)
        case _:
            return None

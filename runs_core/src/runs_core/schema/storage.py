"""Claims, volumes and storage classes: what of them says where a pod can run.

Source: Kubernetes API reference, core/v1 and storage.k8s.io/v1; documentation, "Persistent Volumes", "Storage Classes".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runs_core.schema.convert import UNREADABLE, converter, unreadable
from runs_core.schema.metadata import meta_from, text
from runs_core.schema.podread import terms_of
from runs_core.schema.podspec import Terms as Written
from runs_core.values.storage import SELECTED_NODE, Storage, StorageClass, Volume, VolumeClaim
from runs_core.values.template import Operator, Requirement

_WAITS = "WaitForFirstConsumer"


def storage_from_object(kind: str, obj: Mapping[str, Any]) -> Storage:
    """InvalidInput names one that cannot be read."""
    try:
        return _READ[kind](obj)
    except UNREADABLE as error:
        raise unreadable(kind, obj, error) from error


def _claim(obj: Mapping[str, Any]) -> VolumeClaim:
    meta, spec, status = meta_from(obj["metadata"]), obj.get("spec") or {}, obj.get("status") or {}
    phase = status.get("phase")
    return VolumeClaim(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        storage_class=text(spec.get("storageClassName") or ""),
        volume=text(spec["volumeName"]) if phase == "Bound" and spec.get("volumeName") else None,
        node=meta.annotation(SELECTED_NODE) or None,
        lost=phase == "Lost",
        deleting=meta.deleting is not None,
    )


def _volume(obj: Mapping[str, Any]) -> Volume:
    affinity = (obj.get("spec") or {}).get("nodeAffinity") or {}
    required = affinity.get("required")
    terms = () if required is None else terms_of(converter().structure(required, Written))
    return Volume(name=meta_from(obj["metadata"]).name, terms=terms)


def _class(obj: Mapping[str, Any]) -> StorageClass:
    return StorageClass(
        name=meta_from(obj["metadata"]).name,
        waits=obj.get("volumeBindingMode") == _WAITS,
        terms=tuple(_topology(term) for term in obj.get("allowedTopologies") or ()),
    )


def _topology(term: Mapping[str, Any]) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(key=text(one["key"]), operator=Operator.IN, values=tuple(map(text, one["values"])))
        for one in term.get("matchLabelExpressions") or ()
    )


_READ: Mapping[str, Callable[[Mapping[str, Any]], Storage]] = {
    "StorageClass": _class,
    "PersistentVolume": _volume,
    "PersistentVolumeClaim": _claim,
}
KINDS = tuple(_READ)
"""Those that a claim is made of, before it."""
VERSIONS = {"StorageClass": "storage.k8s.io/v1"}
"""Where they are not in v1."""

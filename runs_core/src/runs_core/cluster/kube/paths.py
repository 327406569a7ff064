"""Where each kind is served."""

from __future__ import annotations

from runs_core.schema.names import GROUP, VERSION
from runs_core.values.meta import Key

OURS = f"/apis/{GROUP}/{VERSION}"
LISTS = {
    "Namespace": "/api/v1/namespaces",
    "Budget": f"{OURS}/budgets",
    "Node": "/api/v1/nodes",
    "StorageClass": "/apis/storage.k8s.io/v1/storageclasses",
    "PersistentVolume": "/api/v1/persistentvolumes",
    "PersistentVolumeClaim": "/api/v1/persistentvolumeclaims",
    "Run": f"{OURS}/runs",
    "GPULease": f"{OURS}/gpuleases",
    "Reservation": f"{OURS}/reservations",
    "Resolution": f"{OURS}/resolutions",
    "Pod": "/api/v1/pods",
}
"""The kinds that are watched, in the order in which a world is built from them, with the path of all their objects."""
_PLURALS = {
    "Run": (OURS, "runs"),
    "GPULease": (OURS, "gpuleases"),
    "Budget": (OURS, "budgets"),
    "Reservation": (OURS, "reservations"),
    "Resolution": (OURS, "resolutions"),
    "Pod": ("/api/v1", "pods"),
    "Service": ("/api/v1", "services"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Secret": ("/api/v1", "secrets"),
    "Node": ("/api/v1", "nodes"),
    "Namespace": ("/api/v1", "namespaces"),
    "StorageClass": ("/apis/storage.k8s.io/v1", "storageclasses"),
    "PersistentVolume": ("/api/v1", "persistentvolumes"),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims"),
}


def collection(kind: str, namespace: str = "") -> str:
    """The objects of a kind in one namespace."""
    root, plural = _PLURALS[kind]
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


def one(kind: str, key: Key) -> str:
    """One object."""
    return f"{collection(kind, key.namespace)}/{key.name}"

"""What people do to objects of the embedded cluster, with the manners of an API server."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import timedelta

from runs_core.cluster.local.cluster import LocalCluster
from runs_core.cluster.local.store import Object
from runs_core.errors import Conflict, NotFound
from runs_core.values.meta import Key
from runs_core.values.quantity import format_time

NAMESPACED = frozenset({"Run", "GPULease", "Pod", "PersistentVolumeClaim"})
REPORTED = frozenset({"Node", "Pod", "PersistentVolumeClaim", "PersistentVolume"})
"""Kinds whose status somebody else would report."""
_CLASS = ("provisioner", "parameters", "volumeBindingMode", "allowedTopologies")
Edit = Callable[[Object], None]


class Objects:
    """Create, edit and delete. Each call is one transaction; what is returned is as stored."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._store = cluster.store

    def get(self, kind: str, key: Key) -> Object:
        """NotFound names what is missing."""
        found = self._store.get(kind, *key)
        if found is None:
            raise NotFound(f"{kind.lower()} {key if key.namespace else key.name} does not exist")
        return found

    def find(self, kind: str, namespace: str | None = None) -> list[Object]:
        """By namespace and name. namespace None: all."""
        return self._store.find(kind, namespace)

    def create(self, body: Object) -> Object:
        """Conflict: an object of that kind and name exists."""
        with self._store.writing():
            return self._create(body)

    def apply(self, body: Object, check: Callable[[Object, Object], None]) -> tuple[Object, str]:
        """Create it, or replace the spec, labels and annotations of the one that is there.

        check(old, new) may refuse by raising. Returns the object and `created`, `configured` or `unchanged`.
        """
        kind, key = body["kind"], _key(body)
        with self._store.writing():
            old = self._store.get(kind, *key)
            if old is None:
                return self._create(body), "created"
            new = _replaced(old, body)
            if new == old:
                return old, "unchanged"
            check(old, new)
            return self._write(old, new), "configured"

    def edit(self, kind: str, key: Key, change: Edit, *, version: str | None = None) -> Object:
        """Read, change and write in one transaction. version: the resourceVersion it must still have, else Conflict."""
        with self._store.writing():
            old = self.get(kind, key)
            if version is not None and old["metadata"]["resourceVersion"] != version:
                raise Conflict(f"{kind.lower()} {key} was changed meanwhile; look at it again")
            new = copy.deepcopy(old)
            change(new)
            return old if new == old else self._write(old, new)

    def delete(self, kind: str, key: Key) -> None:
        """A Run or a Pod is asked to go, and goes when nothing of it is held; the others go at once.

        A Node takes its pods along.
        """
        with self._store.writing():
            old = self.get(kind, key)
            if kind in ("Run", "Pod"):
                self._ask_to_go(kind, old)
                return
            if kind == "Node":
                for pod in self._store.find("Pod"):
                    if pod.get("spec", {}).get("nodeName") == key.name:
                        self._store.remove("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])
            if kind == "Namespace":
                for run in self._store.find("Run", key.name):
                    self._ask_to_go("Run", run)
            self._store.remove(kind, *key)

    def _ask_to_go(self, kind: str, old: Object) -> None:
        meta = old["metadata"]
        if kind == "Run" and not self._cluster.reads(old):  # nothing is decided about it: nobody else would let it go
            self._store.remove(kind, meta["namespace"], meta["name"])
            return
        if "deletionTimestamp" in meta:
            return
        grace = old.get("spec", {}).get("terminationGracePeriodSeconds", 30) if kind == "Pod" else 0
        meta["deletionTimestamp"] = format_time(self._cluster.now + timedelta(seconds=grace))
        meta["deletionGracePeriodSeconds"] = grace
        self._store.put(kind, old)

    def _create(self, body: Object) -> Object:
        kind, key = body["kind"], _key(body)
        if self._store.get(kind, *key) is not None:
            raise Conflict(f"{kind.lower()} {key if key.namespace else key.name} exists already")
        new = copy.deepcopy(body)
        meta = new["metadata"]
        meta["uid"] = self._cluster.mint(kind, *key)
        meta["creationTimestamp"] = self._store.get_meta("now")
        meta["generation"] = 1
        if kind in ("Run", "GPULease", "Budget"):
            new.pop("status", None)
        self._store.put(kind, new)
        return new

    def _write(self, old: Object, new: Object) -> Object:
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        self._store.put(new["kind"], new)
        return new


def _key(body: Object) -> Key:
    meta = body["metadata"]
    return Key(meta.get("namespace", "") if body["kind"] in NAMESPACED else "", meta["name"])


def _replaced(old: Object, body: Object) -> Object:
    """What a person says replaces what was said; who the object is, and its status, stay the cluster's.

    There is nobody here who would report the status of a Node, a Pod or a volume: theirs is the manifest's. So is all
    of a StorageClass, which has neither.
    """
    new = copy.deepcopy(old)
    for part in ("labels", "annotations"):
        new["metadata"].pop(part, None)
        if body["metadata"].get(part):
            new["metadata"][part] = copy.deepcopy(body["metadata"][part])
    parts = ("spec", "status") if old["kind"] in REPORTED else ("spec",)
    for part in (*parts, *(_CLASS if old["kind"] == "StorageClass" else ())):
        new.pop(part, None)
        if part in body:
            new[part] = copy.deepcopy(body[part])
    return new

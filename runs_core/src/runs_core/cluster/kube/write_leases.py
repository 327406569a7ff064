"""What is asked of the API server of a lease: it is opened, metered and closed, each in one write."""

from __future__ import annotations

from http import HTTPStatus

import attrs

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import MERGE, Api, Object, Refused
from runs_core.cluster.kube.podmake import FINALIZER
from runs_core.schema.convert import lease_from_object, to_object
from runs_core.schema.names import manifest_name
from runs_core.schema.pods import RUN_LABEL, UID_LABEL
from runs_core.values.fields import fact_of
from runs_core.values.lease import Lease, LeaseStatus

SPENT = "AlreadyClosed"
"""Reason of a refusal that is our own: the lease was opened, and closed, before."""
UNNOTED: Object = {"managedFields": [{}]}
"""In the metadata of a patch: the API server forgets whose each field is, and compares nothing to find out.

Source: Kubernetes documentation, "Server-Side Apply", clearing managedFields.
"""


class LeaseWrites:
    """From any thread."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def open(self, lease: Lease) -> Object:
        """There already: adopted if it is open and equal, spent if it is closed."""
        body = to_object(lease)
        labels = {RUN_LABEL: lease.spec.run_ref.name, UID_LABEL: lease.spec.run_ref.uid}
        body["metadata"] = {
            "name": lease.meta.name,
            "namespace": lease.meta.namespace,
            "labels": labels,
            "finalizers": [FINALIZER],
        }
        body.pop("status", None)
        try:
            _, stored = self._api.call("POST", paths.collection("GPULease", lease.meta.namespace), body)
        except Refused as error:
            if error.reason != "AlreadyExists":
                raise
            _, stored = self._api.call("GET", paths.one("GPULease", lease.key))
            if _is_closed(stored):
                raise Refused(409, SPENT, f"lease {lease.key} was there before and is closed") from error
            if lease_from_object(stored).spec != lease.spec:
                raise Refused(409, "AlreadyExists", f"lease {lease.key} is another one") from error
        return stored

    def meter(self, lease: Lease) -> Object | None:
        """What it has used so far; a late one is refused, since no meter goes back. None: it is gone."""
        uid = lease.meta.uid or self._look(lease).get("uid")
        return self._stamp(lease, {"uid": uid}) if uid else None

    def close(self, lease: Lease, version: int = 0) -> Object:
        """Its status, and the finalizer off, in one write, over that version of it; 0: over any.

        In any order with others' writes: a lease that is closed stays as it is. One that somebody deletes already would
        go with that write, and nobody would ever see it closed: there the status comes first.
        """
        stored = self._let_go(lease, version)
        if stored is None:
            return {}
        if not _is_closed(stored):
            told = f"lease {lease.key} did not close: the GPULease kind of another release is installed"
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "Outdated", told)
        return stored

    def _let_go(self, lease: Lease, version: int) -> Object | None:
        """None: it is gone. Refused with Conflict: it is written again and again, and may be tried later."""
        uid = lease.meta.uid
        if uid:
            try:
                return self._release(lease, uid, str(version or ""), deleting=lease.meta.deleting is not None)
            except Refused as error:
                if error.status != HTTPStatus.CONFLICT:
                    raise  # else somebody wrote it in between: perhaps that it is to go
        found = self._look(lease)
        if not found or uid not in ("", found["uid"]):
            return None
        return self._release(lease, found["uid"], found["resourceVersion"], deleting="deletionTimestamp" in found)

    def _release(self, lease: Lease, uid: str, version: str, *, deleting: bool) -> Object | None:
        if deleting:
            self._stamp(lease, {"uid": uid})
        premise = {"resourceVersion": version} if version and not deleting else {}
        return self._stamp(lease, {"uid": uid, "finalizers": None, **premise})

    def _stamp(self, lease: Lease, metadata: Object) -> Object | None:
        """Its status as a whole. None: it is gone; the uid keeps it from going to another of its name."""
        try:
            body = {"metadata": {**UNNOTED, **metadata}, "status": whole_status(lease)}
            return self._api.call("PATCH", paths.one("GPULease", lease.key), body, content=MERGE)[1]
        except Refused as error:
            if error.status == HTTPStatus.NOT_FOUND or error.another:
                return None
            raise

    def _look(self, lease: Lease) -> Object:
        """Its metadata, for one that was opened a moment ago and not seen yet; empty: it is gone."""
        try:
            found: Object = self._api.call("GET", paths.one("GPULease", lease.key))[1]["metadata"]
        except Refused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return {}
        return found


def whole_status(lease: Lease) -> Object:
    """As a merge patch, which leaves nothing of what was there before."""
    facts = [(field.name, fact_of(field)) for field in attrs.fields(LeaseStatus)]
    empty: Object = {manifest_name(name, fact): None for name, fact in facts if fact is not None}
    found: Object = to_object(lease).get("status") or {}
    return empty | found


def _is_closed(lease: Object) -> bool:
    return bool((lease.get("status") or {}).get("closed"))

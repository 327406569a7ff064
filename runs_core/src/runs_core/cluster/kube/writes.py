"""One effect as requests to the API server.

Doing one twice does no harm: what is there already is looked at, and what was replaced meanwhile is not written over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from http import HTTPStatus

import attrs

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import MERGE, Api, Object, Refused
from runs_core.cluster.kube.evidence import divided, names, owned
from runs_core.cluster.kube.podmake import FINALIZER, pod_object, service
from runs_core.cluster.kube.statuses import Basis, Statuses
from runs_core.schema.convert import lease_from_object, to_object
from runs_core.schema.names import API_VERSION, manifest_name
from runs_core.schema.pods import RUN_LABEL, UID_LABEL, rank_labels
from runs_core.values import effect as e
from runs_core.values.effect import Effect
from runs_core.values.fields import fact_of
from runs_core.values.lease import Lease, LeaseStatus
from runs_core.values.meta import Key
from runs_core.values.node import Node
from runs_core.values.pod import Pod
from runs_core.values.quantity import format_time
from runs_core.values.reservation import Reservation
from runs_core.values.resolution import Resolution
from runs_core.values.run import Run
from runs_core.values.section import Section
from runs_core.values.storage import SELECTED_NODE, VolumeClaim

SPENT = "AlreadyClosed"
"""Reason of a refusal that is our own: the lease was opened, and closed, before."""
NEVER_SEEN = Basis()
UNNOTED: Object = {"managedFields": [{}]}
"""In the metadata of a patch: the API server forgets whose each field is, and compares nothing to find out.

Source: Kubernetes documentation, "Server-Side Apply", clearing managedFields.
"""


class Writes:
    """run_of, node_of: the objects that a pod is made from, as they count. home: the scheduler's own namespace."""

    def __init__(
        self,
        api: Api,
        run_of: Callable[[Key], Run | None],
        node_of: Callable[[str], Node | None],
        sections: Sequence[Section],
        home: str = "",
    ) -> None:
        self._api = api
        self._run_of = run_of
        self._node_of = node_of
        self.statuses = Statuses(api, sections)
        self._home = home

    def write(self, effect: Effect, basis: Basis = NEVER_SEEN) -> Object | None:
        """Do it. Returns the object as the server now has it, None where it is gone or does not matter.

        basis: what a status was decided on.
        """
        match effect:
            case e.OpenLease(lease):
                return self._open(lease)
            case e.CloseLease(lease):
                return self.close(lease)
            case e.MeterLease(lease):
                return self._meter(lease)
            case e.SelectNode(_, claim):
                return self._select(claim)
            case e.MakePod(pod, template, ranks):
                run, node = self._run_of(pod.rank.run) if pod.rank else None, self._node_of(pod.node or "")
                if run is None or node is None or template is None:
                    raise Refused(404, "NotFound", f"pod {pod.key} has lost its run or its node")
                return self._create_pod(run, pod_object(run, pod, node, template, ranks))
            case e.BindPod(pod):
                return self._bind(pod)
            case e.EndPod(pod):
                seconds = int(pod.grace.total_seconds()) if pod.grace is not None else None
                return self._delete("Pod", pod.key, seconds)
            case e.RemovePod(key):
                return self._delete("Pod", key, 0)
            case e.SetRunStatus(run):
                return self.statuses.write(run, basis)
            case e.SetBudgetStatus(budget):
                return self.statuses.write(budget, basis)
            case e.PutReservation() | e.SetReservationStatus() | e.PutResolution() | e.SetResolutionStatus():
                return self._tell(effect)
            case e.RemoveRun(key, uid):
                self._remove_run(key, uid)
                return None
            case e.Emit():
                self._event(effect)
                return None

    def _tell(self, effect: e.Promised | e.PutResolution | e.SetResolutionStatus) -> Object | None:
        match effect:
            case e.PutReservation(reservation):
                self._reserve(reservation)
                return self._told(reservation)
            case e.PutResolution(resolution):
                return self._keep(resolution)
            case e.SetReservationStatus(reservation):
                return self._told(reservation)
            case e.SetResolutionStatus(resolution):
                return self._told(resolution)

    def keep(self, run: Run, basis: Basis) -> None:
        """Put our finalizer on it, so that it does not go before all that it holds is free. The others' stay."""
        metadata = {"name": run.meta.name, "namespace": run.key.namespace, "uid": run.uid, "finalizers": [FINALIZER]}
        body = {"apiVersion": API_VERSION, "kind": "Run", "metadata": metadata}
        self.statuses.touched(self._api.apply(paths.one("Run", run.key), body)[1], basis)

    def _remove_run(self, key: Key, uid: str) -> None:
        """Deleting what is being deleted writes nothing, and tells how it stands; then our finalizer goes.

        Whoever set it: so this is no apply, which would leave what is a webhook's.
        """
        options: Object = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            _, stored = self._api.call("DELETE", paths.one("Run", key), options)
            metadata = stored["metadata"] if stored.get("kind") == "Run" else {}
            others = [name for name in metadata.get("finalizers") or [] if name != FINALIZER]
            if metadata.get("finalizers") and others != metadata["finalizers"]:
                wish = {"uid": uid, "resourceVersion": metadata["resourceVersion"], "finalizers": others}
                self._api.call("PATCH", paths.one("Run", key), {"metadata": wish}, content=MERGE)
        except Refused as error:
            if error.status != HTTPStatus.NOT_FOUND and not _another(error):
                raise
        self.statuses.forget(("Run", key))

    def make_service(self, run: Run) -> None:
        """The gang's headless Service; there already: as it should be."""
        try:
            self._api.call("POST", paths.collection("Service", run.key.namespace), service(run))
        except Refused as error:
            if error.reason != "AlreadyExists":
                raise

    def remove_service(self, key: Key) -> None:
        self._delete("Service", key, None)

    def _open(self, lease: Lease) -> Object:
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

    def _keep(self, resolution: Resolution) -> Object:
        """Long evidence first, so that where the resolution is, all of it is. There already: adopted if it is equal."""
        body, parts = divided(resolution, self._home)
        for part in parts:
            self._create_part(part)
        try:
            _, stored = self._api.call("POST", paths.collection("Resolution"), body)
        except Refused as error:
            if error.reason != "AlreadyExists":
                raise
            _, stored = self._api.call("GET", paths.one("Resolution", resolution.meta.key))
            if stored["spec"]["digest"] != resolution.spec.digest:
                raise Refused(409, "AlreadyExists", f"{resolution.name} is another one") from error
        for part in parts:
            self._api.apply(*owned(part, stored))
        return stored

    def _create_part(self, part: Object) -> None:
        """Its name has the digest of what it holds: one that is there holds the same."""
        try:
            self._api.call("POST", paths.collection("ConfigMap", self._home), part)
        except Refused as error:
            if error.reason != "AlreadyExists":
                raise

    def own(self, resolution: Resolution) -> None:
        """Its evidence goes with it, also where whoever kept it was killed before that was said."""
        stored = to_object(resolution)
        for part in names(resolution.name, resolution.spec.evidence, resolution.spec.evidence.parts):
            home = resolution.spec.evidence.namespace
            self._api.apply(*owned({"metadata": {"name": part, "namespace": home}}, stored))

    def remove(self, over: Lease | Reservation | Resolution) -> bool:
        """That one, and no other of its name. False: it was gone already."""
        kind = to_object(over)["kind"]
        options: Object = {"propagationPolicy": "Background", "preconditions": {"uid": over.meta.uid}}
        try:
            self._api.call("DELETE", paths.one(kind, over.meta.key), options)
        except Refused as error:
            if error.status != HTTPStatus.NOT_FOUND and not _another(error):
                raise
            return False
        return True

    def _reserve(self, reservation: Reservation) -> None:
        """There already: of the same run, it is the one that a second try meets."""
        body = to_object(reservation)
        body.pop("status")
        try:
            self._api.call("POST", paths.collection("Reservation", reservation.key.namespace), body)
        except Refused as error:
            if error.reason != "AlreadyExists":
                raise
            _, stored = self._api.call("GET", paths.one("Reservation", reservation.key))
            if stored["spec"]["runRef"]["uid"] != reservation.spec.run_ref.uid:
                raise Refused(409, "AlreadyExists", f"reservation {reservation.key} is another one") from error

    def _told(self, one: Reservation | Resolution) -> Object | None:
        """Its status; None: it is gone."""
        written, known = to_object(one), one.meta
        parts = {"name": known.name, "namespace": known.namespace, "uid": known.uid}
        metadata = {name: part for name, part in parts.items() if part}
        body: Object = {"apiVersion": API_VERSION, "kind": written["kind"], "metadata": metadata}
        body["status"] = written.get("status", {})
        try:
            return self._api.apply(f"{paths.one(written['kind'], known.key)}/status", body)[1]
        except Refused as error:
            if error.status == HTTPStatus.NOT_FOUND or _another(error):
                return None
            raise

    def _meter(self, lease: Lease) -> Object | None:
        """What it has used so far; a late one is refused, since no meter goes back. None: it is gone."""
        return self._stamp(lease, {})

    def close(self, lease: Lease) -> Object:
        """Its status, and the finalizer off, in one write.

        In any order with others' writes: a lease that is closed stays as it is. One that somebody deletes already would
        go with that write, and nobody would ever see it closed: there the status comes first.
        """
        if lease.meta.deleting is not None:
            self._stamp(lease, {})
        stored = self._stamp(lease, {"finalizers": None})
        if stored is None:
            return {}
        if not _is_closed(stored):
            told = f"lease {lease.key} did not close: the GPULease kind of another release is installed"
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "Outdated", told)
        return stored

    def _stamp(self, lease: Lease, metadata: Object) -> Object | None:
        """Its status as a whole. None: it is gone; the uid keeps it from going to another of its name."""
        try:
            uid = lease.meta.uid or self._uid(lease.key)
            body = {"metadata": {"uid": uid, **UNNOTED, **metadata}, "status": whole_status(lease)}
            return self._api.call("PATCH", paths.one("GPULease", lease.key), body, content=MERGE)[1]
        except Refused as error:
            if error.status == HTTPStatus.NOT_FOUND or _another(error):
                return None
            raise

    def _uid(self, lease: Key) -> str:
        """Of one that was opened a moment ago, and not seen yet."""
        uid: str = self._api.call("GET", paths.one("GPULease", lease))[1]["metadata"]["uid"]
        return uid

    def _select(self, claim: VolumeClaim) -> Object:
        """Whoever makes the volume does so for that node. The uid keeps a claim that is gone from coming back."""
        metadata = {"name": claim.name, "namespace": claim.namespace, "uid": claim.uid}
        body: Object = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}
        body["metadata"]["annotations"] = {SELECTED_NODE: claim.node}
        return self._api.apply(paths.one("PersistentVolumeClaim", claim.key), body)[1]

    def _create_pod(self, run: Run, body: Object) -> Object:
        path = paths.collection("Pod", run.key.namespace)
        try:
            return self._api.call("POST", path, body)[1]
        except Refused as error:
            if error.reason != "AlreadyExists":
                raise
        _, stored = self._api.call("GET", paths.one("Pod", Key(run.key.namespace, body["metadata"]["name"])))
        labels = stored["metadata"].get("labels") or {}
        if any(labels.get(name) != value for name, value in body["metadata"]["labels"].items()):
            raise Refused(409, "AlreadyExists", f"pod {body['metadata']['name']} is somebody else's")
        return stored

    def _bind(self, pod: Pod) -> Object:
        """First its rank, so that nobody ever counts it as somebody else's; then its node, by a Binding."""
        assert pod.rank is not None
        path = paths.one("Pod", pod.key)
        metadata = {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid, "labels": rank_labels(pod.rank)}
        _, stored = self._api.apply(path, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
        if stored["spec"].get("nodeName") == pod.node:
            return stored
        target = {"apiVersion": "v1", "kind": "Node", "name": pod.node}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod.name}, "target": target}
        self._api.call("POST", f"{path}/binding", binding)
        return self._api.call("GET", path)[1]

    def _delete(self, kind: str, key: Key, grace: int | None) -> Object | None:
        options: Object = {"propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            _, answer = self._api.call("DELETE", paths.one(kind, key), options)
        except Refused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return answer if answer.get("kind") == kind else None

    def _event(self, event: e.Emit) -> None:
        """A repeated one is counted on the same object; an event that cannot be written is not worth a retry."""
        name = f"{event.key.name[:200]}.{_digest(event)}"
        namespace = event.key.namespace or "default"
        run = self._run_of(event.key) if event.kind == "Run" else None
        about = {
            "kind": event.kind,
            "name": event.key.name,
            "namespace": event.key.namespace,
            "uid": run.uid if run else "",
        }
        body: Object = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "regarding": {**about, "apiVersion": API_VERSION if event.kind == "Run" else "v1"},
            "reason": event.reason,
            "note": event.message[:1000],
            "type": "Warning" if event.warning else "Normal",
            "eventTime": format_time(event.at).replace("Z", ".000000Z")
            if "." not in format_time(event.at)
            else format_time(event.at),
            "action": event.reason,
            "reportingController": "runs.dev/runs",
            "reportingInstance": "runs",
        }
        try:
            self._api.call("POST", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", body)
        except Refused as error:
            if error.passing:
                raise


def whole_status(lease: Lease) -> Object:
    """As a merge patch, which leaves nothing of what was there before."""
    facts = [(field.name, fact_of(field)) for field in attrs.fields(LeaseStatus)]
    empty: Object = {manifest_name(name, fact): None for name, fact in facts if fact is not None}
    found: Object = to_object(lease).get("status") or {}
    return empty | found


def _another(error: Refused) -> bool:
    """Whether the object that is there, if any, is another than the one that was meant; any other conflict passes.

    No name of an object has capitals or spaces.
    """
    told = "UID in" in error.message or "uid mismatch" in error.message
    return error.status == HTTPStatus.CONFLICT and told


def _is_closed(lease: Object) -> bool:
    return bool((lease.get("status") or {}).get("closed"))


def _digest(event: e.Emit) -> str:
    text = f"{event.kind}|{event.key}|{event.reason}|{event.message}|{'' if event.once else event.at}"
    return sha256(text.encode()).hexdigest()[:16]

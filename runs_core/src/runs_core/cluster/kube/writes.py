"""One effect as requests to the API server.

Doing one twice does no harm: what is there already is looked at, and what was replaced meanwhile is not written over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import MERGE, Api, Object, Refused
from runs_core.cluster.kube.podmake import FINALIZER, pod_object, service
from runs_core.cluster.kube.statuses import Basis, Statuses
from runs_core.cluster.kube.write_events import tell
from runs_core.cluster.kube.write_leases import LeaseWrites
from runs_core.cluster.kube.write_pods import PodWrites
from runs_core.cluster.kube.write_resolutions import ResolutionWrites
from runs_core.schema.convert import to_object
from runs_core.schema.names import API_VERSION
from runs_core.schema.pods import seconds_of
from runs_core.values import effect as e
from runs_core.values.effect import Effect
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.node import Node
from runs_core.values.pod import Pod
from runs_core.values.reservation import Reservation
from runs_core.values.resolution import Resolution
from runs_core.values.run import Run
from runs_core.values.section import Section
from runs_core.values.storage import SELECTED_NODE, VolumeClaim

NEVER_SEEN = Basis()


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
        self.leases = LeaseWrites(api)
        self.resolutions = ResolutionWrites(api, home)
        self._pods = PodWrites(api)

    def write(self, effect: Effect, basis: Basis = NEVER_SEEN) -> Object | None:
        """Do it. Returns the object as the server now has it, None where it is gone or does not matter.

        basis: what a status, a closure, or a removal was decided on.
        """
        match effect:
            case e.OpenLease(lease):
                return self.leases.open(lease)
            case e.CloseLease(lease):
                return self.leases.close(lease, basis.version)
            case e.MeterLease(lease):
                return self.leases.meter(lease)
            case e.SelectNode(_, claim):
                return self._select(claim)
            case e.MakePod(pod, template, ranks):
                run, node = self._run_of(pod.rank.run) if pod.rank else None, self._node_of(pod.node or "")
                if run is None or node is None or template is None:
                    raise Refused(404, "NotFound", f"pod {pod.key} has lost its run or its node")
                return self._pods.create(pod, pod_object(run, pod, node, template, ranks), node.resource)
            case e.BindPod(pod):
                return self._pods.bind(pod)
            case e.EndPod(pod):
                # with none its object would go at once, and its places count as free while it still ran
                seconds = None if pod.grace is None else max(1, seconds_of(pod.grace))
                return self._delete("Pod", pod.key, seconds, pod.uid)
            case e.RemovePod(key):
                return self._delete("Pod", key, 0, basis.value.uid if isinstance(basis.value, Pod) else "")
            case e.SetRunStatus(run):
                return self.statuses.write(run, basis)
            case e.SetBudgetStatus(budget):
                return self.statuses.write(budget, basis)
            case e.PutReservation() | e.SetReservationStatus() | e.PutResolution() | e.SetResolutionStatus():
                return self.resolutions.write(effect)
            case e.RemoveRun(key, uid):
                self._remove_run(key, uid)
                return None
            case e.Emit():
                run = self._run_of(effect.key) if effect.kind == "Run" else None
                tell(self._api, effect, run.uid if run else "")
                return None

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
            if error.status != HTTPStatus.NOT_FOUND and not error.another:
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

    def remove(self, over: Lease | Reservation | Resolution) -> bool:
        """That one, and no other of its name. False: it was gone already."""
        kind = to_object(over)["kind"]
        options: Object = {"propagationPolicy": "Background", "preconditions": {"uid": over.meta.uid}}
        try:
            self._api.call("DELETE", paths.one(kind, over.meta.key), options)
        except Refused as error:
            if error.status != HTTPStatus.NOT_FOUND and not error.another:
                raise
            return False
        return True

    def _select(self, claim: VolumeClaim) -> Object:
        """Whoever makes the volume does so for that node. The uid keeps a claim that is gone from coming back."""
        metadata = {"name": claim.name, "namespace": claim.namespace, "uid": claim.uid}
        body: Object = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}
        body["metadata"]["annotations"] = {SELECTED_NODE: claim.node}
        return self._api.apply(paths.one("PersistentVolumeClaim", claim.key), body)[1]

    def _delete(self, kind: str, key: Key, grace: int | None, uid: str = "") -> Object | None:
        """That one, and no other of its name; "" where that is not known."""
        options: Object = {"propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            _, answer = self._api.call("DELETE", paths.one(kind, key), options)
        except Refused as error:
            if error.status == HTTPStatus.NOT_FOUND or error.another:
                return None
            raise
        return answer if answer.get("kind") == kind else None

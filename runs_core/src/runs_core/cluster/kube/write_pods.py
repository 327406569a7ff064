"""What is asked of the API server of a pod: ours are made, other people's are bound, both are told to go."""

from __future__ import annotations

from http import HTTPStatus

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.schema.pods import pod_from_object, rank_labels
from runs_core.settings import FleetSettings
from runs_core.values.meta import Key
from runs_core.values.pod import Pod


class Enlarged(Refused):
    """The pod that was made asks for more GPUs than its run holds, and is on its way out. stored: as the server has it.

    So do a LimitRange and the webhooks of others, which add to what is sent.
    """

    def __init__(self, stored: Object, resource: str, asks: int, held: int) -> None:
        self.stored = stored
        name, namespace = (stored["metadata"][part] for part in ("name", "namespace"))
        told = (
            f"pod {name} was made to ask for {asks} {resource} where the run holds {held}: let the template ask for 0 "
            f"in each other container, or end what adds them in namespace {namespace}, such as a LimitRange"
        )
        super().__init__(HTTPStatus.FORBIDDEN, "Enlarged", told)


class PodWrites:
    """From any thread."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(self, pod: Pod, body: Object, resource: str) -> Object:
        """Enlarged: it asks for more of that resource than the pod is to have."""
        stored = self._created(pod.namespace, body)
        if _said(stored, resource) == _said(body, resource):
            return stored
        asks = pod_from_object(stored, FleetSettings(resource=resource)).gpus
        if asks <= pod.gpus:
            return stored
        options = {"preconditions": {"uid": stored["metadata"]["uid"]}}
        _, going = self._api.call("DELETE", paths.one("Pod", pod.key), options)
        raise Enlarged(going if going.get("kind") == "Pod" else stored, resource, asks, pod.gpus)

    def _created(self, namespace: str, body: Object) -> Object:
        try:
            return self._api.call("POST", paths.collection("Pod", namespace), body)[1]
        except Refused as error:
            if error.reason != "AlreadyExists":
                raise
        _, stored = self._api.call("GET", paths.one("Pod", Key(namespace, body["metadata"]["name"])))
        labels = stored["metadata"].get("labels") or {}
        if any(labels.get(name) != value for name, value in body["metadata"]["labels"].items()):
            raise Refused(409, "AlreadyExists", f"pod {body['metadata']['name']} is somebody else's")
        return stored

    def bind(self, pod: Pod) -> Object:
        """First its rank, so that nobody ever counts it as somebody else's; then its node, by a Binding."""
        assert pod.rank is not None
        path = paths.one("Pod", pod.key)
        metadata = {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid, "labels": rank_labels(pod.rank)}
        _, stored = self._api.apply(path, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
        if stored["spec"].get("nodeName") == pod.node:
            return stored
        target = {"apiVersion": "v1", "kind": "Node", "name": pod.node}
        metadata = {"name": pod.name, "uid": pod.uid}  # another of its name is refused
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}
        self._api.call("POST", f"{path}/binding", binding)
        return self._api.call("GET", path)[1]


def _said(pod: Object, resource: str) -> list[str]:
    """How many its containers ask for, in the words that are there."""
    containers = (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ()))
    limits = [(one.get("resources") or {}).get("limits") or {} for one in containers]
    return [str(amounts.get(resource, "")) for amounts in limits]

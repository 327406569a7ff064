"""What is asked of the API server of a pod: ours are made, other people's are bound, both are told to go."""

from __future__ import annotations

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.schema.pods import rank_labels
from runs_core.values.meta import Key
from runs_core.values.pod import Pod


class PodWrites:
    """From any thread."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(self, namespace: str, body: Object) -> Object:
        path = paths.collection("Pod", namespace)
        try:
            return self._api.call("POST", path, body)[1]
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

"""The manifests of scenarios: ordinary Kubernetes objects, with what the scenario is about set apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from tests.scenarios.stage import Object

NAMESPACE = "research"
FLAVOR_LABEL = "nvidia.com/gpu.product"
DOMAIN_LABEL = "runs.dev/fabric-domain"
_SIMULATED = {
    "lasts": "duration",
    "starts": "start",
    "stops": "shutdown",
    "exit_code": "exit-code",
    "failing_ranks": "failing-ranks",
    "failures": "failures",
}
_RESOURCES = {"gpus": "gpus", "per_pod": "gpusPerPod", "flavor": "flavor"}
_TOPOLOGY = {"group": "groupGPUs", "spread": "spread", "selector": "selector"}


class NodeWords(TypedDict, total=False):
    """What else may be said of a node. room: allocatable amounts other than the ample ones that a node has."""

    domain: str
    flavor: str
    labels: Mapping[str, str]
    taints: Sequence[Mapping[str, str]]
    ready: bool
    cordoned: bool
    room: Mapping[str, str]


def node(name: str, gpus: object, **said: Unpack[NodeWords]) -> Object:
    """In the domain that is the first letter of its name, where nothing else is said."""
    flavor = {FLAVOR_LABEL: said["flavor"]} if "flavor" in said else {}
    labels = {DOMAIN_LABEL: said.get("domain", name[0]), **flavor, **said.get("labels", {})}
    ample = {"cpu": "128", "memory": "1Ti", "ephemeral-storage": "1Ti", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "unschedulable": said.get("cordoned", False),
            "taints": [dict(taint) for taint in said.get("taints", ())],
        },
        "status": {
            "allocatable": {"nvidia.com/gpu": str(gpus), **ample, **said.get("room", {})},
            "conditions": [{"type": "Ready", "status": str(said.get("ready", True))}],
        },
    }


def run(name: str, **said: object) -> Object:
    """said: the words above, `pod` (the template's spec, and its one container's `requests`), or fields of the spec."""
    marks = {f"runs.dev/simulated-{mark}": said.pop(word) for word, mark in _SIMULATED.items() if word in said}
    resources = {field: said.pop(word) for word, field in _RESOURCES.items() if word in said}
    topology = {field: said.pop(word) for word, field in _TOPOLOGY.items() if word in said}
    pod = said.pop("pod", None)
    spec = {"resources": resources, **({"topology": topology} if topology else {}), **said}
    if isinstance(pod, dict):
        main = {"name": "main", "resources": {"requests": pod.get("requests", {})}}
        rest = {field: value for field, value in pod.items() if field != "requests"}
        spec["template"] = {"spec": {"containers": [main], **rest}}
    return {
        "apiVersion": "runs.dev/v1alpha1",
        "kind": "Run",
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": marks},
        "spec": spec,
    }


def volume(name: str, label: str, *values: str) -> Object:
    """A PersistentVolume that is reached from the nodes whose label has one of these values."""
    wanted = {"key": label, "operator": "In", "values": list(values)}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteMany"],
            "hostPath": {"path": "/data"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [wanted]}]}},
        },
    }


def claim(name: str, volume: str | None = None, storage_class: str = "") -> Object:
    """A PersistentVolumeClaim, bound to the volume if there is one."""
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {**spec, "storageClassName": storage_class, **({"volumeName": volume} if volume else {})},
        "status": {"phase": "Bound" if volume else "Pending"},
    }


def storage_class(name: str, mode: str) -> Object:
    """mode: Immediate or WaitForFirstConsumer."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "example.com/none",
        "volumeBindingMode": mode,
    }


def mounting(*claims: str) -> Object:
    """The spec of a pod that uses these."""
    return {"volumes": [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]}


def budget(owner: str, namespaces: Mapping[str, Any]) -> Object:
    """The Budget of that owner, under its name."""
    return {
        "apiVersion": "runs.dev/v1alpha1",
        "kind": "Budget",
        "metadata": {"name": owner},
        "spec": {"owner": owner, "namespaces": namespaces},
    }


def namespace(name: str, **labels: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def foreign(name: str, node: str, gpus: int = 0, **requests: str) -> Object:
    """Somebody else's pod. requests: cpu, memory and the like."""
    asked = {**requests, **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    container = {"name": "main", "resources": {"requests": asked}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "elsewhere"},
        "spec": {"nodeName": node, "containers": [container]},
    }

"""From a run's template to the pod that a rank is."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from runs_core.schema.names import API_VERSION
from runs_core.schema.pods import RUN_LABEL, UID_LABEL, rank_labels, seconds_of
from runs_core.values.node import Node
from runs_core.values.pod import Pod, RankOf
from runs_core.values.quantity import parse_quantity
from runs_core.values.run import Run

Object = dict[str, Any]
SCHEDULER = "runs"
MASTER_PORT = 29500
FINALIZER = "runs.dev/ledger"
MIRRORED = "kubernetes.io/config.mirror"
"""Annotation of what a kubelet says of a static pod; it deletes whatever else has it.

Source: Kubernetes documentation, "Well-Known Labels, Annotations and Taints".
"""


def service_name(run: Run) -> str:
    """The headless Service through which the ranks of a run find each other; at most 63 characters.

    It begins with a letter: an API server before Kubernetes 1.36 takes no other Service.

    Source: Kubernetes enhancement 5311, relaxed validation of Service names.
    """
    name = run.meta.name[:50].replace(".", "-").rstrip("-")
    return f"{name if name[0].isalpha() else f'run-{name}'}-{run.uid[-8:]}"


def service(run: Run) -> Object:
    """Publishes ranks before they are ready: they find each other while they come up."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service_name(run),
            "namespace": run.key.namespace,
            "labels": {RUN_LABEL: run.meta.name, UID_LABEL: run.uid},
            "ownerReferences": [owner_reference(run)],
        },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {UID_LABEL: run.uid},
            "ports": [{"name": "rendezvous", "port": MASTER_PORT}],
        },
    }


def owner_reference(run: Run) -> Object:
    """So that what the scheduler made for a run goes with it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Run",
        "name": run.meta.name,
        "uid": run.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def pod_object(run: Run, pod: Pod, node: Node, template: str, ranks: int) -> Object:
    """The rank's pod, bound to its node, with its GPUs and its rendezvous variables. ranks: of the whole gang."""
    assert pod.rank is not None
    made: Object = json.loads(template)
    metadata = made.get("metadata") or {}
    spec = made["spec"]
    spec.update(
        nodeName=node.name,
        schedulerName=SCHEDULER,
        restartPolicy="Never",
        hostname=pod.name,
        subdomain=service_name(run),
    )
    if pod.own_grace is not None:  # so that whoever else ends it, a drain or a garbage collector, leaves it its time
        spec["terminationGracePeriodSeconds"] = seconds_of(pod.own_grace)
    spec["tolerations"] = [*(spec.get("tolerations") or []), *_tolerations(node)]
    _give_gpus(spec, node.resource, pod.gpus)
    variables = _variables(run, pod, pod.rank, ranks)
    for container in [*spec["containers"], *(spec.get("initContainers") or [])]:
        own = [entry for entry in container.get("env") or [] if entry["name"] not in variables]
        container["env"] = [*own, *({"name": name, "value": value} for name, value in variables.items())]
    labels = {**(metadata.get("labels") or {}), **rank_labels(pod.rank)}
    annotations = {**(metadata.get("annotations") or {}), **dict(pod.annotations)}
    annotations.pop(MIRRORED, None)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod.name,
            "namespace": pod.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner_reference(run)],
        },
        "spec": spec,
    }


def _tolerations(node: Node) -> list[Object]:
    """What it was placed on is tolerated exactly, so that nobody evicts it for a taint that placement allowed."""
    return [
        {"key": taint.key, "operator": "Equal", "value": taint.value, "effect": taint.effect}
        for taint in node.taints
        if taint.effect in ("NoSchedule", "NoExecute") and taint.key == node.resource
    ]


def _give_gpus(spec: Object, resource: str, gpus: int) -> None:
    """A template that places the GPUs itself is left alone; else the first container gets them.

    Whatever runs to the end counts, so a sidecar as well. That it places as many as the run holds is asked before
    the start (`runs_core.decide.hold`).
    """
    sidecars = [one for one in spec.get("initContainers") or [] if one.get("restartPolicy") == "Always"]
    if any(_limit(one, resource) for one in [*spec["containers"], *sidecars]):
        return
    resources = spec["containers"][0].setdefault("resources", {})
    for part in ("requests", "limits"):
        resources[part] = {**(resources.get(part) or {}), resource: str(gpus)}


def _limit(container: Object, resource: str) -> Decimal:
    return parse_quantity(((container.get("resources") or {}).get("limits") or {}).get(resource, 0))


def _variables(run: Run, pod: Pod, rank: RankOf, ranks: int) -> dict[str, str]:
    """RANK is the rank of the pod's first process when each GPU has one."""
    per_pod = run.spec.resources.gpus_per_pod
    group = run.spec.topology.group_gpus
    first = pod.name.rsplit("-", 1)[0] + "-0"
    return {
        "RANK": str(rank.rank * per_pod),
        "WORLD_SIZE": str(ranks * per_pod),
        "LOCAL_WORLD_SIZE": str(per_pod),
        "NODE_RANK": str(rank.rank),
        "NNODES": str(ranks),
        "MASTER_ADDR": f"{first}.{service_name(run)}",
        "MASTER_PORT": str(MASTER_PORT),
        "RUNS_GROUP": str(rank.group),
        "RUNS_GROUP_RANK": str(rank.rank % (group // per_pod) if group else rank.rank),
    }

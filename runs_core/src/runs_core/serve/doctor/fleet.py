"""Nodes, as scheduling reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runs_core.cluster.kube.api import Object
from runs_core.errors import InvalidInput
from runs_core.schema.nodes import node_from_object
from runs_core.schema.pods import RUN_LABEL, SCHEDULER, pod_from_object
from runs_core.serve.doctor.evidence import Evidence
from runs_core.serve.doctor.finding import Finding, some
from runs_core.serve.manifests.validations import EXEMPT, EXEMPT_LABEL, SYSTEM
from runs_core.values.node import MalformedNode, Node

MOST_NAMED = 20
"""Pods in one command."""


def read(evidence: Evidence) -> Sequence[Node | MalformedNode]:
    """All nodes."""
    return [node_from_object(one, evidence.settings.fleet) for one in evidence.of("nodes")]


def with_gpus(evidence: Evidence) -> list[Node]:
    """Those that offer some."""
    return [node for node in read(evidence) if isinstance(node, Node) and node.gpus]


def no_gpus(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.knows("nodes") or with_gpus(evidence):
        return
    resource = evidence.settings.fleet.resource
    what = f"none of {len(evidence.of('nodes'))} offers {resource}: no run can ever start"
    remedy = "kubectl get nodes -o custom-columns='NAME:.metadata.name,ALLOCATABLE:.status.allocatable'"
    yield Finding(check="NoGPUs", about="nodes", what=what, remedy=remedy)


def flavor_missing(evidence: Evidence) -> Iterator[Finding]:
    labels = evidence.settings.fleet.flavor_labels
    bare = [node.name for node in with_gpus(evidence) if not any(dict(node.labels).get(label) for label in labels)]
    if bare:
        what = f"{some(bare)} have GPUs and no label {' or '.join(labels)}: they count as flavor default"
        remedy = f"kubectl label node {' '.join(sorted(bare))} {labels[0]}=FLAVOR"
        yield Finding(check="FlavorMissing", about="nodes", what=what, remedy=remedy)


def domain_missing(evidence: Evidence) -> Iterator[Finding]:
    """Nodes without any domain anywhere are one domain, and that is fine; a mixture is a mistake."""
    label = evidence.settings.fleet.domain_label
    nodes = with_gpus(evidence)
    bare = [node.name for node in nodes if not dict(node.labels).get(label)]
    if bare and len(bare) < len(nodes):
        what = f"{some(bare)} have no label {label}, and others have: they count as one domain, wherever they are"
        remedy = f"kubectl label node {' '.join(sorted(bare))} {label}=DOMAIN"
        yield Finding(check="DomainMissing", about="nodes", what=what, remedy=remedy)


def set_aside(evidence: Evidence) -> Iterator[Finding]:
    for node in read(evidence):
        if isinstance(node, MalformedNode):
            what = f"it takes no work, since it cannot be read: {node.why}"
            yield Finding(
                check="NodeSetAside", about=f"node {node.name}", what=what, remedy=f"kubectl edit node {node.name}"
            )


def no_device_plugin(evidence: Evidence) -> Iterator[Finding]:
    """A flavor is promised, and the kubelet has no devices to give."""
    labels = evidence.settings.fleet.flavor_labels
    for node in read(evidence):
        if isinstance(node, Node) and not node.gpus and any(dict(node.labels).get(label) for label in labels):
            what = f"it is labelled {node.flavor} and offers no {node.resource}: its device plugin does not run"
            remedy = f"kubectl get pods -A --field-selector spec.nodeName={node.name}"
            yield Finding(check="NoDevicePlugin", about=f"node {node.name}", what=what, remedy=remedy)


def foreign_pods(evidence: Evidence) -> Iterator[Finding]:
    """GPU pods that runs neither places nor ends. By namespace."""
    exempt = {one["metadata"]["name"] for one in evidence.of("namespaces") if _exempt(one)}
    taken: dict[str, list[int]] = {}
    for pod in evidence.of("pods"):
        namespace = pod["metadata"].get("namespace", "")
        if namespace not in exempt and (gpus := _foreign(evidence, pod)):
            taken.setdefault(namespace, []).append(gpus)
    for namespace, held in sorted(taken.items()):
        what = f"{len(held)} pods hold {sum(held)} GPUs past runs: nobody accounts for them, and no run can have them"
        remedy = f"kubectl label namespace {namespace} {EXEMPT_LABEL}={EXEMPT}"
        yield Finding(check="ForeignGPUPods", about=f"namespace {namespace}", what=what, remedy=remedy)


def pods_of_no_run(evidence: Evidence) -> Iterator[Finding]:
    """They say that runs schedules them, and no run is there that they are of: they wait for ever. By namespace."""
    if not evidence.knows("pods", "runs"):
        return
    runs = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in evidence.of("runs")}
    lost: dict[str, dict[str, str]] = {}
    for pod in evidence.of("pods"):
        meta, spec = pod["metadata"], pod["spec"]
        run = (meta.get("labels") or {}).get(RUN_LABEL, "")
        if spec.get("schedulerName") == SCHEDULER and not spec.get("nodeName") and (meta["namespace"], run) not in runs:
            lost.setdefault(meta["namespace"], {})[meta["name"]] = run
    for namespace, named in sorted(lost.items()):
        first = min(named)
        run = f"there is no run {named[first]}" if named[first] else f"it has no label {RUN_LABEL}"
        beside = f", and {len(named) - 1} more likewise" if len(named) > 1 else ""
        what = f"pod {first} waits for runs to place it, and {run}{beside}"
        remedy = f"kubectl -n {namespace} delete pod {' '.join(sorted(named)[:MOST_NAMED])}"
        yield Finding(check="PodOfNoRun", about=f"namespace {namespace}", what=what, remedy=remedy)


def _exempt(namespace: Object) -> bool:
    meta = namespace["metadata"]
    return bool(meta["name"] == SYSTEM or (meta.get("labels") or {}).get(EXEMPT_LABEL) == EXEMPT)


def _foreign(evidence: Evidence, body: Object) -> int:
    """GPUs that it holds; 0: it is ours, or holds none."""
    if body["spec"].get("schedulerName") == SCHEDULER or not body["spec"].get("nodeName"):
        return 0
    try:
        pod = pod_from_object(body, evidence.settings.fleet)
    except InvalidInput:
        return 0
    return 0 if pod.phase.ended else pod.gpus

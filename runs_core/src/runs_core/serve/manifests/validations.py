"""What validating policies judge, and by which rules.

Source: Kubernetes documentation, "Validating Admission Policy" and "Common Expression Language in Kubernetes".
"""

from __future__ import annotations

from runs_core.cluster.kube.podmake import MIRRORED
from runs_core.schema.convert import Object
from runs_core.schema.names import BUDGET, GROUP, LEASE, RESERVATION, RESOLUTION, RUN, VERSION
from runs_core.schema.pods import (
    ATTEMPT_LABEL,
    GROUP_LABEL,
    RANK_LABEL,
    RETRY_LABEL,
    RUN_LABEL,
    SCHEDULER,
    UID_LABEL,
)
from runs_core.serve.manifests.expressions import another, listed, rule, text
from runs_core.serve.manifests.installation import Installation
from runs_core.settings import FleetSettings

EXEMPT_LABEL = "runs.dev/gpu-pods"
EXEMPT = "unmanaged"
"""Label and value of a namespace whose GPU pods may be scheduled by others, such as that of a device operator."""
SYSTEM = "kube-system"
KUBELET = "request.userInfo.groups.exists(group, group == 'system:nodes')"
_LABELS = [
    {"name": "labels", "expression": "(has(object.metadata.labels) ? object.metadata.labels : {})"},
    {
        "name": "before",
        "expression": "(oldObject != null && has(oldObject.metadata.labels) ? oldObject.metadata.labels : {})",
    },
]
_MARKS = (UID_LABEL, ATTEMPT_LABEL, RETRY_LABEL, RANK_LABEL, GROUP_LABEL)


def gpu_pods(installation: Installation, fleet: FleetSettings) -> Object:
    """A pod that asks for a GPU says `schedulerName: runs` and which run it is of, and does not choose its node.

    A kubelet tells of its static pods, which run whatever is answered: refused, their GPUs would count as free.

    Source: Kubernetes documentation, "Create static Pods" and "Well-Known Labels, Annotations and Taints".
    """
    resources = fleet.known
    asks = " || ".join(
        f"(has(c.resources) && has(c.resources.{part}) && {text(name)} in c.resources.{part} "
        f"&& quantity(c.resources.{part}[{text(name)}]).isGreaterThan(quantity('0')))"
        for name in resources
        for part in ("limits", "requests")
    )
    names = " or ".join(resources)
    mirrored = f"has(object.metadata.annotations) && {text(MIRRORED)} in object.metadata.annotations"
    return {
        "matchConstraints": {
            "namespaceSelector": {
                "matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [SYSTEM]},
                    {"key": EXEMPT_LABEL, "operator": "NotIn", "values": [EXEMPT]},
                ]
            },
            "resourceRules": [rule("", "v1", ["pods"], ["CREATE"])],
        },
        "matchConditions": [
            another(installation),
            {"name": "not-a-static-pod", "expression": f"!({KUBELET} && {mirrored})"},
            {
                "name": "asks-for-gpus",
                "expression": f"object.spec.containers.exists(c, {asks}) || "
                f"(has(object.spec.initContainers) && object.spec.initContainers.exists(c, {asks}))",
            },
        ],
        "validations": [
            {
                "expression": f"has(object.spec.schedulerName) && object.spec.schedulerName == {text(SCHEDULER)}",
                "message": f"a pod that asks for {names} is scheduled by runs: "
                f"submit a Run, or set schedulerName: {SCHEDULER} and the label {RUN_LABEL}",
                "reason": "Forbidden",
            },
            {
                "expression": f"!has(object.spec.schedulerName) || object.spec.schedulerName != {text(SCHEDULER)} "
                f"|| (has(object.metadata.labels) && {text(RUN_LABEL)} in object.metadata.labels)",
                "message": f"metadata.labels: a pod that runs schedules names its run by the label {RUN_LABEL}: "
                "without it, it would wait for ever",
                "reason": "Forbidden",
            },
            {
                "expression": "!has(object.spec.nodeName) || object.spec.nodeName == ''",
                "message": f"spec.nodeName: a pod that asks for {names} leaves its node to runs; leave it out",
                "reason": "Forbidden",
            },
        ],
    }


def pod_labels(installation: Installation) -> Object:
    """A pod's place in a run is the scheduler's to say; which run it wants to be of, its maker's, until it is.

    Labels come with a pod's status, and with its binding, as well. What a kubelet says of a status is not looked at:
    there is much of it, and NodeRestriction lets it change no label.

    Source: Kubernetes documentation, "Admission Control in Kubernetes", NodeRestriction.
    """
    same = "(k in variables.labels ? variables.labels[k] : '') == (k in variables.before ? variables.before[k] : '')"
    return {
        "matchConstraints": {
            "resourceRules": [
                rule("", "v1", ["pods"], ["CREATE", "UPDATE"]),
                rule("", "v1", ["pods/status"], ["UPDATE"]),
                rule("", "v1", ["bindings", "pods/binding"], ["CREATE"]),
            ]
        },
        "matchConditions": [
            another(installation),
            {
                "name": "not-a-kubelet",
                "expression": f"!(request.?subResource.orValue('') == 'status' && {KUBELET})",
            },
        ],
        "variables": _LABELS,
        "validations": [
            {
                "expression": f"{listed(_MARKS)}.all(k, {same})",
                "message": f"metadata.labels: {', '.join(_MARKS)} are written by the scheduler only; leave them",
                "reason": "Forbidden",
            },
            {
                "expression": f"!({text(UID_LABEL)} in variables.before) || [{text(RUN_LABEL)}].all(k, {same})",
                "message": f"metadata.labels: {RUN_LABEL} of a pod that belongs to a run stays as it is",
                "reason": "Forbidden",
            },
        ],
    }


def namespace_labels() -> Object:
    """Which namespaces spend for an owner, and whose GPU pods go by: that is for who may write Budgets to say."""
    kept = f"k.startsWith({text(f'{GROUP}/')})"
    return {
        "matchConstraints": {
            "resourceRules": [
                rule("", "v1", ["namespaces"], ["CREATE", "UPDATE"]),
                rule("", "v1", ["namespaces/finalize", "namespaces/status"], ["UPDATE"]),
            ]
        },
        "variables": _LABELS,
        "validations": [
            {
                "expression": f"(variables.labels.all(k, !{kept} || (k in variables.before "
                "&& variables.before[k] == variables.labels[k])) "
                f"&& variables.before.all(k, !{kept} || k in variables.labels)) "
                f"|| authorizer.group({text(GROUP)}).resource({text(BUDGET.plural)}).check('update').allowed()",
                "message": f"metadata.labels: labels of a namespace that begin with {GROUP}/ are set by who may "
                "update Budgets; leave them",
                "reason": "Forbidden",
            }
        ],
    }


def kept_out(installation: Installation) -> Object:
    """A run's pods may act as any service account of its namespace: as the scheduler, or as Kubernetes' controllers."""
    values = sorted({SYSTEM, installation.namespace})
    name = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": values}
    return {
        "matchConstraints": {
            "namespaceSelector": {"matchExpressions": [name]},
            "resourceRules": [rule(GROUP, VERSION, [RUN.plural], ["CREATE"])],
        },
        "validations": [
            {
                "expression": "false",
                "message": f"metadata.namespace: no run is made in {' or '.join(values)}, where its pods could act as "
                "the scheduler or as Kubernetes itself: name a namespace of your own",
                "reason": "Forbidden",
            }
        ],
    }


def facts() -> Object:
    """What a lease says stays so, whoever asks.

    So says its CRD as well, which does not see that a field it does not know has made room for another one.
    """
    was, now = (f"{one}.?status.closed.orValue(false)" for one in ("oldObject", "object"))
    return {
        "matchConstraints": {"resourceRules": [rule(GROUP, VERSION, [LEASE.plural], ["UPDATE"])]},
        "validations": [
            {
                "expression": "object.spec == oldObject.spec",
                "message": "spec: want no change: what a lease says was so; make a new one",
            },
            {
                "expression": f"!{was} || ({now} && object.status == oldObject.status)",
                "message": "status: want no change: a closed lease stays as it is",
            },
        ],
    }


def shape() -> Object:
    """The template of an admitted run stays as it is: so says its CRD as well, which misses the same as of a lease."""
    admitted = "oldObject.?status.admittedAt.hasValue()"
    same = "object.spec.?template.orValue({}) == oldObject.spec.?template.orValue({})"
    return {
        "matchConstraints": {"resourceRules": [rule(GROUP, VERSION, [RUN.plural], ["UPDATE"])]},
        "validations": [
            {
                "expression": f"!{admitted} || {same}",
                "message": "spec.template: want no change once the run is admitted; submit a new run",
            },
        ],
    }


def ledger(installation: Installation) -> Object:
    """Deleting is not named: the API server's own controllers empty namespaces, and a finalizer keeps what is open.

    An update that changes nothing passes, since the migration of stored versions is one.
    """
    same = " && ".join(
        f"(has(object.{part}) == has(oldObject.{part}) && (!has(object.{part}) || object.{part} == oldObject.{part}))"
        for part in ("spec", "status", "metadata.labels", "metadata.finalizers", "metadata.ownerReferences")
    )
    statuses = [f"{kind.plural}/status" for kind in (BUDGET, RESERVATION, RESOLUTION, RUN)]
    return {
        "matchConstraints": {
            "resourceRules": [
                rule(GROUP, VERSION, [LEASE.plural, RESERVATION.plural, RESOLUTION.plural], ["CREATE", "UPDATE"]),
                rule(GROUP, VERSION, statuses, ["UPDATE"]),
            ]
        },
        "matchConditions": [another(installation)],
        "validations": [
            {
                "expression": f"oldObject != null && {same}",
                "message": f"{LEASE.name}, {RESERVATION.name} and {RESOLUTION.name} objects, and the status of every "
                f"kind of {GROUP}, are written by the scheduler only",
                "reason": "Forbidden",
            }
        ],
    }

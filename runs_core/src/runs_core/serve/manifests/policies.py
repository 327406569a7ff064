"""Admission policies: judged inside the API server, and so in force while no scheduler runs.

Source: Kubernetes documentation, "Validating Admission Policy", "Mutating Admission Policy" and "Common Expression
Language in Kubernetes".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum

from runs_core.cluster.kube.podmake import FINALIZER
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
from runs_core.serve.manifests.installation import Installation
from runs_core.settings import FleetSettings

EXEMPT_LABEL = "runs.dev/gpu-pods"
EXEMPT = "unmanaged"
"""Label and value of a namespace whose GPU pods may be scheduled by others, such as that of a device operator."""
SYSTEM = "kube-system"
_VERSION = "admissionregistration.k8s.io/v1"
_MARKS = (UID_LABEL, ATTEMPT_LABEL, RETRY_LABEL, RANK_LABEL, GROUP_LABEL)


class PolicyMode(StrEnum):
    """What happens to a GPU pod that passes the scheduler by."""

    OFF = "off"
    WARN = "warn"
    DENY = "deny"


def policies(installation: Installation, fleet: FleetSettings, mode: PolicyMode) -> list[Object]:
    """Policies, each with its binding. mode: of the one about GPU pods; the others always deny."""
    found = [*_pair(installation, "runs-pod-labels", _labels(installation), ["Deny"])]
    found += _pair(installation, "runs-ledger", _ledger(installation), ["Deny"])
    found += [*_as_created(installation), *_unnoted(installation)]
    if mode is PolicyMode.OFF:
        return found
    actions = ["Deny"] if mode is PolicyMode.DENY else ["Warn", "Audit"]
    return [*_pair(installation, "runs-gpu-pods", _gpu_pods(installation, fleet), actions), *found]


def _pair(installation: Installation, name: str, spec: Object, actions: Sequence[str]) -> list[Object]:
    return [
        {
            **installation.object(_VERSION, "ValidatingAdmissionPolicy", name),
            "spec": {"failurePolicy": "Fail", **spec},
        },
        {
            **installation.object(_VERSION, "ValidatingAdmissionPolicyBinding", name),
            "spec": {"policyName": name, "validationActions": list(actions)},
        },
    ]


_ADD_FINALIZER = f'JSONPatch{{op: "add", path: "/metadata/finalizers", value: {json.dumps([FINALIZER])}}}'
_REMOVE_NOTES = 'JSONPatch{op: "remove", path: "/metadata/managedFields"}'


def _as_created(installation: Installation) -> list[Object]:
    """A new run has our finalizer when it is stored, so that the scheduler need not write it, and no notes.

    The notes say who wrote which field. Unless somebody applies the run by server-side apply nobody asks for them, and
    each status would be compared with them. The first who does begins them anew, as of all that is there by then.
    """
    bare = "!has(object.metadata.finalizers)"
    noted = (
        "(has(object.metadata.managedFields) && !object.metadata.managedFields.exists(one, one.operation == 'Apply'))"
    )
    patches = f"({bare} ? [{_ADD_FINALIZER}] : []) + ({noted} ? [{_REMOVE_NOTES}] : [])"
    runs = _rule(GROUP, VERSION, [RUN.plural], ["CREATE"])
    return _changing(installation, "runs-new-runs", runs, {"something-to-do": f"{bare} || {noted}"}, patches)


def _unnoted(installation: Installation) -> list[Object]:
    """Nobody notes who wrote which field of a pod that the scheduler makes: nearly half of it, and all are its own.

    Where there are none the API server makes none either for what a kubelet says of the pod. Server-side apply of
    somebody else begins them anew.
    """
    when = {"the-scheduler": _ours(installation), "has-notes": "has(object.metadata.managedFields)"}
    pods = _rule("", "v1", ["pods"], ["CREATE"])
    return _changing(installation, "runs-pod-notes", pods, when, f"[{_REMOVE_NOTES}]")


def _changing(
    installation: Installation, name: str, what: Object, when: Mapping[str, str], patches: str
) -> list[Object]:
    """Refuses nothing, and where it fails nothing is lost: what it changes is a saving."""
    return [
        {
            **installation.object(_VERSION, "MutatingAdmissionPolicy", name),
            "spec": {
                "failurePolicy": "Ignore",
                "reinvocationPolicy": "Never",
                "matchConstraints": {"resourceRules": [what]},
                "matchConditions": [{"name": about, "expression": expression} for about, expression in when.items()],
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patches}}],
            },
        },
        {
            **installation.object(_VERSION, "MutatingAdmissionPolicyBinding", name),
            "spec": {"policyName": name},
        },
    ]


def _gpu_pods(installation: Installation, fleet: FleetSettings) -> Object:
    """A pod that asks for a GPU says `schedulerName: runs`, and does not choose its node by itself."""
    resources = fleet.known
    asks = " || ".join(
        f"(has(c.resources) && has(c.resources.{part}) && {_text(name)} in c.resources.{part} "
        f"&& quantity(c.resources.{part}[{_text(name)}]).isGreaterThan(quantity('0')))"
        for name in resources
        for part in ("limits", "requests")
    )
    names = " or ".join(resources)
    return {
        "matchConstraints": {
            "namespaceSelector": {
                "matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [SYSTEM]},
                    {"key": EXEMPT_LABEL, "operator": "NotIn", "values": [EXEMPT]},
                ]
            },
            "resourceRules": [_rule("", "v1", ["pods"], ["CREATE"])],
        },
        "matchConditions": [
            _another(installation),
            {
                "name": "asks-for-gpus",
                "expression": f"object.spec.containers.exists(c, {asks}) || "
                f"(has(object.spec.initContainers) && object.spec.initContainers.exists(c, {asks}))",
            },
        ],
        "validations": [
            {
                "expression": f"has(object.spec.schedulerName) && object.spec.schedulerName == {_text(SCHEDULER)}",
                "message": f"a pod that asks for {names} is scheduled by runs: "
                f"submit a Run, or set schedulerName: {SCHEDULER} and the label {RUN_LABEL}",
                "reason": "Forbidden",
            },
            {
                "expression": "!has(object.spec.nodeName) || object.spec.nodeName == ''",
                "message": f"spec.nodeName: a pod that asks for {names} leaves its node to runs; leave it out",
                "reason": "Forbidden",
            },
        ],
    }


def _labels(installation: Installation) -> Object:
    """A pod's place in a run is the scheduler's to say; which run it wants to be of, its maker's, until it is."""
    mine = "(has(object.metadata.labels) ? object.metadata.labels : {})"
    before = "(oldObject != null && has(oldObject.metadata.labels) ? oldObject.metadata.labels : {})"
    same = "(k in variables.labels ? variables.labels[k] : '') == (k in variables.before ? variables.before[k] : '')"
    return {
        "matchConstraints": {"resourceRules": [_rule("", "v1", ["pods"], ["CREATE", "UPDATE"])]},
        "matchConditions": [_another(installation)],
        "variables": [
            {"name": "labels", "expression": mine},
            {"name": "before", "expression": before},
        ],
        "validations": [
            {
                "expression": f"{_list(_MARKS)}.all(k, {same})",
                "message": f"metadata.labels: {', '.join(_MARKS)} are written by the scheduler only; leave them",
                "reason": "Forbidden",
            },
            {
                "expression": f"!({_text(UID_LABEL)} in variables.before) || [{_text(RUN_LABEL)}].all(k, {same})",
                "message": f"metadata.labels: {RUN_LABEL} of a pod that belongs to a run stays as it is",
                "reason": "Forbidden",
            },
        ],
    }


def _ledger(installation: Installation) -> Object:
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
                _rule(GROUP, VERSION, [LEASE.plural, RESERVATION.plural, RESOLUTION.plural], ["CREATE", "UPDATE"]),
                _rule(GROUP, VERSION, statuses, ["UPDATE"]),
            ]
        },
        "matchConditions": [_another(installation)],
        "validations": [
            {
                "expression": f"oldObject != null && {same}",
                "message": f"{LEASE.name}, {RESERVATION.name} and {RESOLUTION.name} objects, and the status of every "
                f"kind of {GROUP}, are written by the scheduler only",
                "reason": "Forbidden",
            }
        ],
    }


def _rule(group: str, version: str, resources: Sequence[str], operations: Sequence[str]) -> Object:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": list(operations),
        "resources": sorted(resources),
    }


def _another(installation: Installation) -> Object:
    """Comes first: where it is the scheduler nothing else is looked at."""
    return {"name": "not-the-scheduler", "expression": f"!({_ours(installation)})"}


def _ours(installation: Installation) -> str:
    return f"request.userInfo.username == {_text(installation.user)}"


def _text(text: str) -> str:
    """As a literal of CEL, which has JSON's escapes."""
    return json.dumps(text, ensure_ascii=False)


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(_text(text) for text in texts)}]"

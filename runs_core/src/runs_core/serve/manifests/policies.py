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
from runs_core.schema.names import GROUP, RUN, VERSION
from runs_core.serve.manifests.expressions import ours, rule
from runs_core.serve.manifests.installation import Installation
from runs_core.serve.manifests.validations import facts, gpu_pods, kept_out, ledger, namespace_labels, pod_labels, shape
from runs_core.settings import FleetSettings

_VERSION = "admissionregistration.k8s.io/v1"
Version = tuple[int, int]
OLDEST: Version = (1, 30)
"""ValidatingAdmissionPolicy is stable since then. Source: Kubernetes documentation, "Validating Admission Policy"."""
CHANGING: Version = (1, 36)
"""MutatingAdmissionPolicy is. Source: Kubernetes documentation, "Mutating Admission Policy"."""


class PolicyMode(StrEnum):
    """What happens to a GPU pod that passes the scheduler by."""

    OFF = "off"
    WARN = "warn"
    DENY = "deny"


def policies(installation: Installation, fleet: FleetSettings, mode: PolicyMode) -> list[Object]:
    """Policies, each with its binding. mode: of the one about GPU pods; the others always deny."""
    found = [*_pair(installation, "runs-pod-labels", pod_labels(installation), ["Deny"])]
    found += _pair(installation, "runs-ledger", ledger(installation), ["Deny"])
    found += _pair(installation, "runs-facts", facts(), ["Deny"])
    found += _pair(installation, "runs-shape", shape(), ["Deny"])
    found += _pair(installation, "runs-namespace-labels", namespace_labels(), ["Deny"])
    found += _pair(installation, "runs-kept-out", kept_out(installation), ["Deny"])
    found += [*_as_created(installation), *_unnoted(installation)]
    if mode is PolicyMode.OFF:
        return found
    actions = ["Deny"] if mode is PolicyMode.DENY else ["Warn", "Audit"]
    return [*_pair(installation, "runs-gpu-pods", gpu_pods(installation, fleet), actions), *found]


def known_to(server: Version, objects: Sequence[Object]) -> list[Object]:
    """Without what an API server of that version refuses to take."""
    return [one for one in objects if server >= CHANGING or not one["kind"].startswith("MutatingAdmissionPolicy")]


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
    runs = rule(GROUP, VERSION, [RUN.plural], ["CREATE"])
    return _changing(installation, "runs-new-runs", runs, {"something-to-do": f"{bare} || {noted}"}, patches)


def _unnoted(installation: Installation) -> list[Object]:
    """Nobody notes who wrote which field of a pod that the scheduler makes: nearly half of it, and all are its own.

    Where there are none the API server makes none either for what a kubelet says of the pod. Server-side apply of
    somebody else begins them anew.
    """
    when = {"the-scheduler": ours(installation), "has-notes": "has(object.metadata.managedFields)"}
    pods = rule("", "v1", ["pods"], ["CREATE"])
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

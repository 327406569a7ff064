"""What the scheduler may, who pays, and whose runs cannot start."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from runs_core.cluster.kube.api import Object
from runs_core.errors import InvalidInput
from runs_core.schema.convert import from_object
from runs_core.serve.doctor.evidence import Evidence
from runs_core.serve.doctor.finding import Finding, some
from runs_core.settings import Unbudgeted

RBAC = "runs manifests rbac | kubectl apply --server-side -f -"
OVER = ("Succeeded", "Failed")
REFUSED = "StartRefused"
WRONG = {("Ready", "False"), ("FlavorMissing", "True")}
"""Conditions of Budgets, of the budgets plugin."""
ABSENT = "PluginMissing"
"""Core's reason where there is no such plugin: no mistake in the Budget."""


def rights_missing(evidence: Evidence) -> Iterator[Finding]:
    if evidence.denied:
        what = f"it may not {some(str(right) for right in evidence.denied)}: the scheduler stops there"
        about = f"service account {evidence.installation.namespace}/{evidence.installation.account}"
        yield Finding(check="RightsMissing", about=about, what=what, remedy=RBAC)


def without_budget(evidence: Evidence) -> Iterator[Finding]:
    if evidence.settings.unbudgeted is not Unbudgeted.DENY or not evidence.knows("budgets", "namespaces", "runs"):
        return
    owners = _owners(evidence)
    for namespace, runs in sorted(_waiting(evidence).items()):
        if not owners.get(namespace):
            what = f"{len(runs)} runs are held for ever: no Budget lists it, and unbudgeted is Deny"
            remedy = "kubectl edit budget NAME   # add the namespace to spec.namespaces.names"
            yield Finding(check="NoBudget", about=f"namespace {namespace}", what=what, remedy=remedy)


def owner_ambiguous(evidence: Evidence) -> Iterator[Finding]:
    owners = _owners(evidence)
    for namespace, runs in sorted(_waiting(evidence).items()):
        unsaid = [one["metadata"]["name"] for one in runs if not one["spec"].get("owner")]
        if unsaid and len(owners.get(namespace, ())) > 1:
            what = f"{some(owners[namespace])} claim it by Budgets, and {some(unsaid)} names no spec.owner: held"
            change = json.dumps({"spec": {"owner": min(owners[namespace])}})
            remedy = f"kubectl -n {namespace} patch run {min(unsaid)} --type merge -p '{change}'"
            yield Finding(check="OwnerAmbiguous", about=f"namespace {namespace}", what=what, remedy=remedy)


def budget_unread(evidence: Evidence) -> Iterator[Finding]:
    """It counts as it was last read, or for nothing, and the scheduler has no status for it."""
    for budget in evidence.of("budgets"):
        try:
            from_object(budget, evidence.sections)
        except InvalidInput as error:
            name = budget["metadata"]["name"]
            what = f"{error}: until then it counts as it was last read, or for nothing"
            yield Finding(check="BudgetUnread", about=f"Budget {name}", what=what, remedy=f"kubectl edit budget {name}")


def budget_not_ready(evidence: Evidence) -> Iterator[Finding]:
    """What the scheduler says of it, where that is a mistake in it."""
    for budget in evidence.of("budgets"):
        name = budget["metadata"]["name"]
        for one in (budget.get("status") or {}).get("conditions") or []:
            if (one["type"], one["status"]) in WRONG and one["reason"] != ABSENT:
                what = f"{one['reason']}: {one.get('message') or 'its status says no more'}"
                remedy = f"kubectl edit budget {name}"
                yield Finding(check="BudgetNotReady", about=f"Budget {name}", what=what, remedy=remedy)


def no_account(evidence: Evidence) -> Iterator[Finding]:
    """A pod that names no service account is the default one's, and is refused where that does not exist."""
    if not evidence.knows("accounts", "runs"):
        return
    here = {one["metadata"]["namespace"] for one in evidence.of("accounts")}
    for namespace, runs in sorted(_waiting(evidence).items()):
        if namespace not in here and any(_uses_default(one) for one in runs):
            what = "it has no service account default: the API server refuses every pod of its runs"
            remedy = f"kubectl -n {namespace} create serviceaccount default"
            yield Finding(check="NoServiceAccount", about=f"namespace {namespace}", what=what, remedy=remedy)


def start_refused(evidence: Evidence) -> Iterator[Finding]:
    for run in evidence.of("runs"):
        status = run.get("status") or {}
        if status.get("reason") == REFUSED:
            meta = run["metadata"]
            message = status.get("message") or "the cluster refuses its pods"
            remedy = f"runs -n {meta['namespace']} explain {meta['name']} --history"
            about = f"run {meta['namespace']}/{meta['name']}"
            yield Finding(check=REFUSED, about=about, what=message, remedy=remedy)


def _waiting(evidence: Evidence) -> Mapping[str, list[Object]]:
    """Runs that are not over, by namespace."""
    found: dict[str, list[Object]] = {}
    for run in evidence.of("runs"):
        if (run.get("status") or {}).get("phase") not in OVER:
            found.setdefault(run["metadata"]["namespace"], []).append(run)
    return found


def _owners(evidence: Evidence) -> Mapping[str, set[str]]:
    """By namespace."""
    found: dict[str, set[str]] = {}
    for budget in evidence.of("budgets"):
        meant = budget["spec"].get("namespaces") or {}
        labels = meant.get("matchLabels") or {}
        names = set(meant.get("names") or [])
        for one in evidence.of("namespaces"):
            has = one["metadata"].get("labels") or {}
            if labels and all(has.get(key) == value for key, value in labels.items()):
                names.add(one["metadata"]["name"])
        for name in names:
            found.setdefault(name, set()).add(budget["spec"]["owner"])
    return found


def _uses_default(run: Object) -> bool:
    template = run["spec"].get("template") or {}
    return bool(template) and not (template.get("spec") or {}).get("serviceAccountName")

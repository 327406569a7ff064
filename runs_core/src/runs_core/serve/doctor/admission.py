"""Webhooks and policies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from runs_core.cluster.kube.rights import CERTIFICATES, WEBHOOKS
from runs_core.serve.doctor.evidence import Evidence
from runs_core.serve.doctor.finding import Finding, some
from runs_core.serve.doctor.probe import Shown
from runs_core.serve.manifests.policies import PolicyMode, policies

SOON = timedelta(days=7)
KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
ASK = "runs manifests webhooks --webhook-url https://HOST:PORT | kubectl apply --server-side -f -"
RENEW = "cp NEW/tls.crt NEW/tls.key FOLDER/  # that of `runs serve --webhook-cert-dir FOLDER`, which reads them again"
VOUCH = "runs manifests webhooks --webhook-url https://HOST:PORT --ca-file FILE | kubectl apply --server-side -f -"
DENY = "runs manifests policies --policy-mode deny | kubectl apply --server-side -f -"
_WHY = {
    "Unreachable": "nothing answers there",
    "Untrusted": "its caBundle is not of whoever signed the certificate that is shown there",
    "Expired": "the certificate that is shown there has expired",
    "NoService": "there is no such Service",
    "NoEndpoints": "no ready pod stands behind it",
    "NoAuthority": "it has no caBundle, and nothing vouches for the certificate: "
    "a scheduler that makes its own writes it within a minute",
    "Forbidden": "it may not be looked at",
}


def webhooks_absent(evidence: Evidence) -> Iterator[Finding]:
    here = {one["kind"] for one in evidence.of("webhooks")}
    missing = [kind for kind in KINDS if kind not in here]
    if evidence.knows("webhooks") and missing:
        what = f"no {some(missing)} {WEBHOOKS}: mistakes that the CRDs cannot see are stored, flavors not filled in"
        yield Finding(check="WebhookAbsent", about="admission", what=what, remedy=ASK)


def webhooks_fail(evidence: Evidence) -> Iterator[Finding]:
    home = evidence.installation.namespace
    for name, shown in sorted(evidence.shown.items()):
        if shown.problem is None or shown.problem == "Forbidden":
            continue
        detail = f" ({shown.detail})" if shown.detail else ""
        what = f"{shown.where}: {_WHY[shown.problem]}{detail}; the API server goes on without it, or refuses all runs"
        remedies = {"Expired": _anew(shown, home), "NoAuthority": VOUCH}
        remedy = remedies.get(shown.problem, ASK)
        yield Finding(check=f"Webhook{shown.problem}", about=name, what=what, remedy=remedy)


def certificate_ends(evidence: Evidence) -> Iterator[Finding]:
    for name, shown in sorted(evidence.shown.items()):
        if shown.expires is not None and (left := shown.expires - evidence.now - evidence.skew) < SOON:
            hours = max(0, int(left.total_seconds() // 3600))
            what = f"the certificate that {shown.where} shows ends in {hours} hours, and should have been replaced"
            remedy = _anew(shown, evidence.installation.namespace)
            yield Finding(check="CertificateEnds", about=name, what=what, remedy=remedy)


def _anew(shown: Shown, home: str) -> str:
    """What makes another certificate."""
    return f"kubectl -n {home} delete secret {CERTIFICATES}" if shown.ours else RENEW


def policies_absent(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.knows("policies", "bindings"):
        return
    here = {one["metadata"]["name"] for one in evidence.of("policies")}
    bound = {one["spec"]["policyName"] for one in evidence.of("bindings")}
    wanted = _names(evidence)
    if missing := [name for name in wanted if name not in here or name not in bound]:
        what = f"{some(missing)} is not there or not bound: GPU pods pass runs by, and tenants may write its records"
        yield Finding(check="PolicyAbsent", about="admission", what=what, remedy=DENY)


def policies_let_pass(evidence: Evidence) -> Iterator[Finding]:
    wanted = _names(evidence)
    for one in evidence.of("bindings"):
        name, actions = one["spec"]["policyName"], one["spec"].get("validationActions") or []
        if name in wanted and "Deny" not in actions:
            what = f"it only says {some(actions)}: what it is against happens all the same"
            about = f"ValidatingAdmissionPolicyBinding {one['metadata']['name']}"
            yield Finding(check="PolicyNotEnforced", about=about, what=what, remedy=DENY)


def _names(evidence: Evidence) -> list[str]:
    found = policies(evidence.installation, evidence.settings.fleet, PolicyMode.DENY)
    return [one["metadata"]["name"] for one in found if one["kind"] == "ValidatingAdmissionPolicy"]

"""What keeps a person from their cluster, in one sentence with a way out."""

from __future__ import annotations

import re

from runs_core.cluster.kube.api import Api, Refused
from runs_core.cluster.kube.paths import OURS
from runs_core.errors import Unavailable
from runs_core.schema.names import GROUP, VERSION

LOOK = ("get", "list", "watch")
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404
INSTALL = "`runs manifests crds | kubectl apply --server-side -f -` installs them"
_RIGHTS = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)"(?: in API group "(?P<group>[^"]*)")?'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)


def unavailable(api: Api, refusal: Refused, context: str | None) -> Unavailable:
    """For a refusal that no other object or manifest would be spared. context: whose credentials were used."""
    if refusal.status == UNAUTHORIZED:
        return Unavailable(_credentials(api, context))
    if refusal.status == FORBIDDEN:
        return Unavailable(_forbidden(api, refusal, context))
    if refusal.status == NOT_FOUND:
        return Unavailable(_absent(api))
    if not refusal.reason and not _kubernetes(api):
        return Unavailable(f"{api.host} is no Kubernetes API server; name another --context")
    return Unavailable(f"{api.host} refuses: {refusal.message or refusal.status}; try again, or ask its administrator")


def about_rights(refusal: Refused) -> bool:
    """Whether it is RBAC that says no, and neither a webhook nor a quota."""
    return refusal.status == FORBIDDEN and _RIGHTS.search(refusal.message) is not None


def lacks(refusal: Refused) -> str:
    """`alice may not list pods in namespace a`."""
    found = _RIGHTS.search(refusal.message)
    if found is None:
        return refusal.message
    resource = f"{found['resource']}.{found['group']}" if found["group"] else found["resource"]
    where = f"in namespace {found['namespace']}" if found["namespace"] else "in the whole cluster"
    return f"{found['user']} may not {found['verb']} {resource} {where}"


def _credentials(api: Api, context: str | None) -> str:
    whose = f"of context {context}" if context else "of this pod"
    why = "they are wrong or have expired; log in again, or name another --context"
    return f"{api.host} does not accept the credentials {whose}: {why}"


def _forbidden(api: Api, refusal: Refused, context: str | None) -> str:
    if 'User "system:anonymous"' in refusal.message:
        return _credentials(api, context)
    return f"forbidden: {lacks(refusal)}; ask an administrator to bind the ClusterRole {_role(refusal)}"


def _role(refusal: Refused) -> str:
    """Who keeps runs in a namespace has pods made there, and is given that in this namespace only."""
    found = _RIGHTS.search(refusal.message)
    if found is None or found["namespace"]:
        return f"runs-user to you in namespace {found['namespace']}" if found else "runs-user to you"
    return f"{'runs-view' if found['verb'] in LOOK else 'runs-admin'} to you in the whole cluster"


def _absent(api: Api) -> str:
    """Why something below our group is not served."""
    try:
        versions = [one["version"] for one in api.call("GET", f"/apis/{GROUP}")[1].get("versions") or []]
    except Refused as refusal:
        if refusal.status == NOT_FOUND and refusal.reason != "NotFound" and not _kubernetes(api):
            return f"{api.host} is no Kubernetes API server; name another --context"
        return f"{api.host} does not know the kinds of {GROUP}: {INSTALL}"
    if VERSION not in versions:
        known = ", ".join(sorted(versions))
        return (
            f"{api.host} serves {GROUP} as {known}, and this release speaks {VERSION}: use the release of the cluster"
        )
    served = {one["name"] for one in api.call("GET", OURS)[1].get("resources") or []}
    return f"{api.host} serves only {', '.join(sorted(served)) or 'nothing'} of {GROUP}/{VERSION}: {INSTALL}"


def _kubernetes(api: Api) -> bool:
    try:
        return "gitVersion" in api.call("GET", "/version")[1]
    except (Refused, Unavailable):
        return False

"""Who may do what: the scheduler exactly what is declared, researchers their runs, administrators budgets as well.

No rule has a wildcard, and no person may write what is the scheduler's: leases, reservations,
resolutions, and any status.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runs_core.cluster.kube import rights
from runs_core.schema.convert import Object
from runs_core.schema.names import BUDGET, GROUP, LEASE, RESERVATION, RESOLUTION, RUN
from runs_core.serve.manifests.installation import Installation
from runs_core.values.permission import Permission

RBAC = "rbac.authorization.k8s.io"
_VERSION = f"{RBAC}/v1"
_LOOK = ("get", "list", "watch")
_WRITE = ("create", "update", "patch", "delete")
_ALL_RUNS = "deletecollection"

VIEWER = (
    Permission(api_group="", resource="namespaces", verbs=_LOOK),
    Permission(api_group="", resource="nodes", verbs=_LOOK),
    Permission(api_group="", resource="pods", verbs=_LOOK),
    Permission(api_group="", resource="persistentvolumeclaims", verbs=_LOOK),
    Permission(api_group="", resource="persistentvolumes", verbs=_LOOK),
    Permission(api_group="storage.k8s.io", resource="storageclasses", verbs=_LOOK),
    Permission(api_group="events.k8s.io", resource="events", verbs=_LOOK),
    Permission(api_group=GROUP, resource=BUDGET.plural, verbs=_LOOK),
    Permission(api_group=GROUP, resource=LEASE.plural, verbs=_LOOK),
    Permission(api_group=GROUP, resource=RESERVATION.plural, verbs=_LOOK),
    Permission(api_group=GROUP, resource=RESOLUTION.plural, verbs=_LOOK),
    Permission(api_group=GROUP, resource=RUN.plural, verbs=_LOOK),
)
"""To see what the scheduler sees: `queue`, `plan` and `top` are about the whole fleet. No log: that is the team's."""
USER = (
    *VIEWER,
    Permission(api_group="", resource="pods/log", verbs=("get",)),
    Permission(api_group=GROUP, resource=RUN.plural, verbs=_WRITE),
)
"""To be bound in a namespace: whoever submits a run there has pods made that act as any service account of it."""
ADMIN = (
    *USER,
    Permission(api_group=GROUP, resource=BUDGET.plural, verbs=_WRITE),
    Permission(api_group=GROUP, resource=RUN.plural, verbs=(_ALL_RUNS,)),
)
_PEOPLE = (("view", "view", VIEWER), ("user", "edit", USER), ("admin", "admin", ADMIN))


def rbac(installation: Installation, plugins: Sequence[Permission] = ()) -> list[Object]:
    """The namespace, the service account, its rights and those of people. plugins: what the enabled ones declare."""
    everywhere, home = f"{installation.account}-scheduler", f"{installation.account}-home"
    return [
        installation.object("v1", "Namespace", installation.namespace),
        installation.object("v1", "ServiceAccount", installation.account, home=True),
        {
            **installation.object(_VERSION, "ClusterRole", everywhere),
            "rules": rules([*rights.CLUSTER, *plugins]),
        },
        {
            **installation.object(_VERSION, "ClusterRoleBinding", everywhere),
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": everywhere},
            "subjects": [_subject(installation)],
        },
        {**installation.object(_VERSION, "Role", home, home=True), "rules": rules(rights.HOME)},
        {
            **installation.object(_VERSION, "RoleBinding", home, home=True),
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": home},
            "subjects": [_subject(installation)],
        },
        *(_for_people(installation, *row) for row in _PEOPLE),
    ]


def rules(permissions: Iterable[Permission]) -> list[Object]:
    """One for each resource, or named objects of it, sorted; what is declared twice is there once."""
    verbs: dict[tuple[str, str, tuple[str, ...]], set[str]] = {}
    for one in permissions:
        verbs.setdefault((one.api_group, one.resource, tuple(sorted(one.names))), set()).update(one.verbs)
    return [
        {
            "apiGroups": [group],
            "resources": [resource],
            "verbs": sorted(allowed),
            **({"resourceNames": list(names)} if names else {}),
        }
        for (group, resource, names), allowed in sorted(verbs.items())
    ]


def _subject(installation: Installation) -> Object:
    return {"kind": "ServiceAccount", "name": installation.account, "namespace": installation.namespace}


def _for_people(installation: Installation, name: str, joins: str, permissions: Sequence[Permission]) -> Object:
    """joins: Kubernetes' own role that gets the same rights, so that whoever has that one needs no binding of ours."""
    found = installation.object(_VERSION, "ClusterRole", f"runs-{name}")
    found["metadata"]["labels"] = {**installation.labels, f"{RBAC}/aggregate-to-{joins}": "true"}
    return {**found, "rules": rules(permissions)}

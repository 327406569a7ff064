"""What the scheduler itself must be allowed to do, and why; plugins declare theirs with `runs_permissions`.

Its role is made of this table and of nothing else. Who adds a request to this package adds its right here.
"""

from __future__ import annotations

from runs_core.schema.names import BUDGET, GROUP, LEASE, RESERVATION, RESOLUTION, RUN
from runs_core.values.permission import Permission

JOURNAL = "runs-journal"
UNREAD = "runs-journal-unread"
"""What was made of it that cannot be read."""
LEADER = "runs-scheduler"
CERTIFICATES = "runs-webhook-certificates"
AUTHORITY = "runs webhook authority"
"""How the names of those begin that sign certificates of our own."""
NONCE = "runs-nonce"
WEBHOOKS = "runs"
"""Both webhook configurations."""
_LOOK = ("get", "list", "watch")
_ADMISSION = "admissionregistration.k8s.io"

CLUSTER = (
    # what decisions are made of
    Permission(api_group="", resource="nodes", verbs=_LOOK),
    Permission(api_group="", resource="namespaces", verbs=_LOOK),
    Permission(api_group=GROUP, resource=BUDGET.plural, verbs=_LOOK),
    # budgets: what each has used; runs: what each is waiting for, our finalizer, the end of those that are long over
    Permission(api_group=GROUP, resource=f"{BUDGET.plural}/status", verbs=("update",)),
    Permission(api_group=GROUP, resource=RUN.plural, verbs=(*_LOOK, "patch", "delete")),
    Permission(api_group=GROUP, resource=f"{RUN.plural}/status", verbs=("update",)),
    # leases: opened by creation, closed by a patch, removed when they were kept long enough
    Permission(api_group=GROUP, resource=LEASE.plural, verbs=(*_LOOK, "create", "patch", "delete")),
    # reservations: made, then only their status; removed when they were kept long enough
    Permission(api_group=GROUP, resource=RESERVATION.plural, verbs=(*_LOOK, "create", "delete")),
    Permission(api_group=GROUP, resource=f"{RESERVATION.plural}/status", verbs=("patch",)),
    # resolutions: kept before anybody is told to go, then only their status; removed when they were kept long enough
    Permission(api_group=GROUP, resource=RESOLUTION.plural, verbs=(*_LOOK, "create", "delete")),
    Permission(api_group=GROUP, resource=f"{RESOLUTION.plural}/status", verbs=("patch",)),
    # pods: made from a template, or taken over with labels and a binding; ended
    Permission(api_group="", resource="pods", verbs=(*_LOOK, "create", "patch", "delete")),
    Permission(api_group="", resource="pods/binding", verbs=("create",)),
    # volumes: from which nodes they are reached; for which node one is to be made
    Permission(api_group="", resource="persistentvolumeclaims", verbs=("list", "watch", "patch")),
    Permission(api_group="", resource="persistentvolumes", verbs=("list", "watch")),
    Permission(api_group="storage.k8s.io", resource="storageclasses", verbs=("list", "watch")),
    # the headless Service of a gang
    Permission(api_group="", resource="services", verbs=("list", "create", "delete")),
    # what people are told
    Permission(api_group="events.k8s.io", resource="events", verbs=("create", "patch")),
    # the certificate authority in its own webhook configurations
    Permission(
        api_group=_ADMISSION, resource="mutatingwebhookconfigurations", verbs=("get", "patch"), names=(WEBHOOKS,)
    ),
    Permission(
        api_group=_ADMISSION, resource="validatingwebhookconfigurations", verbs=("get", "patch"), names=(WEBHOOKS,)
    ),
)
"""In every namespace."""

HOME = (
    # a creation has no name yet that it could be bound to; evidence too long for its resolution has that one's number
    Permission(api_group="", resource="configmaps", verbs=("create", "patch")),
    Permission(api_group="", resource="configmaps", verbs=("get", "update"), names=(JOURNAL,)),
    Permission(api_group="", resource="configmaps", verbs=("get", "delete"), names=(UNREAD,)),
    Permission(api_group="coordination.k8s.io", resource="leases", verbs=("create",)),
    Permission(api_group="coordination.k8s.io", resource="leases", verbs=("get", "update"), names=(LEADER,)),
    Permission(api_group="", resource="secrets", verbs=("create",)),
    Permission(api_group="", resource="secrets", verbs=("get", "update"), names=(CERTIFICATES,)),
    Permission(api_group="", resource="secrets", verbs=("get",), names=(NONCE,)),
)
"""In its own namespace only: the journal, who leads, long evidence, the draws' nonces, the webhooks' certificates."""

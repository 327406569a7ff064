"""All checks over one body of evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from runs_core.serve.doctor import admission, fleet, kinds, leader, tenants
from runs_core.serve.doctor.evidence import Evidence
from runs_core.serve.doctor.finding import Diagnosis, Finding

Check = Callable[[Evidence], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    kinds.server_too_old,
    kinds.clock_differs,
    kinds.kinds_missing,
    kinds.kinds_differ,
    leader.not_running,
    leader.holder_ahead,
    leader.two_holders,
    leader.journal_unread,
    tenants.rights_missing,
    admission.webhooks_absent,
    admission.webhooks_fail,
    admission.certificate_ends,
    admission.policies_absent,
    admission.policies_let_pass,
    fleet.no_gpus,
    fleet.flavor_missing,
    fleet.domain_missing,
    fleet.set_aside,
    fleet.no_device_plugin,
    fleet.foreign_pods,
    fleet.pods_of_no_run,
    tenants.budget_unread,
    tenants.budget_not_ready,
    tenants.without_budget,
    tenants.owner_ambiguous,
    tenants.no_account,
    tenants.start_refused,
)
"""What must be mended first comes first."""


def diagnose(evidence: Evidence) -> Diagnosis:
    """In the order of the checks. What could not be read is said, and not taken for absent."""
    return Diagnosis(
        items=tuple(finding for check in CHECKS for finding in check(evidence)),
        unread=dict(sorted(evidence.unread.items())),
        checks=len(CHECKS),
    )

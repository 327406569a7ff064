"""Whether a scheduler leads, and whether it is one only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from runs_core.cluster.kube.rights import JOURNAL, LEADER, UNREAD
from runs_core.cluster.kube.unread import kept_since
from runs_core.serve.doctor.evidence import Evidence
from runs_core.serve.doctor.finding import Finding
from runs_core.serve.doctor.kinds import MOST_SKEW_SECONDS
from runs_core.values.quantity import format_duration, format_time, parse_time

SETTLED = timedelta(minutes=1)
"""So long after a take-over the journal must have been taken over, too."""


def not_running(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.knows("leader"):
        return
    home = evidence.installation.namespace
    start = f"runs serve -n {home}"
    about = f"Lease {home}/{LEADER}"
    if not evidence.of("leader"):
        what = "no scheduler has ever led here: nothing starts, and nothing that ends is accounted for"
        yield Finding(check="NoScheduler", about=about, what=what, remedy=start)
        return
    spec = evidence.of("leader")[0].get("spec") or {}
    holder, renewed = spec.get("holderIdentity"), _time(spec.get("renewTime"))
    silent = _there(evidence) - renewed if renewed else None
    if not holder:
        yield Finding(
            check="NoScheduler", about=about, what="the last scheduler stopped, and none followed", remedy=start
        )
    elif silent is None or silent > timedelta(seconds=spec.get("leaseDurationSeconds") or 0):
        ago = f"for {silent.total_seconds():.0f} s" if silent else "ever"
        what = f"its holder {holder} has not renewed it {ago}: nothing starts until it, or another, does"
        yield Finding(check="SchedulerSilent", about=about, what=what, remedy=start)


def holder_ahead(evidence: Evidence) -> Iterator[Finding]:
    for lease in evidence.of("leader"):
        spec = lease.get("spec") or {}
        renewed = _time(spec.get("renewTime"))
        if renewed is None or not spec.get("holderIdentity"):
            continue
        ahead = (renewed - _there(evidence)).total_seconds()
        if ahead > MOST_SKEW_SECONDS:
            what = f"its clock is {ahead:.0f} s ahead of the API server's: times of leases and deadlines are off by it"
            about = f"scheduler {spec['holderIdentity']}"
            yield Finding(check="SchedulerClock", about=about, what=what, remedy="chronyc makestep")


def two_holders(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.of("leader") or not evidence.of("journal"):
        return
    spec = evidence.of("leader")[0].get("spec") or {}
    leads, wrote = spec.get("holderIdentity"), (evidence.of("journal")[0].get("data") or {}).get("holder")
    since = _time(spec.get("acquireTime"))
    if leads and wrote and leads != wrote and since is not None and _there(evidence) - since > SETTLED:
        what = (
            f"it was last taken over by {wrote}, and {leads} holds the Lease {LEADER}: "
            "two schedulers act here, or the one that leads cannot write"
        )
        home = evidence.installation.namespace
        remedy = f"kubectl -n {home} get lease/{LEADER} configmap/{JOURNAL} -o yaml"
        yield Finding(check="TwoSchedulers", about=f"ConfigMap {home}/{JOURNAL}", what=what, remedy=remedy)


def journal_unread(evidence: Evidence) -> Iterator[Finding]:
    home, kept = evidence.installation.namespace, format_duration(evidence.settings.retention.leases)
    for one in evidence.of("unread"):
        what = (
            "somebody made of the journal what cannot be read: this is what it was, to be looked at; it is kept for "
            f"{kept} from {format_time(kept_since(one))} on"
        )
        remedy = f"kubectl -n {home} delete configmap/{UNREAD}"
        yield Finding(check="JournalUnread", about=f"ConfigMap {home}/{UNREAD}", what=what, remedy=remedy)


def _there(evidence: Evidence) -> datetime:
    """The API server's time."""
    return evidence.now + evidence.skew


def _time(text: object) -> datetime | None:
    try:
        return parse_time(text) if isinstance(text, str) else None
    except ValueError:
        return None

"""Everything an administrator can set.

One frozen tree; `runs_core.schema.settings` reads it from YAML and RUNS_* variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

import attrs

from runs_core.values.fields import Fact, Rule, field, rules
from runs_core.values.meta import EXTENDED_RESOURCE, LABEL_KEY, LABEL_VALUE, Pairs
from runs_core.values.quantity import parse_duration

NEVER = "Never"
HOLDS_AFTER = timedelta(hours=1)
"""So long who is not paid for waits before quota is held for it, where patience is Never."""


class Unbudgeted(StrEnum):
    """Whether a run without an owner may run."""

    ALLOW = "Allow"
    DENY = "Deny"


@attrs.frozen(kw_only=True)
class FleetSettings:
    """How nodes say what they are."""

    flavor_labels: tuple[str, ...] = field(
        Fact(
            doc="Node labels that name the GPU flavor; the first one present counts.",
            pattern=LABEL_KEY,
            min_items=1,
            unique=True,
        ),
        default=("runs.dev/gpu-flavor", "nvidia.com/gpu.product"),
    )
    region_label: str = field(
        Fact(doc="Node label of the region.", pattern=LABEL_KEY), default="topology.kubernetes.io/region"
    )
    cluster_label: str = field(Fact(doc="Node label of the cluster.", pattern=LABEL_KEY), default="runs.dev/cluster")
    domain_label: str = field(
        Fact(doc="Node label of the fabric domain.", pattern=LABEL_KEY), default="runs.dev/fabric-domain"
    )
    resource: str = field(
        Fact(doc="Extended resource of a flavor without an entry in resources.", pattern=EXTENDED_RESOURCE),
        default="nvidia.com/gpu",
    )
    resources: Pairs = field(
        Fact(doc="Extended resource by flavor.", keys=LABEL_VALUE, pattern=EXTENDED_RESOURCE), default=()
    )
    tolerated: tuple[str, ...] = field(
        Fact(
            doc="Taint keys that every pod of a run tolerates, beside its flavor's own resource.",
            pattern=LABEL_KEY,
            unique=True,
        ),
        default=(),
    )

    @property
    def known(self) -> tuple[str, ...]:
        """Every extended resource that counts as GPUs."""
        return tuple(sorted({self.resource, *(resource for _, resource in self.resources)}))

    def resource_of(self, flavor: str) -> str:
        """The extended resource that this flavor's nodes offer."""
        return dict(self.resources).get(flavor, self.resource)


@rules(
    Rule(
        cel="duration(self.backoff) >= duration('1s')",
        message="want 1s or more: a start that the cluster refuses would be tried again and again without a pause",
        field="backoff",
        check=lambda starts: starts.backoff >= timedelta(seconds=1),
    ),
)
@attrs.frozen(kw_only=True)
class StartSettings:
    """Starts that do not come up."""

    tries: int = field(Fact(doc="Starts in a row that may time out before the run fails.", minimum=1), default=3)
    backoff: timedelta = field(
        Fact(doc="Pause after the first start that timed out; doubles."), default=timedelta(minutes=1)
    )


@rules(
    Rule(
        cel="duration(self.leases) >= duration('1h')",
        message="want 1h or more: while a closed lease is there, a start that arrives late cannot open it again",
        field="leases",
        check=lambda retention: retention.leases >= timedelta(hours=1),
    ),
)
@attrs.frozen(kw_only=True)
class RetentionSettings:
    """How long what is over stays readable."""

    runs: timedelta = field(Fact(doc="Finished runs."), default=timedelta(days=7))
    leases: timedelta = field(
        Fact(
            doc="Closed leases, what is over of reservations and resolutions, records of decisions, a journal that "
            "could not be read."
        ),
        default=timedelta(days=30),
    )
    archive: str | None = field(
        Fact(doc="Folder that these are appended to, as JSON lines, before they go; not the last two.", pattern=".+"),
        default=None,
    )


@attrs.frozen(kw_only=True)
class ReclaimSettings:
    """When GPUs may be taken back."""

    min_runtime: timedelta = field(
        Fact(doc="A run is left alone for so long after its start, where it does not say how long."),
        default=timedelta(minutes=30),
    )
    most_min_runtime: timedelta = field(Fact(doc="Cap on what a run may say."), default=timedelta(hours=4))


@attrs.frozen(kw_only=True)
class ResolverSettings:
    """Whom the lottery spares."""

    quantum: timedelta = field(
        Fact(doc="A run whose claim somebody pays for is in no lottery for so long after its start."),
        default=timedelta(hours=4),
    )


@attrs.frozen(kw_only=True)
class ReservationSettings:
    """Who is promised a later start."""

    max: int = field(
        Fact(doc="Runs of one flavor that places are kept for, the first in line; 0: nobody's.", minimum=0), default=100
    )
    history: int = field(
        Fact(
            doc="Ended runs of an owner and a size from which on their length counts as an estimate; 0: never.",
            minimum=0,
        ),
        default=0,
    )


def _is_patience(text: str) -> bool:
    try:
        return text == NEVER or parse_duration(text) >= timedelta()
    except ValueError:
        return False


@lru_cache
@cache  # asked for every run that waits
def _patience(text: str) -> timedelta | None:
    return None if text == NEVER else parse_duration(text)


@rules(
    Rule(
        cel="self.default == 'Never' || duration(self.default) >= duration('0s')",
        message="want a duration such as 1h, or Never",
        field="default",
        check=lambda patience: _is_patience(patience.default),
    ),
    Rule(
        cel="self.owners.all(one, self.owners[one] == 'Never' || duration(self.owners[one]) >= duration('0s'))",
        message="want a duration such as 1h, or Never, for each owner",
        field="owners",
        check=lambda patience: all(_is_patience(text) for _, text in patience.owners),
    ),
)
@attrs.frozen(kw_only=True)
class PatienceSettings:
    """How long a run that is paid for by right waits before lots are drawn for it."""

    default: str = field(Fact(doc="A duration, or Never."), default="1h")
    owners: Pairs = field(Fact(doc="Of the runs of these owners, where it is another."), default=())

    def of(self, owner: str | None) -> timedelta | None:
        """None: never."""
        text = self.default
        for name, theirs in self.owners:
            if name == owner:
                text = theirs
        return _patience(text)

    def holds_after(self, owner: str | None) -> timedelta:
        """So long a run that nobody pays for waits before quota is held for it."""
        found = self.of(owner)
        if found is None:
            found = _patience(self.default)
        return found if found is not None else HOLDS_AFTER


@attrs.frozen(kw_only=True)
class AccountSettings:
    """How often a Budget's status is written while what it pays for changes."""

    every: timedelta = field(
        Fact(doc="At most so often; while it pays, at least every minute."), default=timedelta(seconds=10)
    )


@rules(
    Rule(
        cel="duration(self.recheck) >= duration('1s')",
        message="want 1s or more: who is held would be asked again and again without a pause",
        field="recheck",
        check=lambda hooks: hooks.recheck >= timedelta(seconds=1),
    ),
    Rule(
        cel="duration(self.timeout) >= duration('10ms')",
        message="want 10ms or more: no plugin answers sooner for sure, and each answer would count as a failure",
        field="timeout",
        check=lambda hooks: hooks.timeout >= timedelta(milliseconds=10),
    ),
)
@attrs.frozen(kw_only=True)
class HookSettings:
    """How plugins are asked."""

    recheck: timedelta = field(
        Fact(doc="A hold of a plugin that names no time is asked again after this long."), default=timedelta(minutes=1)
    )
    timeout: timedelta = field(
        Fact(doc="A plugin's answer that takes longer counts as a failure."), default=timedelta(seconds=2)
    )


@rules(
    Rule(
        cel="duration(self.renewDeadline) < duration(self.leaseDuration)",
        message="want it shorter than leaseDuration: a leader must stop before another may begin",
        field="renewDeadline",
        check=lambda election: election.renew_deadline < election.lease_duration,
    ),
    Rule(
        cel="duration(self.retryPeriod) < duration(self.renewDeadline)",
        message="want it shorter than renewDeadline: one failed attempt must not depose a leader",
        field="retryPeriod",
        check=lambda election: election.retry_period < election.renew_deadline,
    ),
    Rule(
        cel="duration(self.retryPeriod) >= duration('100ms')",
        message="want 100ms or more: the API server is asked so often",
        field="retryPeriod",
        check=lambda election: election.retry_period >= timedelta(milliseconds=100),
    ),
    Rule(
        cel="duration(self.leaseDuration) <= duration('24h')",
        message="want 24h or less: so long nobody decides after a leader was killed",
        field="leaseDuration",
        check=lambda election: election.lease_duration <= timedelta(hours=24),
    ),
)
@attrs.frozen(kw_only=True)
class ElectionSettings:
    """Which of several scheduler processes decides."""

    lease_duration: timedelta = field(
        Fact(doc="A leader that has not been heard of for so long is replaced."), default=timedelta(seconds=15)
    )
    renew_deadline: timedelta = field(
        Fact(doc="A leader that could not renew for so long stops deciding."), default=timedelta(seconds=10)
    )
    retry_period: timedelta = field(
        Fact(doc="From one attempt to lead, or to go on leading, to the next."), default=timedelta(seconds=2)
    )


@rules(
    Rule(
        cel="duration(self.period) >= duration('1s')",
        message="want 1s or more: it is the time from one look to the next",
        field="period",
        check=lambda audit: audit.period >= timedelta(seconds=1),
    ),
    Rule(
        cel="duration(self.grace) >= duration('1s')",
        message="want 1s or more: what is only being written would be mended as a leftover",
        field="grace",
        check=lambda audit: audit.grace >= timedelta(seconds=1),
    ),
)
@attrs.frozen(kw_only=True)
class AuditSettings:
    """The search for what a crash or a late write left, and no decision would ever come back to."""

    period: timedelta = field(Fact(doc="From one look to the next."), default=timedelta(minutes=3))
    grace: timedelta = field(
        Fact(doc="Something must be found amiss for so long before it is mended."), default=timedelta(minutes=1)
    )


@attrs.frozen(kw_only=True)
class LocalSettings:
    """The simulated kubelet of the embedded cluster and of the trace simulator."""

    pod_start: timedelta = field(
        Fact(doc="From bound to running, for pods that say nothing else."), default=timedelta(seconds=2)
    )
    pod_stop: timedelta = field(
        Fact(doc="From SIGTERM to gone, for pods that say nothing else."), default=timedelta(seconds=1)
    )


@attrs.frozen(kw_only=True)
class Settings:
    """plugins: each enabled plugin's own settings, by plugin name, as the class that it declared.

    rank: the plugin that replaces admission time in the line; None: admission time.
    """

    fleet: FleetSettings = field(Fact(doc="How nodes say what they are."), factory=FleetSettings)
    unbudgeted: Unbudgeted = field(Fact(doc="Whether a run without an owner may run."), default=Unbudgeted.ALLOW)
    checkpoint_grace_cap: timedelta = field(
        Fact(doc="Most that a pod gets between SIGTERM and the kill."), default=timedelta(minutes=10)
    )
    starts: StartSettings = field(Fact(doc="Starts that do not come up."), factory=StartSettings)
    reclaim: ReclaimSettings = field(Fact(doc="When GPUs may be taken back."), factory=ReclaimSettings)
    resolver: ResolverSettings = field(Fact(doc="Whom the lottery spares."), factory=ResolverSettings)
    reservations: ReservationSettings = field(Fact(doc="Who is promised a later start."), factory=ReservationSettings)
    patience: PatienceSettings = field(
        Fact(doc="How long a run that is paid for by right waits before lots are drawn for it."),
        factory=PatienceSettings,
    )
    accounts: AccountSettings = field(Fact(doc="How often the status of a Budget is written."), factory=AccountSettings)
    retention: RetentionSettings = field(Fact(doc="How long what is over stays readable."), factory=RetentionSettings)
    hooks: HookSettings = field(Fact(doc="How plugins are asked."), factory=HookSettings)
    election: ElectionSettings = field(
        Fact(doc="Which of several scheduler processes decides."), factory=ElectionSettings
    )
    audit: AuditSettings = field(Fact(doc="The search for leftovers."), factory=AuditSettings)
    local: LocalSettings = field(Fact(doc="The simulated kubelet."), factory=LocalSettings)
    rank: str | None = field(Fact(doc="The plugin that orders the line, in place of admission time."), default=None)
    plugins: Mapping[str, Any] = attrs.field(factory=lambda: MappingProxyType({}))

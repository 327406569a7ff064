"""The Run: a gang of GPUs wanted, with its pod template, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import attrs

from runs_core.values.changed import made_of
from runs_core.values.classes import Split
from runs_core.values.fields import Fact, Rule, field, rules
from runs_core.values.meta import DNS_NAME, LABEL_KEY, LABEL_VALUE, Key, Meta, Pairs, key_within
from runs_core.values.template import PodTemplate

NAME = DNS_NAME
MOST_GPUS = 1_000_000
MOST_NAME = 63


class Spread(StrEnum):
    """Whether a run's groups may lie in different fabric domains."""

    ALLOWED = "Allowed"
    SINGLE_DOMAIN = "SingleDomain"


class OnPodFailure(StrEnum):
    """What a failed rank does to its gang."""

    FAIL = "Fail"
    RETRY = "Retry"
    IGNORE = "Ignore"


class OnLoss(StrEnum):
    """What follows when a run loses GPUs that it cannot go on without."""

    REQUEUE = "Requeue"
    FAIL = "Fail"


class OnUpstreamFailure(StrEnum):
    """What a failed upstream does to a run that waits for it."""

    WAIT = "Wait"
    FAIL = "Fail"


@rules(
    Rule(
        cel="self.gpus % self.gpusPerPod == 0",
        message="want a multiple of gpusPerPod",
        field="gpus",
        check=lambda r: r.gpus % r.gpus_per_pod == 0,
    ),
)
@attrs.frozen(kw_only=True)
class Resources:
    """What the gang holds at once."""

    flavor: str | None = field(
        Fact(
            doc="GPU flavor, as the nodes' flavor label names it; without it, the one flavor of the cluster.",
            pattern=LABEL_VALUE,
            max_length=63,
        ),
        default=None,
    )
    gpus: int = field(Fact(doc="GPUs of the whole gang.", minimum=1, maximum=MOST_GPUS))
    gpus_per_pod: int = field(
        Fact(doc="GPUs of each pod; a pod never spans nodes.", minimum=1, maximum=1024), default=1
    )


@attrs.frozen(kw_only=True)
class Topology:
    """Where the gang may lie."""

    group_gpus: int | None = field(
        Fact(
            doc="GPUs that must share one fabric domain; only the last group may be short.",
            minimum=1,
            maximum=MOST_GPUS,
        ),
        default=None,
    )
    spread: Spread = field(Fact(doc="Whether groups may lie in different domains."), default=Spread.ALLOWED)
    selector: Pairs = field(
        Fact(
            doc="Node labels wanted, such as region, cluster or domain.",
            keys=LABEL_KEY,
            pattern=LABEL_VALUE,
            max_length=63,
            max_items=32,
        ),
        default=(),
    )


@attrs.frozen(kw_only=True)
class Runtime:
    """How long, and how it is stopped."""

    expected_duration: timedelta | None = field(
        Fact(doc="A hint for forecasts; nothing is killed for exceeding it."), default=None
    )
    min_runtime: timedelta | None = field(
        Fact(
            doc="Nothing is taken back from it for so long after its start, and GPU-hours that pay for it must last so "
            "long; reclaim.minRuntime without it, capped."
        ),
        default=None,
    )
    checkpoint_grace: timedelta = field(
        Fact(doc="Least time between SIGTERM and the kill when pods are ended; a cluster setting caps it."),
        default=timedelta(),
    )


@attrs.frozen(kw_only=True)
class PodFailure:
    """policy Retry restarts the whole gang on the same slots, `limit` times, `backoff` after each failure."""

    policy: OnPodFailure = field(Fact(doc="What a failed rank does to its gang."), default=OnPodFailure.FAIL)
    limit: int = field(Fact(doc="Restarts allowed with Retry.", minimum=0, maximum=1000), default=3)
    backoff: timedelta = field(Fact(doc="Pause before each restart."), default=timedelta(seconds=10))


@attrs.frozen(kw_only=True)
class AfterFailure:
    """policy Wait: an upstream that failed has `grace` to be submitted anew before this run fails too."""

    policy: OnUpstreamFailure = field(
        Fact(doc="What a failed upstream does to this run."), default=OnUpstreamFailure.WAIT
    )
    grace: timedelta = field(
        Fact(doc="With Wait: how long a failed upstream is waited for."), default=timedelta(minutes=30)
    )


@rules(
    Rule(
        cel="!has(self.topology.groupGPUs) || self.topology.groupGPUs % self.resources.gpusPerPod == 0",
        message="want a multiple of resources.gpusPerPod",
        field="topology.groupGPUs",
        check=lambda s: s.topology.group_gpus is None or s.topology.group_gpus % s.resources.gpus_per_pod == 0,
    ),
    Rule(
        cel="!oldSelf.canceled || self.canceled",
        message="want true: a canceled run stays canceled; submit a new one",
        field="canceled",
        change=lambda old, new: new.canceled or not old.canceled,
    ),
)
@attrs.frozen(kw_only=True)
class RunSpec:
    """What the researcher wants. sections: a plugin's part of the spec, by the class that the plugin declared."""

    owner: str | None = field(
        Fact(doc="Who spends; needed where the namespace may spend for several owners.", pattern=r".+", max_length=253),
        default=None,
    )
    resources: Resources = field(Fact(doc="What the gang holds at once."))
    topology: Topology = field(Fact(doc="Where the gang may lie."), default=Topology())
    runtime: Runtime = field(Fact(doc="How long, and how it is stopped."), default=Runtime())
    after: tuple[str, ...] = field(
        Fact(
            doc="Runs of the same namespace that must succeed first.",
            pattern=DNS_NAME,
            max_length=63,
            max_items=100,
            unique=True,
        ),
        default=(),
    )
    after_failure: AfterFailure = field(Fact(doc="What a failed upstream does."), default=AfterFailure())
    on_pod_failure: PodFailure = field(Fact(doc="What a failed rank does."), default=PodFailure())
    on_preemption: OnLoss = field(Fact(doc="What follows when its GPUs are taken back."), default=OnLoss.REQUEUE)
    on_node_loss: OnLoss = field(Fact(doc="What the loss of a node does."), default=OnLoss.REQUEUE)
    start_timeout: timedelta = field(
        Fact(doc="A gang not all running by then is undone and tried again; starts.tries says how often."),
        default=timedelta(minutes=15),
    )
    canceled: bool = field(Fact(doc="True, for ever: ends the run and keeps its record."), default=False)
    suspend: bool = field(
        Fact(doc="True: gives the GPUs back and keeps the run; false again: a new place in line."), default=False
    )
    template: PodTemplate | None = field(
        Fact(doc="The pod to run, a PodTemplateSpec. nodeName, schedulerName and restartPolicy are the scheduler's."),
        default=None,
    )
    sections: Mapping[type, Any] = MappingProxyType({})


class Phase(StrEnum):
    """Where a run stands; derived from its conditions. begun: it has started; terminal: it stays so; waits: in line."""

    begun: bool
    terminal: bool
    waits: bool

    HELD = "Held"
    QUEUED = "Queued"
    RESERVED = "Reserved"
    STARTING = "Starting"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    def __init__(self, value: str) -> None:
        self.waits = value in ("Queued", "Reserved")
        self.begun = not self.waits and value != "Held"
        self.terminal = value in ("Succeeded", "Failed")


@attrs.frozen(kw_only=True)
class Condition:
    """One of Admitted, PodsReady, Finished, Held, as Kubernetes conditions are."""

    type: str = field(Fact(doc="Admitted, PodsReady, Finished, Held; of a Budget, Ready."))
    status: str = field(Fact(doc="True or False."))
    reason: str = field(Fact(doc="A single word."))
    message: str = field(Fact(doc="A sentence."), default="")
    last_transition_time: datetime = field(Fact(doc="When the status last changed."))


@attrs.frozen(kw_only=True)
class Ending:
    """An attempt that is being undone: no pod of it may start again, and its leases close when its pods are gone.

    then: the phase that follows once nothing is held: Failed, Succeeded, Queued (again) or Held.
    """

    reason: str = field(Fact(doc="Why its leases will close."))
    detail: str = field(Fact(doc="What exactly happened."), default="")
    then: Phase = field(Fact(doc="The phase that follows."))
    since: datetime = field(Fact(doc="When it was decided."))


@attrs.frozen(kw_only=True)
class Paying:
    """One payer's part of what a run holds."""

    budget: str = field(Fact(doc="The Budget."))
    envelope: str = field(Fact(doc="Its envelope."))
    gpus: int = field(Fact(doc="GPUs that it pays for.", minimum=1))


@attrs.frozen(kw_only=True)
class RunStatus:
    """Written by the scheduler only, when it changes. width, pending_gpus: GPUs. Times in UTC."""

    phase: Phase = field(Fact(doc="Where the run stands.", always=True), default=Phase.QUEUED)
    reason: str = field(
        Fact(doc="Why, in one word; Submitted: nobody has looked yet.", always=True), default="Submitted"
    )
    message: str = field(Fact(doc="Why, in a sentence, with what would help."), default="")
    conditions: tuple[Condition, ...] = field(
        Fact(doc="Admitted, PodsReady, Finished, Held.", unique_by="type"), default=()
    )
    observed_generation: int = field(Fact(doc="The generation of the spec that this answers."), default=0)
    admitted_at: datetime | None = field(Fact(doc="First moment not Held; its place in line."), default=None)
    queued_since: datetime | None = field(Fact(doc="Start of the present wait."), default=None)
    started_at: datetime | None = field(Fact(doc="Start of the present attempt."), default=None)
    finished_at: datetime | None = field(Fact(doc="When it succeeded or failed."), default=None)
    attempt: int = field(Fact(doc="Starts so far."), default=0)
    retries: int = field(Fact(doc="Restarts of the gang within this attempt."), default=0)
    ended_ranks: tuple[int, ...] = field(
        Fact(doc="Ranks of this try that have ended before others: they stay so though their pods go."), default=()
    )
    retried_at: datetime | None = field(Fact(doc="When the pods of this retry may start."), default=None)
    start_timeouts: int = field(Fact(doc="Starts in a row that did not come up in time."), default=0)
    not_before: datetime | None = field(Fact(doc="Back-off after a start that did not come up."), default=None)
    preemptions: int = field(Fact(doc="How often its GPUs were taken back."), default=0)
    width: int = field(Fact(doc="GPUs held.", always=True), default=0)
    pending_gpus: int = field(Fact(doc="GPUs wanted and not held."), default=0)
    funding: Split = field(
        Fact(doc="GPUs held by class; nobody counts them without a plugin that classifies."), default=Split()
    )
    payers: tuple[Paying, ...] = field(
        Fact(doc="Whose quota pays for how many of them now: nobody's for what is unfunded."), default=()
    )
    reservation: str | None = field(Fact(doc="The Reservation that promises it a start, if one stands."), default=None)
    ending: Ending | None = field(Fact(doc="Set while the attempt is being undone."), default=None)


_NOT_ADMITTED = "!has(oldSelf.status.admittedAt)"
_SHAPE_STAYS = "want no change once the run is admitted; submit a new run"


@rules(
    Rule(
        cel="size(self.metadata.name) <= 63",
        message="want at most 63 characters: the pods of a run carry its name as a label",
        field="metadata.name",
        check=lambda run: len(run.meta.name) <= MOST_NAME,
    ),
    Rule(
        cel="!has(self.spec.after) || !(self.metadata.name in self.spec.after)",
        message="want other runs only: a run cannot wait for itself",
        field="spec.after",
        check=lambda run: run.meta.name not in run.spec.after,
    ),
    Rule(
        cel="self.spec.resources == oldSelf.spec.resources",
        unless=_NOT_ADMITTED,
        message=_SHAPE_STAYS,
        field="spec.resources",
        change=lambda old, new: old.status.admitted_at is None or new.spec.resources == old.spec.resources,
    ),
    Rule(
        cel="self.spec.topology == oldSelf.spec.topology",
        unless=_NOT_ADMITTED,
        message=_SHAPE_STAYS,
        field="spec.topology",
        change=lambda old, new: old.status.admitted_at is None or new.spec.topology == old.spec.topology,
    ),
    Rule(
        cel="has(self.spec.template) == has(oldSelf.spec.template) && "
        "(!has(self.spec.template) || self.spec.template == oldSelf.spec.template)",
        unless=_NOT_ADMITTED,
        message=_SHAPE_STAYS,
        field="spec.template",
        change=lambda old, new: old.status.admitted_at is None or new.spec.template == old.spec.template,
    ),
)
@attrs.frozen(kw_only=True)
class Run:
    """One gang of GPUs."""

    meta: Meta
    spec: RunSpec
    status: RunStatus = RunStatus()
    key: Key = made_of("meta", by=key_within)

    @property
    def uid(self) -> str:
        return self.meta.uid

    @property
    def gpus(self) -> int:
        return self.spec.resources.gpus

    @property
    def pods(self) -> int:
        """Ranks of the gang, as its spec has it."""
        return self.spec.resources.gpus // self.spec.resources.gpus_per_pod

    @property
    def ranks(self) -> int:
        """Ranks of the present attempt: a plugin may have it start with more or fewer."""
        return self.status.width // self.spec.resources.gpus_per_pod

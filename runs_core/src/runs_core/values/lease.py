"""The GPULease: the immutable fact that these GPU slots served this run, for this payer, from then to then."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from functools import lru_cache

import attrs

from runs_core.values.changed import made_of
from runs_core.values.classes import Class, Split
from runs_core.values.fields import Fact, Rule, field, rules
from runs_core.values.meta import Key, Meta, key_within


class Role(StrEnum):
    """Whether the slots run a rank or wait to replace one."""

    ACTIVE = "Active"
    SPARE = "Spare"


class Opened(StrEnum):
    """Why a lease was minted."""

    START = "Start"
    REQUEUE = "Requeue"
    REPAID = "Repaid"


class Closed(StrEnum):
    """Why a lease was closed."""

    SUCCEEDED = "Succeeded"
    RUN_FAILED = "RunFailed"
    START_FAILED = "StartFailed"
    CANCELED = "Canceled"
    DELETED = "Deleted"
    SUSPENDED = "Suspended"
    NODE_LOST = "NodeLost"
    EVICTED = "Evicted"
    REPAID = "Repaid"
    UNFUNDED_RECLAIMED = "UnfundedReclaimed"
    PREEMPTED = "Preempted"
    SLICE_RECLAIMED = "SliceReclaimed"


@attrs.frozen(kw_only=True)
class RunRef:
    """The run that holds the slots; the uid tells it from a later one of the same name."""

    name: str = field(Fact(doc="The run, in the lease's namespace."))
    uid: str = field(Fact(doc="Its uid."))


@attrs.frozen(kw_only=True, cache_hash=True)  # looked up by it for every envelope of every question
class Payer:
    """Whose quota pays."""

    budget: str = field(Fact(doc="The Budget."))
    envelope: str = field(Fact(doc="Its envelope."))


@attrs.frozen(kw_only=True)
class NodeSlots:
    """The ledger's places on one node (not device indexes), ascending."""

    node: str = field(Fact(doc="The node."))
    ordinals: tuple[int, ...] = field(Fact(doc="Places on it, from 0."))

    @property
    def mask(self) -> int:
        """The same as a bit mask."""
        return mask_of(self.ordinals)


@lru_cache(maxsize=4096)
def mask_of(ordinals: tuple[int, ...]) -> int:
    """Remembered: nodes have few places, and so there are few such tuples."""
    mask = 0
    for ordinal in ordinals:
        mask |= 1 << ordinal
    return mask


@attrs.frozen(kw_only=True)
class LeaseSpec:
    """Never changes once made. start: UTC."""

    run_ref: RunRef = field(Fact(doc="The run that holds the slots."))
    owner: str | None = field(Fact(doc="The run's owner when it started."), default=None)
    group: int = field(Fact(doc="The placement group, from 0.", minimum=0))
    part: int = field(Fact(doc="Counts the leases of one group and role.", minimum=0), default=0)
    role: Role = field(Fact(doc="Active: runs a rank. Spare: waits to replace one.", always=True), default=Role.ACTIVE)
    slots: tuple[NodeSlots, ...] = field(Fact(doc="The places held, by node.", min_items=1))
    ranks: tuple[int, ...] = field(
        Fact(doc="The ranks that run there, ascending.", minimum=0, max_items=100_000, unique=True), default=()
    )
    attempt: int = field(Fact(doc="The run's attempt.", minimum=1))
    payer: Payer | None = field(Fact(doc="Whose quota pays; none: unfunded."), default=None)
    loan: bool = field(Fact(doc="Whether the payer lends it, beyond its family.", always=True), default=False)
    start: datetime = field(Fact(doc="Held from then on."))
    reason: Opened = field(Fact(doc="Why it was minted."))


@rules(
    Rule(
        cel="(has(self.closed) && self.closed) == has(self.end)",
        message="want it set where closed is true, and only there",
        field="end",
        check=lambda status: status.closed == (status.end is not None),
    ),
    Rule(
        cel="(has(self.closed) && self.closed) == has(self.closureReason)",
        message="want it set where closed is true, and only there",
        field="closureReason",
        check=lambda status: status.closed == (status.closure_reason is not None),
    ),
    Rule(
        cel="!has(oldSelf.meteredUntil) || !has(self.meteredUntil) || self.meteredUntil >= oldSelf.meteredUntil",
        message="want no earlier than before: a meter does not go back",
        field="meteredUntil",
        change=lambda old, new: not (old.metered_until and new.metered_until) or new.metered_until >= old.metered_until,
    ),
    Rule(
        cel="!oldSelf.closed || self == oldSelf",
        message="want no change: a closed lease stays as it is",
        change=lambda old, new: not old.closed or new == old,
    ),
)
@attrs.frozen(kw_only=True)
class LeaseStatus:
    """Stamped once, when the lease closes. end: UTC."""

    closed: bool = field(Fact(doc="True once the slots are free.", always=True), default=False)
    end: datetime | None = field(Fact(doc="Held until then."), default=None)
    closure_reason: Closed | None = field(Fact(doc="Why it closed."), default=None)
    closure_detail: str = field(Fact(doc="What exactly happened."), default="")
    gpu_seconds: Split | None = field(
        Fact(doc="GPU-seconds by class: in all once it is closed, until meteredUntil while it is open."), default=None
    )
    metered_as: Class | None = field(Fact(doc="The class that it is metered in from meteredUntil on."), default=None)
    metered_until: datetime | None = field(Fact(doc="When gpuSeconds was written down."), default=None)


def _run_of(lease: Lease) -> Key:
    """Worked out once for each value, as names' keys are."""
    return Key(lease.meta.namespace, lease.spec.run_ref.name)


def _gpus_of(lease: Lease) -> int:
    """Likewise: a wide gang's many slots are counted once."""
    return sum([len(slots.ordinals) for slots in lease.spec.slots])


@rules(
    Rule(
        cel="self.spec == oldSelf.spec",
        message="want no change: what a lease says was so; make a new one",
        field="spec",
        change=lambda old, new: new.spec == old.spec,
    ),
    Rule(
        cel="!has(self.status.end) || self.status.end >= self.spec.start",
        message="want no earlier than spec.start",
        field="status.end",
        check=lambda lease: lease.status.end is None or lease.status.end >= lease.spec.start,
    ),
)
@attrs.frozen(kw_only=True)
class Lease:
    """One placement group, or a part of it, in one role, with one payer."""

    meta: Meta
    spec: LeaseSpec
    status: LeaseStatus = LeaseStatus()
    run: Key = made_of("meta", "spec", by=_run_of)
    key: Key = made_of("meta", by=key_within)
    gpus: int = made_of("spec", by=_gpus_of)


def lease_name(spec: LeaseSpec) -> str:
    """The identity as a name, so that a second try at the same start meets the first: at most 253 characters.

    Runs of one name at different times differ by the last eight characters of their uid.
    """
    ref = spec.run_ref
    return f"{ref.name[:190]}-{ref.uid[-8:]}-{spec.attempt}-{spec.group}-{spec.role.lower()}-{spec.part}"

"""The Reservation: the promise of a later start, on what grounds it was made, and what became of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import attrs

from runs_core.values.fields import Fact, Rule, field, rules
from runs_core.values.lease import RunRef
from runs_core.values.meta import Key, Meta
from runs_core.values.resolution import Bound

MOST_PROMISES = 1_000
"""Promises that one reservation remembers, and that are held against the start: the first, and the last ones."""
MOST_CAUSES = 20
"""Of these, so many of which it says why: the first, and the last ones."""
MOST_BLOCKERS = 20
"""Runs that are named as being in the way."""
MOST_REMEDIES = 20
"""Changes that are named."""


class Basis(StrEnum):
    """What a promise rests on."""

    ENDS = "Ends"
    HISTORY = "History"
    PATIENCE = "Patience"
    WINDOW = "Window"


class ShortOf(StrEnum):
    """What the run lacks now."""

    CAPACITY = "capacity"
    TOPOLOGY = "topology"
    QUOTA = "quota"


class ReservationPhase(StrEnum):
    """How far it is. Released: the run has started. Canceled: it will not, by this reservation."""

    PENDING = "Pending"
    ACTIVATING = "Activating"
    RELEASED = "Released"
    CANCELED = "Canceled"

    @property
    def over(self) -> bool:
        return self.value in ("Released", "Canceled")


@attrs.frozen(kw_only=True)
class Promise:
    """One forecast, and once the run has started, how far off it was. Times in UTC."""

    at: datetime = field(Fact(doc="When it was made."))
    basis: Basis = field(
        Fact(
            doc="Ends: declared ends. History: how long such runs took. Patience: lots that are drawn for it. "
            "Window: an envelope that opens."
        )
    )
    earliest_start: datetime = field(Fact(doc="When the run was to start."))
    cause: str = field(Fact(doc="Why it took the place of the one before; said of the last 19."), default="")
    error_seconds: int | None = field(
        Fact(doc="Whole seconds that the run started later than that; negative: earlier."), default=None
    )


@attrs.frozen(kw_only=True)
class Remedy:
    """A change of its run that was tried. Times in UTC."""

    change: str = field(Fact(doc="In words."))
    starts_at: datetime = field(Fact(doc="When the run would have started, had it been made when that was found out."))


@attrs.frozen(kw_only=True)
class ReservationSpec:
    """Never changes once made."""

    run_ref: RunRef = field(Fact(doc="The run that is to start."))
    flavor: str = field(Fact(doc="GPU flavor."))
    gpus: int = field(Fact(doc="GPUs of the whole gang.", minimum=1))
    at: datetime = field(Fact(doc="When it was made."))


@rules(
    Rule(
        cel="!has(oldSelf.phase) || !(oldSelf.phase in ['Released', 'Canceled']) || self == oldSelf",
        message="want no change: it is over",
        change=lambda old, new: not old.phase.over or new == old,
    ),
)
@attrs.frozen(kw_only=True)
class ReservationStatus:
    """Written by the scheduler only. Times in UTC."""

    phase: ReservationPhase = field(Fact(doc="How far it is.", always=True), default=ReservationPhase.PENDING)
    reason: str = field(Fact(doc="Why, as a word.", always=True), default="Reserved")
    message: str = field(Fact(doc="Why, for a person."), default="")
    basis: Basis | None = field(Fact(doc="What the promise rests on."), default=None)
    earliest_start: datetime | None = field(Fact(doc="When the run starts, if that comes true."), default=None)
    latest: datetime | None = field(Fact(doc="The same where nine of ten such runs have ended by then."), default=None)
    deficit_gpus: int = field(
        Fact(doc="GPUs that were missing, or that nobody paid for.", minimum=0, always=True), default=0
    )
    short_of: ShortOf | None = field(Fact(doc="What was missing."), default=None)
    blocked_by: tuple[str, ...] = field(
        Fact(doc="Runs that hold its places, namespace/name, the first to end first.", max_items=MOST_BLOCKERS),
        default=(),
    )
    places: tuple[Bound, ...] = field(
        Fact(doc="The places that are kept for it from earliestStart on.", max_items=100_000), default=()
    )
    places_since: datetime | None = field(Fact(doc="Since when it keeps these."), default=None)
    promises: tuple[Promise, ...] = field(
        Fact(doc="Every promise made, the first one first.", max_items=MOST_PROMISES), default=()
    )
    remedies: tuple[Remedy, ...] = field(
        Fact(doc="What would have started it earlier when the last promise was made.", max_items=MOST_REMEDIES),
        default=(),
    )
    end: datetime | None = field(Fact(doc="When it was over."), default=None)


@rules(
    Rule(
        cel="self.spec == oldSelf.spec",
        message="want no change: a new promise is a new reservation",
        field="spec",
        change=lambda old, new: new.spec == old.spec,
    ),
)
@attrs.frozen(kw_only=True)
class Reservation:
    """In its run's namespace."""

    meta: Meta
    spec: ReservationSpec
    status: ReservationStatus = ReservationStatus()

    @property
    def key(self) -> Key:
        return self.meta.key

    @property
    def run(self) -> Key:
        return Key(self.meta.namespace, self.spec.run_ref.name)


def reservation_name(run: str, at: datetime) -> str:
    """One name for one moment, so that a second try meets the first: at most 253 characters."""
    return f"{run[:190]}-{int(at.timestamp() * 1000):x}"

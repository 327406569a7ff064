"""What budgets adds to manifests: envelopes and family in a Budget, whether to start unfunded in a Run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

import attrs

from runs_core import BudgetSpec, Fact, Pairs, Rule, Split, field, rules, section

NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
LABEL_KEY = r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
LABEL_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
WHO = r"[^*]+\*?|\*"
"""An owner, the beginning of some owners' names before a *, or everybody."""

MOST_GPUS = 10_000_000
MOST_HOURS = 10_000_000_000


class Sharing(StrEnum):
    """Who but the owner may use what an envelope has left."""

    FAMILY = "Family"
    NONE = "None"


@rules(
    Rule(
        cel="!has(self.start) || !has(self.end) || self.start < self.end",
        message="want an end later than start",
        field="end",
        check=lambda window: window.start is None or window.end is None or window.start < window.end,
    ),
)
@attrs.frozen(kw_only=True)
class Window:
    """UTC, half open; a side that is missing is unbounded."""

    start: datetime | None = field(Fact(doc="Open from then on."), default=None)
    end: datetime | None = field(Fact(doc="Closed from then on."), default=None)


@attrs.frozen(kw_only=True)
class Lending:
    """To whom beyond the family, and how much at most."""

    to: tuple[str, ...] = field(
        Fact(
            doc="Owners it lends to: exact names, beginnings of names before a *, or * for everybody.",
            pattern=WHO,
            max_length=253,
            max_items=1000,
            unique=True,
        ),
        default=(),
    )
    max_gpus: int | None = field(Fact(doc="GPUs lent at once, at most.", minimum=1, maximum=MOST_GPUS), default=None)
    max_gpu_hours: int | None = field(
        Fact(doc="GPU-hours lent over the window, at most.", minimum=1, maximum=MOST_HOURS), default=None
    )

    def reaches(self, owner: str) -> bool:
        """Whether it lends to that owner."""
        return any(owner.startswith(who[:-1]) if who.endswith("*") else owner == who for who in self.to)


@attrs.frozen(kw_only=True)
class Envelope:
    """What one owner may hold at once, of one flavor."""

    name: str = field(Fact(doc="Its name within the Budget.", pattern=NAME, max_length=63))
    flavor: str = field(Fact(doc="The GPU flavor that it pays for.", pattern=LABEL_VALUE, max_length=63))
    selector: Pairs = field(
        Fact(
            doc="It pays only for nodes that have all of these labels.",
            keys=LABEL_KEY,
            pattern=LABEL_VALUE,
            max_length=63,
            max_items=32,
        ),
        default=(),
    )
    gpus: int = field(Fact(doc="GPUs that it pays for at once.", minimum=1, maximum=MOST_GPUS))
    window: Window = field(Fact(doc="When it pays; always, without one."), default=Window())
    gpu_hours: int | None = field(
        Fact(doc="GPU-hours that it pays for over its window, at most.", minimum=1, maximum=MOST_HOURS), default=None
    )
    sharing: Sharing = field(
        Fact(doc="Family: the owner's children, siblings and cousins may use what is left."), default=Sharing.FAMILY
    )
    lending: Lending | None = field(Fact(doc="Loans beyond the family; absent: none."), default=None)


@attrs.frozen(kw_only=True)
class AggregateCap:
    """One bound on several envelopes together."""

    name: str = field(Fact(doc="Its name within the Budget.", pattern=NAME, max_length=63))
    flavor: str = field(Fact(doc="The flavor of its envelopes.", pattern=LABEL_VALUE, max_length=63))
    envelopes: tuple[str, ...] = field(
        Fact(
            doc="Names of envelopes of this Budget.",
            pattern=NAME,
            max_length=63,
            min_items=1,
            max_items=100,
            unique=True,
        )
    )
    gpus: int = field(Fact(doc="GPUs that they pay for together at once.", minimum=1, maximum=MOST_GPUS))


def _known(quota: Quota) -> bool:
    """Whether each cap names envelopes that are there, of its own flavor."""
    flavors = {envelope.name: envelope.flavor for envelope in quota.envelopes}
    return all(flavors.get(name) == cap.flavor for cap in quota.aggregate_caps for name in cap.envelopes)


@rules(
    Rule(
        cel="!has(self.aggregateCaps) || (has(self.envelopes) && self.aggregateCaps.all(c, self.envelopes"
        ".filter(e, e.flavor == c.flavor && e.name in c.envelopes).size() == c.envelopes.size()))",
        message="want envelopes of this Budget, of the cap's own flavor",
        field="aggregateCaps",
        check=_known,
    ),
)
@attrs.frozen(kw_only=True)
class Quota:
    """The budgets plugin's part of Budget.spec."""

    parents: tuple[str, ...] = field(
        Fact(
            doc="Owners whose child this owner is; they may share with it.",
            pattern=r".+",
            max_length=253,
            max_items=32,
            unique=True,
        ),
        default=(),
    )
    envelopes: tuple[Envelope, ...] = field(
        Fact(doc="What the owner may hold, by name.", max_items=100, unique_by="name"), default=()
    )
    aggregate_caps: tuple[AggregateCap, ...] = field(
        Fact(doc="Bounds on several envelopes together.", max_items=32, unique_by="name"), default=()
    )

    def caps_on(self, envelope: str) -> Iterator[AggregateCap]:
        """The caps that hold this envelope, in order of name."""
        yield from sorted((cap for cap in self.aggregate_caps if envelope in cap.envelopes), key=lambda cap: cap.name)


@attrs.frozen(kw_only=True)
class Terms:
    """spec.funding of a Run, as far as budgets reads it."""

    allow_unfunded: bool = field(
        Fact(doc="Whether it may start on idle GPUs that nobody pays for; false: it waits for quota."), default=True
    )


NOTHING = Quota()


def _others(spec: BudgetSpec) -> bool:
    """Whether nobody is its own parent."""
    quota = section(spec.sections, Quota)
    return quota is None or spec.owner not in quota.parents


NOT_ITSELF = Rule(
    cel="!has(self.parents) || !(self.owner in self.parents)",
    message="want owners other than the Budget's own: nobody is its own parent",
    field="parents",
    check=_others,
)
"""About a Budget's whole spec: `owner` is core's."""


@attrs.frozen(kw_only=True)
class Lent:
    """What one borrower has of an envelope."""

    owner: str = field(Fact(doc="The borrower."))
    gpus: int = field(Fact(doc="GPUs lent now.", minimum=0))
    gpu_seconds: int = field(Fact(doc="GPU-seconds lent so far.", minimum=0))


@attrs.frozen(kw_only=True)
class Used:
    """One envelope's part of the status."""

    name: str = field(Fact(doc="The envelope."))
    gpus: Split = field(Fact(doc="GPUs held on it now, by class."))
    headroom: int = field(Fact(doc="GPUs that its owner could still be given.", minimum=0))
    gpu_seconds: Split = field(Fact(doc="GPU-seconds held on it so far, by class."))
    counted_from: datetime | None = field(
        Fact(doc="When the window began that its hours are counted for."), default=None
    )
    window_gpu_seconds: int = field(Fact(doc="GPU-seconds that it has paid for since then.", minimum=0), default=0)
    window_lent_gpu_seconds: int = field(Fact(doc="Of these, lent.", minimum=0), default=0)
    lent: tuple[Lent, ...] = field(Fact(doc="To whom it lends, or has lent.", unique_by="owner"), default=())


@attrs.frozen(kw_only=True)
class Metered:
    """The budgets plugin's part of Budget.status: the checkpoint that its meter goes on from after a restart."""

    envelopes: tuple[Used, ...] = field(Fact(doc="By envelope.", unique_by="name"), default=())
    metered_until: datetime | None = field(Fact(doc="Everything until then is counted here."), default=None)

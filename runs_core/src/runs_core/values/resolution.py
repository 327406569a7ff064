"""The Resolution: the audit of one taking-back, from which anybody can work out again who was cut, and why.

What decisions go on from stands in its spec; what they came from, in its evidence, which is one text.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import attrs

from runs_core.values.classes import Class
from runs_core.values.fields import Fact, Rule, field, rules
from runs_core.values.lease import NodeSlots
from runs_core.values.meta import Key, Meta, Pairs

Place = tuple[str, str, int]
"""Namespace, name and group of a unit, -1 for none: the order of units."""
HASH = r"[0-9a-f]{64}"
HASH_CHARACTERS = 64
MOST_CUTS = 10_000
MOST_INLINE = 512 * 1024
"""Characters of evidence that stand in the object itself; a longer one lies in ConfigMaps beside it."""


class Trigger(StrEnum):
    """What asked for it."""

    RECLAIM = "Reclaim"
    MANUAL = "Manual"


class ResolutionPhase(StrEnum):
    """How far it is. Released: the beneficiary has what was taken. Canceled: it will not take it."""

    ACTIVATING = "Activating"
    RELEASED = "Released"
    CANCELED = "Canceled"


# -- evidence ---------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class UnitRef:
    """What stops together: a whole run, or one group of it."""

    namespace: str = field(Fact(doc="The run's namespace."))
    name: str = field(Fact(doc="The run."))
    group: int | None = field(Fact(doc="One group of it; none: the whole run.", minimum=0), default=None)

    @property
    def place(self) -> Place:
        return (self.namespace, self.name, -1 if self.group is None else self.group)


@attrs.frozen(kw_only=True)
class Left:
    """What a node has beside GPUs, or what a unit gives it back."""

    cpu_milli: int = field(Fact(doc="Thousandths of a core."), default=0)
    memory_bytes: int = field(Fact(doc="Bytes."), default=0)
    ephemeral_bytes: int = field(Fact(doc="Bytes."), default=0)
    pods: int = field(Fact(doc="Pods."), default=0)


@attrs.frozen(kw_only=True)
class OnNode:
    """What a unit's pods use of one node beside its GPUs."""

    node: str = field(Fact(doc="The node."))
    used: Left = field(Fact(doc="Free once it is cut."))


@attrs.frozen(kw_only=True)
class ScopeNode:
    """A node on which the beneficiary may lie. foreign: GPUs of the free places that pods not ours use."""

    name: str = field(Fact(doc="The node."))
    domain: str = field(Fact(doc="Its domain: region/cluster/name."))
    free: tuple[int, ...] = field(Fact(doc="Places without a lease, from 0.", minimum=0), default=())
    held: tuple[int, ...] = field(Fact(doc="Places with a lease, a candidate's or not.", minimum=0), default=())
    foreign: int = field(Fact(doc="GPUs of pods that are not ours.", minimum=0), default=0)
    left: Left = field(Fact(doc="Free beside GPUs."))

    @property
    def gpus_free(self) -> int:
        return max(0, len(self.free) - self.foreign)


@attrs.frozen(kw_only=True)
class Candidate:
    """A unit that may be cut. gpus: those of its places that lie in the scope; the others are no help.

    slots: without places that somebody else holds as well, or that a unit of an earlier pool has.
    """

    namespace: str = field(Fact(doc="The run's namespace."))
    name: str = field(Fact(doc="The run."))
    uid: str = field(Fact(doc="Its uid."))
    group: int | None = field(Fact(doc="One group of it; none: the whole run.", minimum=0), default=None)
    owner: str | None = field(Fact(doc="The run's owner."), default=None)
    cls: Class | None = field(Fact(doc="Of its claim, with the beneficiary's made; none: not asked."), default=None)
    gpus: int = field(Fact(doc="Its GPUs in the scope.", minimum=1))
    slots: tuple[NodeSlots, ...] = field(Fact(doc="The places that are free once it is cut, by node."), default=())
    uses: tuple[OnNode, ...] = field(Fact(doc="What its pods use beside GPUs, by node."), default=())

    @property
    def run(self) -> Key:
        return Key(self.namespace, self.name)

    @property
    def place(self) -> Place:
        return (self.namespace, self.name, -1 if self.group is None else self.group)

    @property
    def ref(self) -> UnitRef:
        return UnitRef(namespace=self.namespace, name=self.name, group=self.group)

    @property
    def lot(self) -> str:
        """The owner that it is drawn under."""
        return self.owner or f"namespace:{self.namespace}"

    @property
    def gpus_held(self) -> int:
        """All that are free once it is cut, in the scope or not."""
        return sum(len(slots.ordinals) for slots in self.slots)


@attrs.frozen(kw_only=True)
class Pool:
    """Units that are taken alike, after those of the pools before. Drawn, or taken in this order."""

    stage: str = field(Fact(doc="The stage of reclaiming."))
    drawn: bool = field(Fact(doc="Drawn by lot; else in order.", always=True))
    candidates: tuple[Candidate, ...] = field(Fact(doc="The units."))


@attrs.frozen(kw_only=True)
class Drawn:
    """One unit taken. used: blocks of the stream so far, this draw's included."""

    pool: int = field(Fact(doc="The pool, from 0.", minimum=0))
    unit: UnitRef = field(Fact(doc="The unit taken."))
    owner: str | None = field(Fact(doc="The owner drawn; none: the pool is taken in order."), default=None)
    used: int = field(Fact(doc="Blocks used so far.", minimum=0))


@attrs.frozen(kw_only=True)
class Evidence:
    """All that the cuts follow from, beside the spec, and how."""

    nodes: tuple[ScopeNode, ...] = field(Fact(doc="The scope, by name."))
    pools: tuple[Pool, ...] = field(Fact(doc="Candidates by stage, in order."))
    draws: tuple[Drawn, ...] = field(Fact(doc="What was taken, in order."))
    given_back: tuple[UnitRef, ...] = field(Fact(doc="What proved unnecessary, in order."), default=())


@attrs.frozen(kw_only=True)
class Packed:
    """An evidence as text: JSON, compressed by zlib, in base64. digest: SHA-256 of that text.

    data: the text; empty where it lies in `parts` ConfigMaps of a namespace: the resolution's name, the first eight
    characters of the digest, and a number from 0, with dashes in between.
    """

    digest: str = field(Fact(doc="SHA-256 of the text, as hex.", pattern=HASH, max_length=HASH_CHARACTERS))
    data: str = field(Fact(doc="The text: base64 of zlib of JSON.", max_length=MOST_INLINE), default="")
    parts: int = field(Fact(doc="ConfigMaps that hold it, where it is too long.", minimum=0, maximum=999), default=0)
    namespace: str = field(Fact(doc="Where those are.", max_length=63), default="")


# -- the object -------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Beneficiary:
    """Who gets what is taken."""

    namespace: str = field(Fact(doc="The run's namespace."))
    name: str = field(Fact(doc="The run."))
    uid: str = field(Fact(doc="Its uid.", max_length=253))
    attempt: int = field(Fact(doc="The attempt that it starts with it.", minimum=1))
    owner: str | None = field(Fact(doc="Its owner."), default=None)

    @property
    def run(self) -> Key:
        return Key(self.namespace, self.name)


@attrs.frozen(kw_only=True)
class Asker:
    """Who asked for it, where nobody gets what is taken."""

    uid: str = field(Fact(doc="Of the request.", max_length=253))


@attrs.frozen(kw_only=True)
class Wanted:
    """What must fit."""

    flavor: str = field(Fact(doc="GPU flavor."))
    gpus: int = field(Fact(doc="GPUs of the whole gang.", minimum=1))
    gpus_per_pod: int = field(Fact(doc="GPUs of each pod.", minimum=1), default=1)
    group_gpus: int | None = field(Fact(doc="GPUs that share one fabric domain.", minimum=1), default=None)
    single_domain: bool = field(Fact(doc="Whether all of it lies in one domain."), default=False)
    each: Left = field(Fact(doc="What each pod needs beside GPUs."), factory=Left)


@attrs.frozen(kw_only=True)
class Seed:
    """What the draw was made from, beside beneficiary, attempt and number."""

    ledger_head: str = field(Fact(doc="The ledger's head, as hex.", pattern=HASH, max_length=HASH_CHARACTERS))
    nonce: str = field(Fact(doc="Made before anybody knew the head.", pattern=HASH, max_length=HASH_CHARACTERS))
    commitment: str = field(
        Fact(doc="What bound the nonce before: its SHA-256.", pattern=HASH, max_length=HASH_CHARACTERS)
    )


@attrs.frozen(kw_only=True)
class Cut:
    """One unit that has to go."""

    namespace: str = field(Fact(doc="The run's namespace."))
    name: str = field(Fact(doc="The run."))
    uid: str = field(Fact(doc="Its uid."))
    group: int | None = field(Fact(doc="One group of it; none: the whole run.", minimum=0), default=None)
    gpus: int = field(Fact(doc="GPUs that it loses.", minimum=1))
    stage: str = field(Fact(doc="The stage of reclaiming."))

    @property
    def run(self) -> Key:
        return Key(self.namespace, self.name)


@attrs.frozen(kw_only=True)
class Bound:
    """Where one group of the beneficiary starts, on one node."""

    group: int = field(Fact(doc="The group, from 0.", minimum=0))
    domain: str = field(Fact(doc="Its domain: region/cluster/name."))
    node: str = field(Fact(doc="The node.", max_length=253))
    ordinals: tuple[int, ...] = field(Fact(doc="Its places there, from 0.", minimum=0, min_items=1, max_items=1024))


@attrs.frozen(kw_only=True)
class Paid:
    """One payer's part of the beneficiary."""

    budget: str = field(Fact(doc="The Budget."))
    envelope: str = field(Fact(doc="Its envelope."))
    tier: int = field(Fact(doc="How near its owner is: 0 own, 4 a stranger.", minimum=0, maximum=4))
    gpus: int = field(Fact(doc="GPUs that it pays for.", minimum=1))
    selector: Pairs = field(Fact(doc="Labels of the nodes that it pays for."), default=())


@rules(
    Rule(
        cel="self.trigger != 'Reclaim' || has(self.beneficiary)",
        message="want one: a run asked for it",
        field="beneficiary",
        check=lambda spec: spec.trigger is not Trigger.RECLAIM or spec.beneficiary is not None,
    ),
    Rule(
        cel="self.trigger != 'Manual' || (has(self.request) && !has(self.beneficiary))",
        message="want one, and no beneficiary: an administrator asked for it",
        field="request",
        check=lambda spec: (
            spec.trigger is not Trigger.MANUAL or (spec.request is not None and spec.beneficiary is None)
        ),
    ),
)
@attrs.frozen(kw_only=True)
class ResolutionSpec:
    """Never changes once made. at: UTC. digest: of everything here but the evidence's text."""

    trigger: Trigger = field(Fact(doc="What asked for it."))
    number: int = field(Fact(doc="Counts the resolutions of this installation, from 1.", minimum=1))
    at: datetime = field(Fact(doc="When it was decided."))
    beneficiary: Beneficiary | None = field(Fact(doc="Who gets it."), default=None)
    request: Asker | None = field(Fact(doc="Who asked for it, where nobody gets it."), default=None)
    need: Wanted = field(Fact(doc="What must fit."))
    scope: tuple[str, ...] = field(Fact(doc="The domains: region/cluster/name.", min_items=1, max_items=10_000))
    deficit_gpus: int = field(Fact(doc="GPUs that the scope's free ones fall short by.", minimum=0, always=True))
    seed: Seed = field(Fact(doc="What the draw was made from."))
    next_commitment: str = field(
        Fact(doc="SHA-256 of the next resolution's nonce.", pattern=HASH, max_length=HASH_CHARACTERS)
    )
    cuts: tuple[Cut, ...] = field(Fact(doc="What has to go, in the order taken.", min_items=1, max_items=MOST_CUTS))
    cut_gpus: int = field(Fact(doc="GPUs that they lose in all.", minimum=1))
    bound: tuple[Bound, ...] = field(
        Fact(doc="Where the beneficiary starts, by group and node.", max_items=100_000), default=()
    )
    payers: tuple[Paid, ...] = field(Fact(doc="Who pays for it; none: nobody was asked."), default=())
    evidence: Packed = field(Fact(doc="Nodes, candidates, draws and give-backs."))
    digest: str = field(
        Fact(
            doc="SHA-256 of this spec as JSON with sorted keys, without itself and where the evidence is.",
            pattern=HASH,
            max_length=HASH_CHARACTERS,
        )
    )


@rules(
    Rule(
        cel="!has(oldSelf.phase) || oldSelf.phase == 'Activating' || self == oldSelf",
        message="want no change: it is over",
        change=lambda old, new: old.phase is ResolutionPhase.ACTIVATING or new == old,
    ),
)
@attrs.frozen(kw_only=True)
class ResolutionStatus:
    """Written by the scheduler only. end: when it was released or canceled, UTC."""

    phase: ResolutionPhase = field(Fact(doc="How far it is.", always=True), default=ResolutionPhase.ACTIVATING)
    reason: str = field(Fact(doc="Why, as a word.", always=True), default="Decided")
    message: str = field(Fact(doc="Why, for a person."), default="")
    end: datetime | None = field(Fact(doc="When it was over."), default=None)


@rules(
    Rule(
        cel="self.spec == oldSelf.spec",
        message="want no change: what a resolution says was so",
        field="spec",
        change=lambda old, new: new.spec == old.spec,
    ),
)
@attrs.frozen(kw_only=True)
class Resolution:
    """Cluster-scoped: it may cut in any namespace."""

    meta: Meta
    spec: ResolutionSpec
    status: ResolutionStatus = ResolutionStatus()

    @property
    def name(self) -> str:
        return self.meta.name


def resolution_name(number: int) -> str:
    """One name for one number, so that a second try meets the first."""
    return f"resolution-{number}"

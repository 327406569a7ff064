"""Who pays: what a run asks to be paid for, what is offered, and which class of claim comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import attrs

from runs_core.values.fields import Fact, field
from runs_core.values.lease import Payer
from runs_core.values.meta import Key, Pairs
from runs_core.values.placement import Placement


class Tier(IntEnum):
    """How near the owner of an envelope is to the owner of a run."""

    OWN = 0
    CHILD = 1
    SIBLING = 2
    COUSIN = 3
    STRANGER = 4


class Class(StrEnum):
    """What a claim is at a moment: derived from all claims, never stored while a lease is open."""

    OWNED = "owned"
    SHARED = "shared"
    BORROWED = "borrowed"
    UNFUNDED = "unfunded"


@attrs.frozen(kw_only=True)
class Split:
    """Something counted by class: GPUs, or GPU-seconds."""

    owned: int = field(Fact(doc="Paid by the owner's own quota.", minimum=0), default=0)
    shared: int = field(Fact(doc="Paid by the family's.", minimum=0), default=0)
    borrowed: int = field(Fact(doc="Paid by a sponsor's.", minimum=0), default=0)
    unfunded: int = field(Fact(doc="Paid by nobody.", minimum=0), default=0)

    @property
    def total(self) -> int:
        return self.owned + self.shared + self.borrowed + self.unfunded

    def plus(self, cls: Class, amount: int) -> Split:
        """With so much more of one class."""
        return attrs.evolve(self, **{cls.value: getattr(self, cls.value) + amount})


@attrs.frozen(kw_only=True)
class Ask:
    """What a run wants paid for, without its name: runs that ask the same are offered the same.

    gpus: of the whole gang. selector: labels that its nodes must have. sections: the plugins' part of the run's spec.
    """

    owner: str | None
    flavor: str
    gpus: int
    selector: Pairs = ()
    sections: Mapping[type, Any] = MappingProxyType({})


class Cap(NamedTuple):
    """A bound that several offers share. left: GPUs."""

    name: str
    left: int


@attrs.frozen(kw_only=True)
class Offer:
    """One envelope that was looked at. had: its GPUs that no claim before this one takes; gpus: what it may give.

    order: among offers of a tier, before the payer's name. why: why it gives less than it has, or has nothing.
    selector: it pays only for nodes with these labels. caps: what else bounds it, together with other offers.
    """

    tier: Tier
    payer: Payer
    had: int
    gpus: int
    order: int = 0
    why: str = ""
    selector: Pairs = ()
    caps: tuple[Cap, ...] = ()


@attrs.frozen(kw_only=True)
class Offers:
    """A plugin's answer: every envelope that it looked at. unfunded: whether the run may also start without a payer."""

    offers: tuple[Offer, ...] = ()
    unfunded: bool = True


class Share(NamedTuple):
    """One payer's part of a gang. selector: its places."""

    payer: Payer
    tier: Tier
    gpus: int
    selector: Pairs = ()


class Look(NamedTuple):
    """One line of the cover trace."""

    tier: Tier
    payer: Payer
    had: int
    gave: int
    why: str


@attrs.frozen(kw_only=True)
class Cover:
    """Who would pay for a gang. left: GPUs that nobody pays for; 0: it is fundable."""

    shares: tuple[Share, ...] = ()
    looks: tuple[Look, ...] = ()
    left: int = 0
    unfunded: bool = True

    @property
    def fundable(self) -> bool:
        return not self.left


@attrs.frozen(kw_only=True)
class Pledge:
    """Places and quota that are bound to a run which cannot take them yet: who is there has been told to go.

    since: when it was decided (UTC). resolution: the record of the taking-back.
    """

    run: Key
    uid: str
    owner: str | None
    shares: tuple[Share, ...]
    placement: Placement
    since: datetime
    resolution: str

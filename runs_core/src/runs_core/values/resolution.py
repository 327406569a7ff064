"""The Resolution: the audit of one taking-back, from which anybody can work out again who was cut, and why."""

from __future__ import annotations

import attrs

from runs_core.values.fields import Fact, field
from runs_core.values.lease import NodeSlots
from runs_core.values.meta import Key

Place = tuple[str, str, int]
"""Namespace, name and group of a unit, -1 for none: the order of units."""


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
class Candidate:
    """A unit that may be cut. gpus: those of its places that lie in the scope; the others are no help."""

    namespace: str = field(Fact(doc="The run's namespace."))
    name: str = field(Fact(doc="The run."))
    uid: str = field(Fact(doc="Its uid."))
    group: int | None = field(Fact(doc="One group of it; none: the whole run.", minimum=0), default=None)
    owner: str | None = field(Fact(doc="The run's owner."), default=None)
    gpus: int = field(Fact(doc="Its GPUs in the scope.", minimum=1))
    slots: tuple[NodeSlots, ...] = field(Fact(doc="All of its places, by node."), default=())

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

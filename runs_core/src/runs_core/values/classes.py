"""Classes of claims, and what is counted by them."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import attrs

from runs_core.values.changed import changed
from runs_core.values.fields import Fact, field


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


COURTESY = frozenset({Class.UNFUNDED, Class.SHARED})
"""What somebody holds without a right to it; the others are contractual."""

_FIRST_TO_GO = (Class.UNFUNDED, Class.SHARED, Class.BORROWED, Class.OWNED)


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

    @property
    def least_protected(self) -> Class | None:
        """The class whose GPUs go first; None: there is nothing."""
        return next((cls for cls in _FIRST_TO_GO if getattr(self, cls.value)), None)

    def plus(self, cls: Class, amount: int) -> Split:
        """With so much more of one class."""
        return changed(self, **{cls.value: getattr(self, cls.value) + amount})


NOTHING = Split()

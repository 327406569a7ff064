"""What a plugin may answer about who pays. As in `answers`: the proper form, or Unfit with what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType

import attrs

from runs_core.hooks.answers import Unfit, few, kind_of, line, shown
from runs_core.values.classes import Class, Split
from runs_core.values.funding import Account, Offer, Offers, Proposal, Unit
from runs_core.values.lease import Payer
from runs_core.values.run import Condition

MOST_OFFERS = 10_000
MOST_UNITS = 1_000_000
MOST_PROPOSALS = 100


def offers(answer: object) -> Offers | None:
    """Each payer once, nothing negative, nobody gives more than it has."""
    if answer is None:
        return None
    if not isinstance(answer, Offers):
        raise Unfit(f"got {kind_of(answer)}, want Offers")
    found = few(answer.offers, MOST_OFFERS, "offers")
    seen: set[Payer] = set()
    for one in found:
        if not isinstance(one, Offer):
            raise Unfit(f"got {kind_of(one)} among the offers, want Offer")
        if len(found) > 1:
            if one.payer in seen:
                raise Unfit(f"got two offers of {one.payer.budget}/{one.payer.envelope}, want one")
            seen.add(one.payer)
        whole = type(one.had) is type(one.gpus) is type(one.order) is int
        if not whole or one.gpus < 0 or (one.caps and any(type(cap.left) is not int for cap in one.caps)):
            raise Unfit(f"got {shown(one)}, want whole numbers of GPUs, none of them negative")
        opens: object = one.opens
        if opens is not None and (not isinstance(opens, datetime) or opens.tzinfo is None):
            raise Unfit(f"got opens {shown(opens)}, want a time with its zone, or None")
    return answer


def cls(answer: object) -> Class | None:
    """A class, or no opinion."""
    if answer is not None and not isinstance(answer, Class):
        raise Unfit(f"got {shown(answer)}, want a Class")
    return answer


def split(answer: object) -> Split | None:
    """GPU-seconds, none of them negative: Split itself sees to that."""
    if answer is not None and not isinstance(answer, Split):
        raise Unfit(f"got {shown(answer)}, want a Split")
    return answer


def account(answer: object) -> Account | None:
    """Conditions, and sections by their classes."""
    if answer is None:
        return None
    if not isinstance(answer, Account):
        raise Unfit(f"got {kind_of(answer)}, want an Account")
    if any(not isinstance(one, Condition) for one in answer.conditions) or not isinstance(answer.sections, Mapping):
        raise Unfit(f"got {shown(answer)}, want conditions and sections by class")
    if wrong := [part for part, value in answer.sections.items() if not isinstance(value, part)]:
        raise Unfit(f"got a section {wrong[0].__name__} that is not one")
    return attrs.evolve(answer, sections=MappingProxyType(dict(answer.sections)))


def units(answer: object) -> tuple[Unit, ...]:
    """Each once, sorted."""
    if answer is None:
        return ()
    found = few(answer, MOST_UNITS, "units")
    for one in found:
        if not isinstance(one, Unit):
            raise Unfit(f"got {shown(one)}, want a Unit")
    return tuple(sorted({one for one in found if isinstance(one, Unit)}, key=order_of))


def order_of(unit: Unit) -> tuple[str, str, int]:
    """By run, then group; a whole run first."""
    return (*unit.run, -1 if unit.group is None else unit.group)


def proposals(answer: object, declared: Collection[type]) -> tuple[Proposal, ...]:
    """In the plugin's order. declared: the classes of sections that a run may have."""
    return () if answer is None else tuple(_proposal(one, declared) for one in few(answer, MOST_PROPOSALS, "proposals"))


def _proposal(one: object, declared: Collection[type]) -> Proposal:
    if not isinstance(one, Proposal):
        raise Unfit(f"got {kind_of(one)} among the proposals, want Proposal(change=…, section=…)")
    if type(one.section) not in declared:
        raise Unfit(f"got a section {kind_of(one.section)}, want one of a class that runs_sections declared for Run")
    words = tuple(line(word) for word in few(one.words, MOST_PROPOSALS, "words"))
    return Proposal(change=line(one.change), section=one.section, words=words)

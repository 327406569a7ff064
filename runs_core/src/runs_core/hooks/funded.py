"""What a plugin may answer about who pays. As in `answers`: the proper form, or Unfit with what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType

import attrs

from runs_core.hooks.answers import Unfit, few, is_key, is_payer, kind_of, line, shown
from runs_core.values.classes import Class, Split, Tier
from runs_core.values.funding import Account, Cap, Offer, Offers, Proposal, Unit
from runs_core.values.lease import Lease, Payer
from runs_core.values.run import Condition

MOST_OFFERS = 10_000
MOST_UNITS = 1_000_000
MOST_PROPOSALS = 100
MOST_CONDITIONS = 50
REMEMBERED = 20_000
_SOUND: dict[int, Offer] = {}
"""Offers that were looked at, by identity: they are frozen, and most are made again and again as the same object."""
_AS_DECLARED = (int, int, int, bool)
_TOLD_AND_IDLE = ((bool, int), (bool, type(None)))


def offers(answer: object) -> Offers | None:
    """Each payer once, nothing negative, nobody gives more than it has."""
    if answer is None:
        return None
    if not isinstance(answer, Offers):
        raise Unfit(f"got {kind_of(answer)}, want Offers")
    found = few(answer.offers, MOST_OFFERS, "offers")
    seen: set[Payer] = set()
    offered: list[Offer] = []
    for one in found:
        if not isinstance(one, Offer):
            raise Unfit(f"got {kind_of(one)} among the offers, want Offer")
        if _SOUND.get(id(one)) is not one:
            _offer(one)
            if len(_SOUND) >= REMEMBERED:
                _SOUND.clear()
            _SOUND[id(one)] = one
        offered.append(one)
        if len(found) > 1:
            if one.payer in seen:
                raise Unfit(f"got two offers of {one.payer.budget}/{one.payer.envelope}, want one")
            seen.add(one.payer)
    if type(answer.unfunded) is not bool:
        raise Unfit(f"got unfunded={shown(answer.unfunded)}, want True or False")
    return answer if found is answer.offers else attrs.evolve(answer, offers=tuple(offered))


def _offer(one: Offer) -> None:
    """The good case first, and cheap: every envelope is looked at for every question."""
    had, gpus, payer, idle, why = one.had, one.gpus, one.payer, one.idle, one.why
    kinds: tuple[type, ...] = (type(gpus), type(had), type(one.order), type(one.told))
    if not (
        kinds == _AS_DECLARED
        and 0 <= gpus <= had
        and type(one.tier) is Tier
        and type(payer) is Payer
        and type(payer.budget) is type(payer.envelope) is type(why) is str
        and (idle is None or type(idle) is int)
    ):
        _refuse(one)
    if why:
        _line(why)
    if one.selector != () and not _are_pairs(one.selector):
        raise Unfit(f"got the selector {shown(one.selector)}, want pairs of texts")
    if one.caps != ():
        _caps(one.caps)
    opens: object = one.opens
    if opens is not None and (not isinstance(opens, datetime) or opens.utcoffset() is None):
        raise Unfit(f"got opens {shown(opens)}, want a time with its zone, or None")


_line = lru_cache(1024)(line)
"""Of the same few reasons."""


def _refuse(one: Offer) -> None:
    """Say what of it is not as it must be, if anything is."""
    whole = type(one.had) is type(one.gpus) is type(one.order) is int
    if not whole or one.gpus < 0 or one.had < 0:
        raise Unfit(f"got {shown(one)}, want whole numbers of GPUs, none of them negative")
    if one.gpus > one.had:
        raise Unfit(f"got an offer of {one.gpus} GPUs by one who has {one.had}, want no more than it has")
    if type(one.tier) is not Tier or not is_payer(one.payer):
        raise Unfit(f"got {shown(one)}, want a Tier, and a Payer of two texts")
    if one.why != "":
        line(one.why)
    if (type(one.told), type(one.idle)) not in _TOLD_AND_IDLE:
        raise Unfit(f"got told={shown(one.told)} and idle={shown(one.idle)}, want True or False, and GPUs or None")


def _are_pairs(given: object) -> bool:
    return isinstance(given, tuple) and all(
        isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(text, str) for text in pair)  # noqa: PLR2004
        for pair in given
    )


def _caps(given: object) -> None:
    if not isinstance(given, tuple) or not all(isinstance(cap, Cap) for cap in given):
        raise Unfit(f"got the caps {shown(given)}, want a tuple of Cap")
    for cap in given:
        if type(cap.left) is not int:
            raise Unfit(f"got {shown(cap)}, want whole numbers of GPUs")
        line(cap.name)
        if cap.why != "":
            line(cap.why)


def cls(answer: object) -> Class | None:
    """A class, or no opinion."""
    if answer is not None and not isinstance(answer, Class):
        raise Unfit(f"got {shown(answer)}, want a Class")
    return answer


def split(answer: object, lease: Lease, now: datetime) -> Split | None:
    """Whole GPU-seconds, as many as the lease's GPUs were held; none of them negative: that much Split sees to.

    Where a clock was set back they stay what was written down before, until that much time has passed again.
    """
    if answer is None:
        return None
    if not isinstance(answer, Split) or not (
        type(answer.owned) is type(answer.shared) is type(answer.borrowed) is type(answer.unfunded) is int
    ):
        raise Unfit(f"got {shown(answer)}, want a Split of whole GPU-seconds")
    before = lease.status.gpu_seconds
    held = max(lease.gpus * ((now - lease.spec.start) // timedelta(seconds=1)), 0 if before is None else before.total)
    if answer.total != held:
        raise Unfit(f"got {answer.total} GPU-seconds of {lease.gpus} GPUs since {lease.spec.start}, want {held}")
    return answer


def account(answer: object, declared: Collection[type]) -> Account | None:
    """Conditions, and sections by their classes. declared: those that a Budget's status may have."""
    if answer is None:
        return None
    if not isinstance(answer, Account):
        raise Unfit(f"got {kind_of(answer)}, want an Account")
    conditions = few(answer.conditions, MOST_CONDITIONS, "conditions")
    if not all(isinstance(one, Condition) for one in conditions) or not isinstance(answer.sections, Mapping):
        raise Unfit(f"got {shown(answer)}, want conditions and sections by class")
    if strange := [part for part in answer.sections if part not in declared]:
        raise Unfit(f"got a section {shown(strange[0])}, want a class that runs_sections declared for Budget's status")
    if wrong := [part for part, value in answer.sections.items() if not isinstance(value, part)]:
        raise Unfit(f"got a section {wrong[0].__name__} that is not one")
    return attrs.evolve(
        answer,
        conditions=tuple(_condition(one) for one in conditions if isinstance(one, Condition)),
        sections=MappingProxyType(dict(answer.sections)),
    )


def _condition(one: Condition) -> Condition:
    for word in (one.type, one.status, one.reason):
        line(word)
    if one.message != "":
        line(one.message)
    at: object = one.last_transition_time
    if not isinstance(at, datetime) or at.utcoffset() is None:
        raise Unfit(f"got the condition {one.type} as of {shown(at)}, want a time with its zone")
    return one


def units(answer: object) -> tuple[Unit, ...]:
    """Each once, sorted."""
    if answer is None:
        return ()
    found = few(answer, MOST_UNITS, "units")
    for one in found:
        if not isinstance(one, Unit) or not is_key(one.run):
            raise Unfit(f"got {shown(one)}, want a Unit with the Key of a run")
        if one.group is not None and (type(one.group) is not int or one.group < 0):
            raise Unfit(f"got the group {shown(one.group)} of {one.run}, want a whole number from 0, or None")
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

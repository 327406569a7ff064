"""Quota that is held for runs that wait, so that nobody starves behind their own later runs.

The rule is step 6 of "The decision for one waiting run" in the semantics. What holds follows from the line, the
reservations and the time: `decide/held.py` finds it out, and this remembers it.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import attrs

from runs_core.values.classes import Tier
from runs_core.values.funding import Ask, Cap, Offer, Offers, Share
from runs_core.values.lease import Payer
from runs_core.values.meta import Key

Order = tuple[float | str, ...]
FIRST: Order = ()
"""Before everybody: nothing is kept from it."""
LAST: Order = (float("inf"),)
"""Behind everybody: all is kept from it that is held at all."""


class Hold(NamedTuple):
    """What one run holds. order: its place in line."""

    order: Order
    run: Key
    owner: str
    shares: tuple[Share, ...]


class Held:
    """One hold for each run at most. waits: whether a run still stands where it held that.

    stirred: owners whose holds may be others now; due: when time alone may add one; dues: all such times,
    soonest first. judged: the fleet's `changed` when it was last asked whether it could take them. version: counts what
    changed. outdated: owners whose runs hold some of an envelope of others which may give less now. waning: owners of
    runs that would be covered by what time alone may take.
    """

    def __init__(self, waits: Callable[[Hold], bool]) -> None:
        self.by_run: dict[Key, Hold] = {}
        self.stirred: set[str] = set()
        self.outdated: set[str] = set()
        self.waning: set[str] = set()
        self.due: dict[str, datetime] = {}
        self.judged = -1
        self.version = 0
        self._waits = waits
        self._on: dict[Payer, list[tuple[Hold, Share]]] = {}
        self._of: dict[str, dict[Key, None]] = {}
        self._orders: list[Order] = []
        self.dues: list[tuple[datetime, str]] = []

    def stir(self, ask: Ask | None) -> None:
        """Who asks that may hold something else now."""
        if ask is not None and ask.owner is not None:
            self.stirred.add(ask.owner)

    def expect(self, owner: str, at: datetime) -> None:
        """A run of that owner has waited longer than patience from then on."""
        due = self.due.get(owner)
        if due is None or at < due:
            self.due[owner] = at
            heapq.heappush(self.dues, (at, owner))

    def pass_to(self, now: datetime) -> None:
        """Whose time has come may hold something else now."""
        while self.dues and self.dues[0][0] <= now:
            at, owner = heapq.heappop(self.dues)
            if self.due.get(owner) == at:
                del self.due[owner]
                self.stirred.add(owner)

    def taken(self, payer: Payer) -> None:
        """An envelope may give less than before."""
        for hold, share in self._on.get(payer, ()):
            if share.tier is not Tier.OWN:
                self.stirred.add(hold.owner)
                self.outdated.add(hold.owner)

    def of(self, owner: str) -> Sequence[Key]:
        """The runs of that owner that hold something, by key."""
        return sorted(self._of.get(owner, ()))

    def holds(self, owner: str | None) -> bool:
        """Whether any run of that owner holds something."""
        return owner in self._of

    def gpus(self, owner: str | None) -> int:
        """All that runs of that owner hold."""
        runs = self._of.get(owner, ()) if owner is not None else ()
        return sum(share.gpus for run in runs for share in self.by_run[run].shares)

    def parts(self) -> Mapping[Payer, Sequence[tuple[Hold, Share]]]:
        """By envelope, in line order."""
        return self._on

    def ahead(self, order: Order) -> int:
        """How many holds are before that place: from two places with as many, the same is kept."""
        return bisect_left(self._orders, order)

    def replace(self, run: Key, hold: Hold | None) -> Sequence[Payer]:
        """That is what it holds now; None: nothing. Returns the payers of whom another part is held."""
        old = self.by_run.get(run)
        if old == hold:
            return ()
        self.version += 1
        if old is not None:
            del self.by_run[run]
            self._orders.remove(old.order)
            self._of[old.owner].pop(run)
            if not self._of[old.owner]:
                del self._of[old.owner]
            for payer in _payers(old):
                rest = [part for part in self._on[payer] if part[0] is not old]
                if rest:
                    self._on[payer] = rest
                else:
                    del self._on[payer]
        if hold is not None:
            self.by_run[run] = hold
            insort(self._orders, hold.order)
            self._of.setdefault(hold.owner, {})[run] = None
            for share in hold.shares:
                insort(self._on.setdefault(share.payer, []), (hold, share), key=_order)
        return list(dict.fromkeys([*(_payers(old) if old else ()), *(_payers(hold) if hold else ())]))

    def kept_back(self, offers: Offers, ask: Ask, order: Order) -> Offers:
        """What is left of these offers for who asks from that place; who gives less than is wanted says for whom."""
        if not self._on or order == FIRST:
            return offers
        kept: dict[Payer, tuple[int, Key]] = {}
        for offer in offers.offers:
            if offer.payer in self._on and offer.payer not in kept:
                parts = list(self._from(offer, ask.owner, order))
                if parts:
                    kept[offer.payer] = sum(share.gpus for _, share in parts), parts[0][0].run
        if not kept:
            return offers
        caps: dict[str, tuple[int, Key]] = {}
        for payer, names in {offer.payer: [cap.name for cap in offer.caps] for offer in offers.offers}.items():
            for name in names if payer in kept else ():
                gpus, run = kept[payer]
                before = caps.get(name)
                caps[name] = (gpus, run) if before is None else (before[0] + gpus, before[1])
        return attrs.evolve(offers, offers=tuple(_less(offer, kept, caps, ask.gpus) for offer in offers.offers))

    def _from(self, offer: Offer, owner: str | None, order: Order) -> Iterator[tuple[Hold, Share]]:
        """What is held of this envelope before that place: by earlier runs of this owner; of a loan, by whomever."""
        for part in self._on[offer.payer]:
            hold, share = part
            if hold.owner == owner:
                keeps = hold.order < order
            else:
                keeps = offer.tier is Tier.STRANGER and (share.tier is not Tier.STRANGER or hold.order < order)
            if keeps and self._waits(hold):
                yield part


def _less(offer: Offer, kept: dict[Payer, tuple[int, Key]], caps: dict[str, tuple[int, Key]], wanted: int) -> Offer:
    """The offer without what is held of it, and of what bounds it together with others."""
    gpus, why = offer.gpus, offer.why
    if (known := kept.get(offer.payer)) is not None and gpus:
        gpus = max(0, gpus - known[0])
        if gpus < wanted:
            why = f"{why}, {_told(known[1])}" if why else _told(known[1])
    less = tuple(_capped(cap, caps) for cap in offer.caps)
    if gpus == offer.gpus and less == offer.caps:
        return offer
    return attrs.evolve(offer, gpus=gpus, why=why, caps=less)


def _capped(cap: Cap, caps: dict[str, tuple[int, Key]]) -> Cap:
    known = caps.get(cap.name)
    if known is None or cap.askers:
        return cap
    return cap._replace(left=max(0, cap.left - known[0]), why=f"{cap.why or cap.name}, {_told(known[1])}")


def _told(run: Key) -> str:
    return f"held for {run}"


def _payers(hold: Hold) -> Sequence[Payer]:
    return list(dict.fromkeys(share.payer for share in hold.shares))


def _order(part: tuple[Hold, Share]) -> Order:
    return part[0].order

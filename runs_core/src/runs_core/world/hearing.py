"""Whom of the line it concerns when an envelope has more or less to give than before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from runs_core.values.classes import Tier
from runs_core.values.funding import Cover, Gives, Takes
from runs_core.values.lease import Payer
from runs_core.values.meta import Key
from runs_core.world.calms import Calms
from runs_core.world.queues import FUNDABLE, Entry, Queue

UNKNOWN = 1 << 60
"""GPUs, where nobody says how many."""


class Firm(NamedTuple):
    """How firm an answer is.

    spare: by payer, how much less it may give before anything of this is otherwise; None: that is not told.
    displacing: Budgets of the owner's own, whose claims on them may displace somebody.
    nearer: payers of whom more would be taken if they gave more; None: of any.
    """

    spare: Mapping[Payer, int] | None = None
    displacing: frozenset[str] = frozenset()
    nearer: frozenset[Payer] | None = None


LOOSE = Firm()
"""An answer of which nothing is known but itself."""


class Hearing:
    """Queues, by the envelopes that their last cover looked at: `watching`. Those never answered are not there.

    gave: envelopes that may give more since somebody last looked, and how much. took: how much less each may give than
    ever before, added up; least: how far that may count up before somebody who is calm may be paid by others. unheard:
    queues that ask again, whatever envelopes may give. calms: who has nothing to hear but of room.
    """

    def __init__(self) -> None:
        self.gave: dict[Payer, int] = {}
        self.took: dict[Payer, int] = {}
        self.least: dict[Payer, int] = {}
        self.watching: dict[Payer, dict[Queue, None]] = {}
        self.unheard: dict[Queue, None] = {}
        self.calms = Calms()

    def may_give(self, told: Payer | Gives) -> None:
        """An envelope may give more than before."""
        payer, gpus = (told.payer, told.gpus) if isinstance(told, Gives) else (told, UNKNOWN)
        self.gave[payer] = self.gave.get(payer, 0) + gpus

    def may_take(self, told: Takes) -> None:
        """An envelope may give less than before."""
        payer, gpus = told
        took = self.took[payer] = self.took.get(payer, 0) + gpus
        if took > self.least.get(payer, took):
            del self.least[payer]
            for queue in self.watching.get(payer, ()):
                queue.rouse()

    def hear_of(self, payer: Payer, owner: str) -> None:
        """Another part of this envelope is held by runs of that owner: theirs ask again, and who may be lent it."""
        for queue in self.watching.get(payer, ()):
            if queue.ask is not None and (queue.ask.owner == owner or _borrows(queue, payer)):
                self.unheard[queue] = None
                queue.doubt()

    def stands(self, queue: Queue) -> bool:
        """Whether the same would pay for it, were they asked now."""
        if queue.stale or queue.limits is None:
            return False
        took = self.took
        for payer, limit in queue.limits:  # noqa: SIM110 - asked of everybody who waits, whenever GPUs come free
            if took.get(payer, 0) > limit:
                return False
        return True

    def calm(self, queue: Queue, key: Key, first: Entry) -> None:
        """Of room alone is that to hear, until something else of it changes. first: its first run's place."""
        need, paid = first.shape.need, queue.band == FUNDABLE
        queue.calm, queue.at = first, (need.flavor, need.gpus_per_pod, queue.displacing if paid else None)
        if paid:
            self.calms.add(queue, key, first)
        for payer, limit in queue.limits or ():
            self.least[payer] = min(limit, self.least.get(payer, limit))

    def answered(self, queue: Queue, cover: Cover, firm: Firm) -> None:
        """That is what the budgets say to this queue now."""
        took, spare = self.took, firm.spare
        queue.limits = None if spare is None else [(payer, took.get(payer, 0) + less) for payer, less in spare.items()]
        queue.displacing, queue.nearer = firm.displacing, firm.nearer
        before = queue.payers
        queue.remember(cover)
        self._watch(queue, before, queue.payers)
        self.unheard.pop(queue, None)

    def told(self) -> tuple[Iterable[Queue], Iterable[Queue]]:
        """The queues that an envelope may now give more to, or that were never answered: what they know is stale.

        And those whose payers stay the same though an envelope gives more.
        """
        found, self.unheard = self.unheard, {}
        same: dict[Queue, None] = {}
        for queue in found:
            queue.may = None
        for payer, gpus in self.gave.items():
            for queue in self.watching.get(payer, ()):
                if queue.may is not None:
                    queue.may[payer] += gpus
                if queue not in found:
                    if queue.stale or queue.nearer is None or payer in queue.nearer:
                        found[queue] = None
                    else:
                        queue.dated = True
                        same[queue] = None
        self.gave = {}
        for queue in found:
            queue.doubt()
            same.pop(queue, None)
        return found, same

    def joins(self, queue: Queue, *, unheard: bool) -> None:
        """It stands in line."""
        self.calms.joins(queue)
        for payer in queue.payers:
            self.watching.setdefault(payer, {})[queue] = None
        if unheard:
            self.unheard[queue] = None

    def leaves(self, queue: Queue) -> None:
        """Nobody stands there."""
        self._watch(queue, queue.payers, ())
        self.calms.leaves(queue)
        self.unheard.pop(queue, None)

    def _watch(self, queue: Queue, before: Sequence[Payer], payers: Sequence[Payer]) -> None:
        """Those are the envelopes of which it is to hear, and no more those of before."""
        if before == payers:
            return
        for payer in before:
            watching = self.watching.get(payer)
            if watching is not None:
                watching.pop(queue, None)
                if not watching:
                    del self.watching[payer]
        for payer in payers:
            self.watching.setdefault(payer, {})[queue] = None


def _borrows(queue: Queue, payer: Payer) -> bool:
    looks = queue.cover.looks if queue.cover is not None else ()
    return any(look.payer == payer and look.tier is Tier.STRANGER for look in looks)

"""What the line is made of: the runs of one need, and among them those that ask the same of the budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from runs_core.values.decision import NoPlace
from runs_core.values.funding import Ask, Cover, Offers
from runs_core.values.lease import Payer
from runs_core.values.meta import Key
from runs_core.values.need import Need, NodeFilter
from runs_core.world.calms import Calms

Order = tuple[float | str, ...]
"""Sort key in the line: rank or admission time, then namespace and name."""
FUNDABLE, UNFUNDABLE, UNPAYABLE = 0, 1, 2
"""Bands of the line: who would be paid for goes first. Who must not start without a payer waits for quota alone."""
Head = tuple[Order, Key]
At = tuple[str, int, frozenset[str] | None]
"""What room is counted by: flavor, GPUs of a pod, and Budgets whose families may lose by a claim; None: nobody."""


class Shape:
    """The runs of one need. Not one of them can start as long as its flavor's `freed` is what it was at `failed`.

    answer: why, in full, as of `answered`; never: in one word why not even the empty fleet could take it, "" where it
    could, as of the fleet's `changed` at `judged`; None where what was found out may be wrong. heads: by band, at least
    the first run of each queue. narrower: as `failed`, for gangs that have to lie in their payers' places.
    """

    __slots__ = ("answer", "answered", "failed", "heads", "judged", "narrower", "need", "never", "queues", "size")

    def __init__(self, need: Need) -> None:
        self.need = need
        self.queues: dict[Ask | None, Queue] = {}
        self.heads: tuple[list[Head], list[Head], list[Head]] = ([], [], [])
        self.size = 0
        self.answer: NoPlace | None = None
        self.answered = self.failed = self.judged = -1
        self.narrower: dict[tuple[NodeFilter, ...], int] = {}
        self.never: str | None = ""


class Queue:
    """Runs of one need that ask the same of the budgets. cover: the last answer; band: what follows from it.

    payers: whom that answer looked at; stale: one of those can give more since. may: of who is not paid for, GPUs that
    each of those has at most; None: any envelope may give any number. limits: how far the line's `took` may count up
    for each payer, before the answer may be another for that; None: it may be at any time. displacing: Budgets of its
    owner's own, whose claims on them may displace somebody. nearer: payers that it would take more from, if they had
    more to give; None: it may be any. calm: its first, from when it was found to have nothing to hear but of room until
    `rouse`; at: what room that would be. dated: others give more since, so that the same pay, and what the answer tells
    of them is not so any more.

    offers: what that answer was made of, before anything of it was kept for others; seen: from which place in line it
    was asked. empty: what cover would be, were its owner's own envelopes empty; None: not known.
    """

    __slots__ = (
        "ask", "at", "band", "calm", "calms", "cover", "dated", "displacing", "empty", "heap", "limits", "may",
        "nearer", "offers", "payers", "seen", "shape", "size", "stale",
    )  # fmt: skip

    def __init__(self, shape: Shape, ask: Ask | None, calms: Calms) -> None:
        self.shape = shape
        self.ask = ask
        self.heap: list[Head] = []
        self.size = 0
        self.band = FUNDABLE
        self.cover: Cover | None = None
        self.payers: Sequence[Payer] = ()
        self.stale = True
        self.may: dict[Payer, int] | None = None
        self.limits: Sequence[tuple[Payer, int]] | None = None
        self.displacing: frozenset[str] = frozenset()
        self.nearer: frozenset[Payer] | None = None
        self.calm: Entry | None = None
        self.calms = calms
        self.at: At = ("", 0, frozenset())
        self.dated = False
        self.offers: Offers | None = None
        self.seen: Order = ()
        self.empty: Cover | None = None

    @property
    def hopeless(self) -> bool:
        """Whether all that its envelopes have, in whole pods, cannot pay for it: asking who pays changes nothing."""
        return self.may is not None and self.band != FUNDABLE and not self.could(self.may)

    def could(self, may: Mapping[Payer, int]) -> bool:
        """Whether so many GPUs of each envelope, in whole pods, could pay for it."""
        ask = self.ask
        if ask is None:
            return True
        wanted = ask.gpus if ask.demand is None else ask.demand.least
        return sum(gpus - gpus % ask.unit for gpus in may.values()) >= wanted

    @property
    def opens(self) -> bool:
        """Whether time alone may let somebody pay for it."""
        return self.cover is not None and bool(self.cover.opens)

    def doubt(self) -> None:
        """An envelope that the answer named can give more."""
        self.stale = True
        self.rouse()

    def rouse(self) -> None:
        """Something has changed of it, or of who pays: it may have more to hear than of room."""
        if self.calm is not None:
            self.calm = None
            self.calms.rouse(self)

    def remember(self, cover: Cover) -> None:
        """What the budgets say to it now."""
        self.cover, self.stale, self.dated, self.may = cover, False, False, None
        self.payers = [look.payer for look in cover.looks]
        self.rouse()
        if not cover.fundable:
            may: dict[Payer, int] = {}
            for look in cover.looks:
                may[look.payer] = may.get(look.payer, 0) + max(0, look.had)
            self.may = may


def band_of(cover: Cover) -> int:
    """Where whoever gets that answer stands."""
    return FUNDABLE if cover.fundable else UNFUNDABLE if cover.unfunded else UNPAYABLE


class Entry(NamedTuple):
    """One run's place."""

    order: Order
    shape: Shape
    queue: Queue

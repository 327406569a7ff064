"""A claim: all GPUs that one run holds on one envelope. And its place in the order in which envelopes are filled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from runs_budgets.clock import NEVER
from runs_core import Class, Key, Tier

if TYPE_CHECKING:
    from runs_budgets.envelopes import Purse
    from runs_budgets.meter import Holding

CLASSES = (Class.OWNED, Class.SHARED, Class.BORROWED, Class.UNFUNDED)
OWNED, SHARED, BORROWED, UNFUNDED = range(4)
"""Places in whatever is counted by class."""

Rank = tuple[int, int, int, str, str, str, str, str]

_BANDS = (0, 1, 2, 3, 0)
"""By tier: own quota and loans yield to nobody."""


class Claim:
    """One run's, on one envelope.

    need: GPUs, all that it holds there. levels: of a malleable run, what it may take less than that, ascending: its
    minimum, then group by group; None: all or nothing. taken: what it has of the envelope now.
    flavor: that its run says it wants; None: it says none, or nobody knows the run.
    since: microseconds; from when on the oldest of its leases is. dims: the bounds that it is subject to.
    filed: whether it stands in the envelope's fill; else it takes nothing, whatever is left.
    """

    __slots__ = (
        "admitted", "cls", "dims", "filed", "flavor", "holdings", "least", "levels", "need", "owner", "pledged",
        "pledged_loan", "pledged_since", "purse", "rank", "run", "taken", "tier", "uid",
    )  # fmt: skip

    def __init__(self, run: Key, uid: str, owner: str | None, purse: Purse) -> None:
        self.run = run
        self.uid = uid
        self.owner = owner
        self.purse = purse
        self.holdings: dict[Key, Holding] = {}
        self.pledged = 0
        self.pledged_since = NEVER
        self.pledged_loan = False
        self.admitted = NEVER
        self.least: int | None = None
        self.flavor: str | None = None
        self.filed = False
        self.need = 0
        self.levels: tuple[int, ...] | None = None
        self.taken = 0
        self.tier = Tier.STRANGER
        self.cls = BORROWED
        self.dims: tuple[int, ...] = ()
        self.rank: Rank = (0, 0, 0, "", "", "", "", "")

    def __repr__(self) -> str:
        return f"Claim({self.uid} on {self.purse!r})"

    def weigh(self) -> None:
        """What it needs, and its place, from what it holds.

        Contractual before courtesy, there the nearer before the farther, then who holds longer, then admission time,
        run, envelope; the uid tells a run from a later one of its name.
        """
        need, since = self.pledged, self.pledged_since
        for holding in self.holdings.values():
            need += holding.gpus
            since = min(since, holding.start)
        self.need = need
        self.levels = None if self.least is None else tuple(self._levels(self.least))
        run, payer = self.run, self.purse.payer
        band = _BANDS[self.tier]
        self.rank = (band, since, self.admitted, run[0], run[1], payer.budget, payer.envelope, self.uid)

    @property
    def lent(self) -> bool:
        """Whether all of it was lent when it was made; else a stranger's is what is left of the family."""
        return not (self.pledged and not self.pledged_loan) and all(one.spec.loan for one in self.holdings.values())

    def _levels(self, least: int) -> Iterator[int]:
        held, group = 0, None
        for holding in self.in_groups():
            if group is not None and group != holding.spec.group and held >= least:
                yield held
            held, group = held + holding.gpus, holding.spec.group
        if self.pledged and held >= least:
            yield held

    def fitting(self, room: int) -> tuple[int, int]:
        """What it takes of so much room that is not enough for all, and the next more that it would take."""
        below = 0
        for level in self.levels or ():
            if level > room:
                return below, level
            below = level
        return below, self.need

    def in_groups(self) -> list[Holding]:
        """Its leases, the lowest group first: the last lose their payer first."""
        return sorted(self.holdings.values(), key=lambda holding: holding.order)

    def classes(self) -> Iterator[tuple[Holding, int]]:
        """What each of its leases counts as."""
        if self.levels is None or self.taken == self.need:
            cls = self.cls if self.taken else UNFUNDED
            for holding in self.holdings.values():
                yield holding, cls
            return
        left = self.taken
        for holding in self.in_groups():
            yield holding, self.cls if holding.gpus <= left else UNFUNDED
            left -= holding.gpus

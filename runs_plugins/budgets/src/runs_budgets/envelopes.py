"""An envelope as it stands: who claims it, what it has left, how much of its hours is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from runs_budgets.claims import BORROWED, OWNED, SHARED, Claim
from runs_budgets.clock import HOUR, LATEST, NEVER, SECOND, micros
from runs_budgets.fill import BOUNDLESS, Fill
from runs_budgets.meter import Tally
from runs_budgets.sections import AggregateCap, Envelope, Sharing, Used
from runs_core import Payer, Tier


class Shared:
    """An aggregate cap as it stands. contractual, taken: GPUs of its envelopes that are funded: those, and all."""

    __slots__ = ("contractual", "gpus", "name", "purses", "taken")

    def __init__(self, cap: AggregateCap, purses: Sequence[Purse]) -> None:
        self.name = cap.name
        self.gpus = cap.gpus
        self.purses = tuple(purses)
        self.contractual = sum(purse.contractual for purse in purses)
        self.taken = sum(purse.taken for purse in purses)

    def standing(self) -> tuple[int, int, int]:
        """What, if it falls, leaves room for others."""
        return self.contractual, self.taken, 0

    def freed(self, had: tuple[int, int, int]) -> Iterator[Purse]:
        """The envelopes that it kept from giving all that they have, when it stood like that."""
        for purse in self.purses:
            gpus = purse.spec.gpus if purse.spec is not None else 0
            if gpus - purse.contractual > self.gpus - had[0] or gpus - purse.taken > self.gpus - had[1]:
                yield purse


class Purse:
    """One envelope. spec: None: there is none of this name (any more), so nothing on it is funded.

    open: within its window; spent: its hours are used up; lent_out: those that it lends are.
    funded: GPUs by class that have their payer here, pledges too; tally: GPUs of leases alone, and their time.
    offset, lent_offset: GPU-microseconds funded, and lent, before this window's count began.
    began: the start of the window that it counts for; past: offsets of others that it has had, by their start.
    counted: whether its hours are bounded; due: when they end if nothing changes. until: metered by others until then.
    steady: whether time alone never takes anything from it. anywhere: whether it pays wherever a claim lies.
    payees: claims by class that have GPUs here. fellows: the envelopes that are filled together with it, itself too.
    """

    __slots__ = (
        "anywhere", "began", "caps", "claims", "counted", "due", "fellows", "fill", "funded", "lent", "lent_offset",
        "lent_out", "loan_dims", "offset", "open", "own_dims", "owner", "past", "payees", "payer", "spec", "spent",
        "steady", "tally", "until",
    )  # fmt: skip

    def __init__(self, payer: Payer) -> None:
        self.payer = payer
        self.owner: str | None = None
        self.spec: Envelope | None = None
        self.open = False
        self.spent = False
        self.lent_out = False
        self.claims: dict[str, Claim] = {}
        self.funded = [0, 0, 0, 0]
        self.payees = [0, 0, 0, 0]
        self.tally = Tally()
        self.lent: dict[str, Tally] = {}
        self.offset = 0
        self.lent_offset = 0
        self.began: int | None = None
        self.past: dict[int, tuple[int, int]] = {}
        self.until = 0
        self.due = NEVER
        self.counted = False
        self.steady = True
        self.anywhere = True
        self.stand_alone()

    def stand_alone(self) -> None:
        """Filled with no other, and with nothing, until it is laid out."""
        self.fill = Fill((0, 0))
        self.fellows: tuple[Purse, ...] = (self,)
        self.caps: tuple[Shared, ...] = ()
        self.own_dims: tuple[int, ...] = (0,)
        self.loan_dims: tuple[int, ...] = (0, 1)

    def __repr__(self) -> str:
        return f"Purse({self.payer.budget}/{self.payer.envelope})"

    # -- what is left -------------------------------------------------------------------------------------------------

    @property
    def contractual(self) -> int:
        """GPUs funded that yield to nobody."""
        return self.funded[OWNED] + self.funded[BORROWED]

    @property
    def taken(self) -> int:
        """All GPUs funded."""
        return self.funded[OWNED] + self.funded[SHARED] + self.funded[BORROWED]

    def standing(self) -> tuple[int, int, int]:
        """What, if it falls, leaves room for others."""
        funded = self.funded
        contractual = funded[OWNED] + funded[BORROWED]
        return contractual, contractual + funded[SHARED], funded[BORROWED]

    def takes(self, claim: Claim) -> bool:
        """Whether this claim may be funded here, if there is room; a Budget may have changed its flavor meanwhile."""
        spec = self.spec
        if spec is None or not self.open or self.spent or claim.flavor not in (None, spec.flavor):
            return False
        if claim.tier is Tier.OWN:
            return True
        if claim.tier is Tier.STRANGER:
            return spec.lending is not None and not self.lent_out and claim.lent
        return spec.sharing is Sharing.FAMILY

    def limits(self) -> Iterator[int]:
        """Its own two bounds: GPUs, and GPUs lent."""
        spec = self.spec
        yield spec.gpus if spec is not None else 0
        lending = spec.lending if spec is not None else None
        yield 0 if lending is None else BOUNDLESS if lending.max_gpus is None else lending.max_gpus

    # -- its window and its hours -------------------------------------------------------------------------------------

    def specify(self, owner: str | None, spec: Envelope | None) -> None:
        """It is this owner's and such from now on; None: there is none."""
        self.owner = owner if spec is not None else None
        self.spec = spec
        self.counted = self.hours() != (NEVER, NEVER)
        self.anywhere = spec is None or not spec.selector
        self.steady = not self.counted and self.edges() == (-NEVER, NEVER)
        if spec is None:
            self.stand_alone()

    def edges(self) -> tuple[int, int]:
        """Open from then to then, in microseconds."""
        window = self.spec.window if self.spec is not None else None
        start = -NEVER if window is None or window.start is None else micros(window.start)
        return start, NEVER if window is None or window.end is None else micros(window.end)

    def used(self, now: int) -> int:
        """GPU-microseconds funded since its window began."""
        spent = self.tally.until(now)
        return spent[OWNED] + spent[SHARED] + spent[BORROWED] - self.offset

    def used_lent(self, now: int) -> int:
        """GPU-microseconds lent since then."""
        return self.tally.until(now)[BORROWED] - self.lent_offset

    def hours(self) -> tuple[int, int]:
        """GPU-microseconds that it may fund, and lend, over its window."""
        spec = self.spec
        lending = spec.lending if spec is not None else None
        whole = NEVER if spec is None or spec.gpu_hours is None else spec.gpu_hours * HOUR
        return whole, NEVER if lending is None or lending.max_gpu_hours is None else lending.max_gpu_hours * HOUR

    def count_from(self, start: int, now: int) -> None:
        """It counts for a window that begins then: anew, or where it left off if it had that one before."""
        if self.began is not None and self.began != start:
            self.past[self.began] = self.offset, self.lent_offset
            fresh = self.offset + self.used(now), self.lent_offset + self.used_lent(now)
            self.offset, self.lent_offset = self.past.pop(start, fresh)
        self.began = start

    def take_over(self, used: Used, until: int, start: int) -> None:
        """Go on from what its Budget's status says, as of then."""
        by = used.gpu_seconds
        for cls, spent in enumerate((by.owned, by.shared, by.borrowed, by.unfunded)):
            self.tally.base[cls] += spent * SECOND
        counted = -NEVER if used.counted_from is None else micros(used.counted_from)
        whole, lent = (used.window_gpu_seconds, used.window_lent_gpu_seconds) if counted == start else (0, 0)
        self.offset = (by.owned + by.shared + by.borrowed - whole) * SECOND
        self.lent_offset = (by.borrowed - lent) * SECOND
        self.until = until
        for pair in used.lent:
            self.lent.setdefault(pair.owner, Tally()).base[BORROWED] += pair.gpu_seconds * SECOND

    def ends(self) -> tuple[int, int]:
        """When its hours, and those that it lends, are used up, at what it funds now, in microseconds.

        NEVER: they last, for longer than there are dates.
        """
        whole, lent = self.hours()
        gpus, base = self.tally.gpus, self.tally.base
        all_end = lent_end = NEVER
        if whole < NEVER and not self.spent and (held := sum(gpus[:3])):
            all_end = -((sum(base[:3]) - self.offset - whole) // held)
        if lent < NEVER and not self.lent_out and (held := gpus[BORROWED]):
            lent_end = -((base[BORROWED] - self.lent_offset - lent) // held)
        return all_end if all_end <= LATEST else NEVER, lent_end if lent_end <= LATEST else NEVER

    def exhausted(self, now: int) -> tuple[bool, bool]:
        """Whether its hours, and those that it lends, are used up."""
        whole, lent = self.hours()
        return (
            whole < NEVER and self.used(now) >= whole,
            lent < NEVER and self.used_lent(now) >= lent,
        )

    # -- what-ifs -----------------------------------------------------------------------------------------------------

    def save(self) -> tuple[Any, ...]:
        """What a what-if may do to its meter, for `restore`."""
        lent = {borrower: tally.save() for borrower, tally in self.lent.items()}
        window = self.began, self.offset, self.lent_offset, dict(self.past)
        return self.tally.save(), self.spent, self.lent_out, window, lent

    def restore(self, saved: tuple[Any, ...]) -> None:
        """Exactly as it was."""
        tally, self.spent, self.lent_out, window, lent = saved
        self.began, self.offset, self.lent_offset, past = window
        self.past = dict(past)
        self.tally.restore(tally)
        self.lent = {borrower: self.lent.get(borrower, Tally()) for borrower in lent}
        for borrower, was in lent.items():
            self.lent[borrower].restore(was)

"""Who holds what on which envelope: what a claim takes is written here once, for availability and for the meters."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import Any

from runs_budgets.claims import BORROWED, SHARED, UNFUNDED, Claim
from runs_budgets.clock import NEVER
from runs_budgets.envelopes import Purse, Shared
from runs_budgets.fill import Changed
from runs_budgets.meter import FRESH, UNSEEN, Holding, Mark, Tally, latest
from runs_core import Gives, Key, Payer, Takes

Due = tuple[int, str, str]


class Books:
    """now: microseconds. purses: by budget and envelope. dues: when hours will end, soonest first.

    late: leases that became known at this moment and began before it, each with from when on nobody has metered it.
    unfunded: leases that nobody pays for, each with its run.

    Within one change, what stood before it is kept, so that in the end it can be told what became different.
    """

    def __init__(self) -> None:
        self.now = 0
        self.purses: dict[str, dict[str, Purse]] = {}
        self.dues: list[Due] = []
        self._turned: dict[Holding, int] = {}
        self._pledges: dict[Claim, int] = {}
        self._had: dict[Purse | Shared, tuple[int, int, int]] = {}
        self._rose: dict[Purse, tuple[int, int, int]] = {}
        self._opened: dict[Purse, None] = {}
        self._kept: list[dict[Any, Any]] = []
        self._recent: dict[tuple[str, ...], Any] = {}
        self._aside: dict[tuple[str, ...], Any] = {}
        self.late: dict[Holding, int] = {}
        self.recent: list[Holding] = []
        self._late_kept: list[dict[Holding, int]] = []
        self.unfunded: dict[Holding, Key] = {}

    def purse(self, payer: Payer) -> Purse:
        """That envelope, whether there is a Budget with it or not."""
        of = self.purses.get(payer.budget)
        if of is None:
            of = self.purses[payer.budget] = {}
        found = of.get(payer.envelope)
        if found is None:
            found = of[payer.envelope] = self.again("", payer.budget, payer.envelope) or Purse(payer)
        return found

    def drop(self, purse: Purse) -> None:
        """Nobody names or claims this envelope."""
        payer = purse.payer
        of = self.purses[payer.budget]
        del of[payer.envelope]
        if not of:
            del self.purses[payer.budget]
        self.set_aside(purse, "", payer.budget, payer.envelope)

    # -- claims -----------------------------------------------------------------------------------------------------

    def settle(self, changed: Changed) -> None:
        """Write down that these claims take other amounts now, each with what it took before."""
        if not changed:
            return
        if len(changed) == 1:
            claim, before = changed[0]
            if claim.taken != before:
                self._rewrite(claim, before)
            return
        first: dict[Claim, int] = {}
        for claim, before in changed:
            first.setdefault(claim, before)
        for claim, before in first.items():
            if claim.taken != before:
                self._rewrite(claim, before)

    def _rewrite(self, claim: Claim, before: int) -> None:
        purse, cls = claim.purse, claim.cls
        if claim.pledged:
            self._pledges.setdefault(claim, before)
        more = claim.taken - before
        first = self._had if more < 0 else self._rose
        if purse not in first:
            first[purse] = purse.standing()
        purse.funded[cls] += more
        purse.payees[cls] += (claim.taken > 0) - (before > 0)
        for cap in purse.caps:
            if more < 0 and cap not in self._had:
                self._had[cap] = cap.standing()
            cap.taken += more
            if cls != SHARED:
                cap.contractual += more
        if claim.holdings:
            self.reclass(claim)

    def reclass(self, claim: Claim) -> None:
        """Meter each of its leases as what it is now."""
        for holding, cls in claim.classes():
            if holding.cls == cls:
                continue
            if holding.cls == FRESH:
                self._take_up(claim, holding, cls)
                continue
            if self._kept:
                self.keep(holding)
            self._turned.setdefault(holding, holding.cls)
            self.meter(claim, holding, -holding.gpus)
            if holding.seen == self.now:
                holding.cls = cls
            else:
                holding.turn(cls, self.now)
            self.note(holding, claim.run)
            self.meter(claim, holding, holding.gpus)

    def note(self, holding: Holding, run: Key) -> None:
        """Whether nobody pays for it now."""
        if holding.cls == UNFUNDED:
            self.unfunded[holding] = run
        else:
            self.unfunded.pop(holding, None)

    def _take_up(self, claim: Claim, holding: Holding, cls: int) -> None:
        """A lease that became known just now was metered up to here by others, or it began just now.

        Since its own checkpoint it was what it was then, until the Budget's; since that one, what it is found to be:
        at last, for while time stands still others may become known that change its class.
        """
        purse, since = claim.purse, max(holding.start, claim.purse.until)
        if holding.mark is not None:
            last, until = holding.mark[1], holding.mark[2]
            if until < since:
                holding.cls = last
                holding.turn(cls, since)
            elif purse.until:
                self.catch_up(purse, claim.owner, holding.mark, holding.gpus * (until - since))
                since = until
        holding.cls = cls
        if cls == UNFUNDED:
            self.unfunded[holding] = claim.run
        self.meter(claim, holding, holding.gpus)
        if holding.start < self.now:
            self.recent.append(holding)
        if since < self.now:
            self.late[holding] = since

    def found(self) -> None:
        """The class of each lease that became known is found: what changes it from here on is later."""
        self.count_late()
        for holding in self.recent:
            holding.seen = UNSEEN
        self.recent.clear()

    def fresh(self, claim: Claim, holding: Holding) -> None:
        """What a lease was metered by others is known only now: its class is to be found anew."""
        self.meter(claim, holding, -holding.gpus)
        self.late.pop(holding, None)
        holding.begin()
        self.note(holding, claim.run)

    def count_late(self, *holdings: Holding) -> None:
        """What nobody had metered of leases before they became known: time goes on, so their class is found."""
        for holding in holdings or tuple(self.late):
            since = self.late.pop(holding, None)
            if since is not None and holding.claim is not None:
                spent = holding.gpus * (self.now - since)
                self.backdate(holding.claim.purse, holding.claim.owner, holding.cls, spent)

    def meter(self, claim: Claim, holding: Holding, gpus: int) -> None:
        """So many GPUs more (or fewer) are held in the holding's class from now on."""
        purse = claim.purse
        if self._kept:
            self.keep(purse)
        purse.tally.hold(holding.cls, gpus, self.now)
        if holding.cls == BORROWED:
            self._lend(purse, claim.owner, gpus, -gpus * self.now)
        if purse.counted:
            self.redue(purse)

    def backdate(self, purse: Purse, owner: str | None, cls: int, spent: int) -> None:
        """Runs of this owner have used so many GPU-microseconds more in that class, and nobody has counted them."""
        if self._kept:
            self.keep(purse)
        purse.tally.base[cls] += spent
        if cls == BORROWED:
            self._lend(purse, owner, 0, spent)
        if purse.counted:
            self.redue(purse)

    def catch_up(self, purse: Purse, owner: str | None, mark: Mark, spent: int) -> None:
        """A lease's checkpoint is later than its envelope's: what it used last is counted there too."""
        for cls, some in enumerate(latest(mark, spent)):
            if some:
                self.backdate(purse, owner, cls, some)

    def _lend(self, purse: Purse, owner: str | None, gpus: int, base: int) -> None:
        """What that owner borrows of the envelope."""
        borrower = owner or ""
        pair = purse.lent.setdefault(borrower, Tally())
        pair.gpus[BORROWED] += gpus
        pair.base[BORROWED] += base
        if not pair.gpus[BORROWED] and not pair.base[BORROWED]:
            del purse.lent[borrower]

    # -- hours ------------------------------------------------------------------------------------------------------

    def redue(self, purse: Purse) -> None:
        """Reckon anew when its hours end."""
        due = min(purse.ends())
        if due == purse.due:
            return
        payer = purse.payer
        if purse.due != NEVER:
            del self.dues[bisect_left(self.dues, (purse.due, payer.budget, payer.envelope))]
        purse.due = due
        if due != NEVER:
            insort(self.dues, (due, payer.budget, payer.envelope))

    # -- what may come back -------------------------------------------------------------------------------------------

    def set_aside(self, thing: Purse | Holding, *name: str) -> None:
        """It is gone; should that be taken back before time passes, it is as it was, its meter too."""
        (self._aside if self._kept else self._recent)[name] = thing

    def again(self, *name: str) -> Any:  # noqa: ANN401 - what was set aside under that name
        """What was set aside; None: nothing."""
        if self._kept:
            return self._aside.pop(name, None) or self._recent.get(name)
        return self._recent.pop(name, None) if self._recent else None

    def forget(self) -> None:
        """Time passes: nothing of before is taken back any more."""
        if self._recent:
            self._recent.clear()

    # -- what became different ----------------------------------------------------------------------------------------

    def opens(self, purse: Purse) -> None:
        """It may give more than before, for a reason that its counts do not show."""
        self._opened[purse] = None

    def told(self) -> tuple[Key | Payer | Gives | Takes, ...]:
        """Runs whose class is another one now, and envelopes that can give more, or less, since this was last asked."""
        found: list[Key | Payer | Gives | Takes] = []
        if self._turned or self._pledges:
            found += self._other_runs()
        if self._had or self._opened:
            found += [purse.payer for purse in self._opened]
            found += [Gives(purse.payer, gpus) for purse, gpus in self._freed() if purse not in self._opened]
            self._had.clear()
            self._opened.clear()
        if self._rose:
            for purse, stood in self._rose.items():
                has = purse.standing()
                less = max(has[0] - stood[0], has[1] - stood[1], has[2] - stood[2])
                if less > 0:
                    found.append(Takes(purse.payer, less))
            self._rose.clear()
        return tuple(found)

    def _other_runs(self) -> Iterable[Key]:
        """Whose class is another one now, each once."""
        turned = self._turned.items()
        runs = {holding.claim.run: None for holding, cls in turned if holding.claim is not None and holding.cls != cls}
        runs |= {claim.run: None for claim, taken in self._pledges.items() if claim.pledged and claim.taken != taken}
        self._turned.clear()
        self._pledges.clear()
        return runs

    def _freed(self) -> Iterable[tuple[Purse, int]]:
        """Envelopes that may give more, and how much more each has."""
        more: dict[Purse, int] = {}
        for thing, had in self._had.items():
            has = thing.standing()
            if has[0] < had[0] or has[1] < had[1] or has[2] < had[2]:
                if isinstance(thing, Purse):
                    more[thing] = max(had[0] - has[0], had[1] - has[1], 0)
                    continue
                for purse in thing.freed(had):
                    more.setdefault(purse, 0)  # what the envelope has is the same, and it may give more of it
        return more.items()

    # -- what-ifs -----------------------------------------------------------------------------------------------------

    @property
    def supposing(self) -> bool:
        """Whether a what-if goes on."""
        return bool(self._kept)

    def suppose(self) -> None:
        """A what-if begins."""
        self._kept.append({})
        self._late_kept.append(dict(self.late))

    def touched(self) -> Iterator[tuple[Purse, tuple[Any, ...]]]:
        """Envelopes whose meters this what-if has moved, as they were."""
        yield from ((thing, was) for thing, was in self._kept[-1].items() if isinstance(thing, Purse))

    def restore(self) -> None:
        """The what-if ends: every meter is exactly as before."""
        self.late = self._late_kept.pop()
        for thing, was in self._kept.pop().items():
            thing.restore(was)
            if isinstance(thing, Purse):
                self.redue(thing)
            elif thing.claim is not None:
                self.note(thing, thing.claim.run)
        if not self._kept:
            self._aside.clear()

    def keep(self, thing: Purse | Holding) -> None:
        """Before its meter is moved in a what-if."""
        kept = self._kept[-1]
        if thing not in kept:
            kept[thing] = thing.save()

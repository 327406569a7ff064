"""All claims, by run and by owner, and how one comes into an envelope's order and out of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from runs_budgets.books import Books
from runs_budgets.claims import BORROWED, OWNED, SHARED, Claim
from runs_budgets.clock import NEVER, micros
from runs_budgets.envelopes import Purse
from runs_budgets.family import Family
from runs_budgets.fill import Changed
from runs_budgets.places import Places
from runs_core import Key, Payer, Tier

FUNDED_AS = {
    Tier.OWN: OWNED,
    Tier.CHILD: SHARED,
    Tier.SIBLING: SHARED,
    Tier.COUSIN: SHARED,
    Tier.STRANGER: BORROWED,
}


K = TypeVar("K")
Known = tuple[str, datetime | None, int | None, str | None]
"""Of a run: its uid, its admission, the least that it needs where it is malleable, and the flavor that it says."""


class Registry:
    """Claims exist as long as they hold anything. What is known of a run counts for the claims of its uid."""

    def __init__(self, books: Books, family: Family, places: Places) -> None:
        self._books = books
        self._places = places
        self._family = family
        self._known: dict[Key, Known] = {}
        self._of_run: dict[Key, dict[Claim, None]] = {}
        self._of_owner: dict[str | None, dict[Claim, None]] = {}

    def of_owner(self, owner: str) -> tuple[Claim, ...]:
        """The claims of this owner's runs."""
        return tuple(self._of_owner.get(owner, ()))

    def of_run(self, run: Key) -> tuple[Claim, ...]:
        """What this run claims."""
        return tuple(self._of_run.get(run, ()))

    def take_up(self, run: Key, uid: str, owner: str | None, payer: Payer) -> tuple[Claim, Changed]:
        """The run's claim on that envelope, out of its order until it is placed again."""
        purse = self._books.purse(payer)
        claim = purse.claims.get(uid)
        if claim is not None:
            return claim, self.withdraw(claim)
        claim = purse.claims[uid] = Claim(run, uid, owner, purse)
        self._of_run.setdefault(run, {})[claim] = None
        self._of_owner.setdefault(owner, {})[claim] = None
        self._learn(claim)
        self.join(claim)
        return claim, []

    def withdraw(self, claim: Claim) -> Changed:
        """Out of the order, to be placed again: what it holds or what it is will be another."""
        if not claim.filed:
            return []
        claim.filed = False
        return claim.purse.fill.remove(claim)

    def withdraw_all(self, purses: Iterable[Purse]) -> None:
        """Every claim on these envelopes."""
        changed: Changed = []
        for purse in purses:
            for claim in purse.claims.values():
                claim.filed = False
                if claim.taken:
                    changed.append((claim, claim.taken))
                    claim.taken = 0
        self._books.settle(changed)

    def place(self, claim: Claim) -> Changed:
        """Into the order where it belongs by what it is and holds now; one that holds nothing any more is forgotten."""
        if not claim.holdings and not claim.pledged:
            self._forget(claim)
            return []
        claim.weigh()
        if not self._takes(claim):
            return []
        claim.filed = True
        return claim.purse.fill.insert(claim)

    def _takes(self, claim: Claim) -> bool:
        purse = claim.purse
        return purse.takes(claim) and (purse.anywhere or not self._places.elsewhere(claim))

    def look_again(self, claim: Claim) -> None:
        """Where it lies has got other labels."""
        if self._takes(claim) != claim.filed:
            self.settle(claim, self.withdraw(claim) + self.place(claim))

    def settle(self, claim: Claim, changed: Changed) -> None:
        """Write down what became of the claims. A lease may be of another class though its claim takes the same."""
        self._books.settle(changed)
        if claim.levels is not None or not changed or not claim.taken:
            self._books.reclass(claim)

    def join(self, claim: Claim) -> None:
        """How near its owner is to the envelope's, and what follows from it."""
        purse = claim.purse
        claim.tier = self._family.tier(claim.owner, purse.owner)
        claim.cls = FUNDED_AS[claim.tier]
        claim.dims = purse.loan_dims if claim.tier is Tier.STRANGER else purse.own_dims

    def retier(self, claim: Claim) -> None:
        """Its owner's family, or the envelope owner's, is another now."""
        if self._family.tier(claim.owner, claim.purse.owner) is claim.tier:
            return
        self._books.settle(self.withdraw(claim))
        self.join(claim)
        self._books.settle(self.place(claim))

    def know(self, run: Key, known: Known | None) -> None:
        """That is the run of that name; None: there is none."""
        if known is None:
            self._known.pop(run, None)
        else:
            self._known[run] = known
        for claim in self.of_run(run):
            changed = self.withdraw(claim)
            self._learn(claim)
            self.settle(claim, changed + self.place(claim))

    def _learn(self, claim: Claim) -> None:
        uid, admitted, least, flavor = self._known.get(claim.run, ("", None, None, None))
        if uid != claim.uid:
            admitted = least = flavor = None
        claim.admitted = NEVER if admitted is None else micros(admitted)
        claim.least = least
        claim.flavor = flavor

    def _forget(self, claim: Claim) -> None:
        purse = claim.purse
        del purse.claims[claim.uid]
        if not purse.claims and purse.spec is None:
            self._books.drop(purse)
        _drop(self._of_run, claim.run, claim)
        _drop(self._of_owner, claim.owner, claim)

    def refile(self, fellows: tuple[Purse, ...]) -> None:
        """Fill envelopes anew that are filled together: what they may take, or their bounds, have changed."""
        changed: Changed = []
        filed: list[Claim] = []
        for purse in fellows:
            for claim in purse.claims.values():
                claim.filed = self._takes(claim)
                if claim.filed:
                    filed.append(claim)
                elif claim.taken:
                    changed.append((claim, claim.taken))
                    claim.taken = 0
        changed += fellows[0].fill.rebuild(filed)
        self._books.settle(changed)


def _drop(index: dict[K, dict[Claim, None]], key: K, claim: Claim) -> None:
    of = index[key]
    del of[claim]
    if not of:
        del index[key]

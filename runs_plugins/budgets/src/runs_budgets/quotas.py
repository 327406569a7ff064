"""Budgets as they come, change and go, and time as it opens and closes their envelopes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from functools import lru_cache

from runs_budgets.books import Books, Due
from runs_budgets.clock import NEVER, micros
from runs_budgets.envelopes import Purse
from runs_budgets.family import Family
from runs_budgets.layout import lay_out
from runs_budgets.meter import FRESH
from runs_budgets.registry import Registry
from runs_budgets.sections import NOTHING, Envelope, Metered, Quota
from runs_core import Payer, Tier

LAST = "\U0010ffff"
"""Sorts behind every name."""
Spot = tuple[str, str]
"""Budget and envelope."""
Near = tuple[tuple[Tier, tuple[Purse, ...]], ...]
"""Envelopes by how near their owner is."""
_REMEMBERED = 20_000


class Quotas:
    """known: owner and quota of each Budget. of_owner: its Budgets, by name."""

    def __init__(self, books: Books, family: Family, registry: Registry) -> None:
        self.known: dict[str, tuple[str, Quota]] = {}
        self.of_owner: dict[str, tuple[str, ...]] = {}
        self._books = books
        self._family = family
        self._registry = registry
        self._edges: list[Due] = []
        self.near = lru_cache(_REMEMBERED)(self._near)

    def _near(self, owner: str, flavor: str) -> Near:
        """Whom to ask for that flavor, tier by tier: envelopes by budget and name. `put` forgets what is remembered."""
        return tuple(
            (tier, tuple(purse for one in owners for purse in self._of_flavor(one, flavor)))
            for tier, owners in self._family.relatives(owner)
        )

    def _of_flavor(self, owner: str, flavor: str) -> Iterator[Purse]:
        for budget in self.of_owner.get(owner, ()):
            purses = self._books.purses.get(budget, {})
            for name in sorted(purses):
                if (spec := purses[name].spec) is not None and spec.flavor == flavor:
                    yield purses[name]

    # -- budgets ----------------------------------------------------------------------------------------------------

    def put(self, name: str, new: tuple[str, Quota] | None, account: Metered | None = None) -> None:
        """That Budget is now this owner's, with this quota; None: it is gone.

        O(its claims), and O(the claims of those whose relations are others now).
        """
        self.near.cache_clear()
        relations = self._rename(name, new)
        owner, quota = new if new is not None else (None, NOTHING)
        registry, purses = self._registry, self._books.purses.get(name, {})
        registry.withdraw_all(purses.values())
        specs = {envelope.name: envelope for envelope in reversed(quota.envelopes)}
        for envelope in sorted({*purses, *specs}):
            self._specify(name, envelope, owner, specs.get(envelope), account)
        purses = self._books.purses.get(name, {})
        lay_out(quota, purses)
        for purse in purses.values():
            for claim in purse.claims.values():
                registry.join(claim)
                claim.weigh()
        for purse in purses.values():
            if purse.fellows[0] is purse:
                registry.refile(purse.fellows)
            self._books.opens(purse)
        self._find_fresh(purses)
        self._retier(relations)
        self.pass_to(self._books.now)

    def _rename(self, name: str, new: tuple[str, Quota] | None) -> frozenset[str]:
        old = self.known.pop(name, None)
        if new is not None:
            self.known[name] = new
        changed: frozenset[str] = frozenset()
        if old is not None and (new is None or new[0] != old[0]):
            changed |= self._family.put(old[0], name, None)
            left = tuple(other for other in self.of_owner.pop(old[0]) if other != name)
            if left:
                self.of_owner[old[0]] = left
        if new is not None:
            changed |= self._family.put(new[0], name, new[1].parents)
            self.of_owner[new[0]] = tuple(sorted({*self.of_owner.get(new[0], ()), name}))
        return changed

    def _retier(self, owners: frozenset[str]) -> None:
        for owner in sorted(owners):
            for claim in self._registry.of_owner(owner):
                self._registry.retier(claim)
            for budget in self.of_owner.get(owner, ()):
                for purse in self._books.purses.get(budget, {}).values():
                    for claim in list(purse.claims.values()):
                        self._registry.retier(claim)

    def _specify(
        self, budget: str, name: str, owner: str | None, spec: Envelope | None, account: Metered | None
    ) -> None:
        """An envelope is now so, or no more. One that nobody names or claims is forgotten."""
        books = self._books
        purse = books.purse(Payer(budget=budget, envelope=name))
        if books.supposing:
            books.keep(purse)
        if purse.spec is not None:
            for edge in purse.edges():
                if -NEVER < edge < NEVER:
                    del self._edges[bisect_left(self._edges, (edge, budget, name))]
        first = purse.spec is None and purse.began is None
        purse.specify(owner, spec)
        if spec is None:
            purse.open = False
            books.redue(purse)
            if not purse.claims:
                books.drop(purse)
            return
        start, end = purse.edges()
        for edge in (start, end):
            if -NEVER < edge < NEVER:
                insort(self._edges, (edge, budget, name))
        if first and account is not None:
            self._take_over(purse, account, start)
        purse.count_from(start, books.now)
        purse.open = start <= books.now < end
        purse.spent, purse.lent_out = purse.exhausted(books.now)
        books.redue(purse)

    def _take_over(self, purse: Purse, account: Metered, start: int) -> None:
        used = next((used for used in account.envelopes if used.name == purse.payer.envelope), None)
        if used is None or account.metered_until is None:
            return
        purse.take_over(used, micros(account.metered_until), start)
        for claim in purse.claims.values():
            for holding in claim.holdings.values():
                if holding.seen == self._books.now:
                    self._books.fresh(claim, holding)

    def _find_fresh(self, purses: Mapping[str, Purse]) -> None:
        for purse in purses.values():
            for claim in purse.claims.values():
                if any(holding.cls == FRESH for holding in claim.holdings.values()):
                    self._books.reclass(claim)

    # -- time ---------------------------------------------------------------------------------------------------------

    def next(self) -> tuple[int, ...]:
        """The next edge of a window, and the next end of hours, after now."""
        if not (self._edges or self._books.dues):
            return ()
        edge = bisect_right(self._edges, (self._books.now, LAST, LAST))
        return tuple(at for at, _, _ in (*self._edges[edge : edge + 1], *self._books.dues[:1]))

    def pass_to(self, now: int) -> None:
        """Time goes on, from one moment at which something opens or closes to the next; or, in a what-if, back."""
        books = self._books
        if now > books.now:
            if books.late:
                books.count_late()
            if not books.supposing:
                books.forget()
        if now < books.now:
            between = self._edges[
                bisect_right(self._edges, (now, LAST, LAST)) : bisect_right(self._edges, (books.now, LAST, LAST))
            ]
            books.now = now
            self._look_again({(budget, name) for _, budget, name in between})
            return
        while (moments := self.next()) and (at := min(moments)) <= now:
            books.now = max(at, books.now)
            edges = self._edges[bisect_left(self._edges, (at,)) : bisect_right(self._edges, (at, LAST, LAST))]
            dues = books.dues[: bisect_right(books.dues, (at, LAST, LAST))]
            self._look_again({(budget, name) for _, budget, name in (*edges, *dues)})
        books.now = now

    def _look_again(self, spots: set[Spot]) -> None:
        books = self._books
        for budget, name in sorted(spots):
            purse = books.purses[budget][name]
            start, end = purse.edges()
            open_ = start <= books.now < end
            spent, lent_out = purse.exhausted(books.now)
            spent, lent_out = spent or purse.spent, lent_out or purse.lent_out
            if open_ and not purse.open:
                books.opens(purse)
            self._flag(purse, open_, spent, lent_out)

    def _flag(self, purse: Purse, open_: bool, spent: bool, lent_out: bool) -> None:  # noqa: FBT001 - the three flags
        if (open_, spent, lent_out) != (purse.open, purse.spent, purse.lent_out):
            if self._books.supposing:
                self._books.keep(purse)
            purse.open, purse.spent, purse.lent_out = open_, spent, lent_out
            self._registry.refile(purse.fellows)
        self._books.redue(purse)

    def end_supposing(self) -> None:
        """A what-if is over and its changes are taken back: so are its hours."""
        for purse, was in list(self._books.touched()):
            self._flag(purse, purse.open, was[1], was[2])
        self._books.restore()
        self._books.told()

"""Who is whose family: owners name their parents, and everything else follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from runs_core import Tier

Relatives = tuple[tuple[Tier, tuple[str, ...]], ...]
_REMEMBERED = 20_000


class Family:
    """Parents as the Budgets of each owner name them, their union.

    An owner on a cycle counts as having no parents until it is mended; a parent without a Budget counts for nothing.
    Answers are remembered until the family changes.
    """

    def __init__(self) -> None:
        self._written: dict[str, dict[str, tuple[str, ...]]] = {}
        self._named_by: dict[str, dict[str, int]] = {}
        self._cyclic: set[str] = set()
        self.tier = lru_cache(_REMEMBERED)(self._tier)
        self.parents = lru_cache(_REMEMBERED)(self._parents)
        self.relatives = lru_cache(_REMEMBERED)(self._relatives)

    # -- changing ---------------------------------------------------------------------------------------------------

    def put(self, owner: str, budget: str, parents: tuple[str, ...] | None) -> frozenset[str]:
        """That Budget of this owner names these parents; None: it is gone. Returns whose relations may be others now.

        O(ancestors of the owner + owners returned).
        """
        known, before = owner in self._written, self.named(owner)
        circle = self._circle(owner)
        written = self._written.pop(owner, {})
        written.pop(budget, None)
        if parents is not None:
            written[budget] = parents
        if written:
            self._written[owner] = written
        if known == (owner in self._written) and before == self.named(owner):
            return frozenset()
        self._rename(owner, before)
        changed = {owner} | self._cut(circle | self._circle(owner) | {owner})
        if known != (owner in self._written):
            changed |= self._named_by.get(owner, {}).keys()
        self.tier.cache_clear()
        self.parents.cache_clear()
        self.relatives.cache_clear()
        return frozenset(changed.union(*(self._named_by.get(one, {}).keys() for one in changed)))

    def _rename(self, owner: str, before: tuple[str, ...]) -> None:
        for parent in before:
            del self._named_by[parent][owner]
            if not self._named_by[parent]:
                del self._named_by[parent]
        for parent in self.named(owner):
            self._named_by.setdefault(parent, {})[owner] = 1

    def _cut(self, suspects: set[str]) -> set[str]:
        """Find out anew which of these are on a cycle; returns those that were and are not, or the reverse."""
        changed = {one for one in suspects if (one in self._cyclic) is not bool(self._circle(one))}
        self._cyclic ^= changed
        return changed

    def _circle(self, owner: str) -> set[str]:
        """All owners on cycles through this one; empty where there is none."""
        above = _reach(owner, self.named)
        return above & _reach(owner, lambda one: self._named_by.get(one, ())) if owner in above else set()

    # -- reading ----------------------------------------------------------------------------------------------------

    def named(self, owner: str) -> tuple[str, ...]:
        """The parents that its Budgets name, whether they count or not; sorted."""
        written = self._written.get(owner)
        if not written:
            return ()
        return tuple(sorted({parent for parents in written.values() for parent in parents if parent != owner}))

    def _parents(self, owner: str) -> tuple[str, ...]:
        """The parents that count."""
        if owner in self._cyclic:
            return ()
        return tuple(parent for parent in self.named(owner) if parent in self._written)

    def children(self, owner: str) -> tuple[str, ...]:
        """Owners whose parent it counts as, sorted."""
        if owner not in self._written:
            return ()
        return tuple(child for child in sorted(self._named_by.get(owner, ())) if child not in self._cyclic)

    def unknown(self, owner: str) -> tuple[str, ...]:
        """The parents that it names and that have no Budget."""
        return tuple(parent for parent in self.named(owner) if parent not in self._written)

    def circle(self, owner: str) -> tuple[str, ...]:
        """The owners that are their own ancestors together with this one, sorted; empty: it is not."""
        return tuple(sorted(self._circle(owner))) if owner in self._cyclic else ()

    def owners(self) -> tuple[str, ...]:
        """All that have a Budget, sorted."""
        return tuple(sorted(self._written))

    def _tier(self, owner: str | None, other: str | None) -> Tier:
        if owner is None or other is None:
            return Tier.STRANGER
        if owner == other:
            return Tier.OWN
        mine, theirs = self.parents(owner), self.parents(other)
        if other in mine:
            return Tier.CHILD
        if not set(mine).isdisjoint(theirs):
            return Tier.SIBLING
        return Tier.STRANGER if self._grand(mine).isdisjoint(self._grand(theirs)) else Tier.COUSIN

    def _grand(self, parents: Iterable[str]) -> set[str]:
        return {grand for parent in parents for grand in self.parents(parent)}

    def _relatives(self, owner: str) -> Relatives:
        """The owners whose envelopes may pay for this one's runs, nearest first, sorted inside each tier."""
        mine = self.parents(owner)
        siblings = {child for parent in mine for child in self.children(parent)}
        elders = {elder for grand in self._grand(mine) for elder in self.children(grand)}
        cousins = {child for elder in elders for child in self.children(elder)}
        near = (Tier.CHILD, set(mine)), (Tier.SIBLING, siblings), (Tier.COUSIN, cousins)
        return tuple(_nearest(owner, near))


def _nearest(owner: str, near: Iterable[tuple[Tier, set[str]]]) -> Iterator[tuple[Tier, tuple[str, ...]]]:
    """Each owner in its nearest tier only."""
    yield Tier.OWN, (owner,)
    met = {owner}
    for tier, owners in near:
        yield tier, tuple(sorted(owners - met))
        met |= owners


def _reach(owner: str, onward: Callable[[str], Iterable[str]]) -> set[str]:
    """Everything that a step or more leads to from here."""
    found: set[str] = set()
    stack = list(onward(owner))
    while stack:
        one = stack.pop()
        if one not in found:
            found.add(one)
            stack.extend(onward(one))
    return found

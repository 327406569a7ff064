"""One flavor: its domains in the order of free GPUs, and what may be otherwise than it was."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runs_core.values.need import Need, NodeFilter
from runs_core.values.node import Domain
from runs_core.world.domains import MOST_FILTERS, DomainFleet

if TYPE_CHECKING:
    from runs_core.world.census import Census, Question


class FlavorFleet:
    """One flavor.

    counts: usable nodes by free GPUs; free: their sum; withheld: GPUs that would be free were they not promised to
    somebody for later; order: domains by (free, key); nodes, gpus: of present ones.

    never: needs that the fleet could not take even empty, as of `changed`; empty: its domains then, by filter. recent:
    domains, the last to move last.

    freed counts up whenever the flavor may take more than before, moved whenever it may take more or less, changed
    whenever its nodes change.
    """

    __slots__ = (
        "_order",
        "censuses",
        "changed",
        "counts",
        "domains",
        "empty",
        "free",
        "freed",
        "gpus",
        "latest",
        "misplaced",
        "moved",
        "never",
        "nodes",
        "recent",
        "withheld",
    )

    def __init__(self) -> None:
        self.domains: dict[Domain, DomainFleet] = {}
        self.counts: list[int] = [0]
        self._order: list[tuple[int, Domain]] = []
        self.misplaced: dict[DomainFleet, int] = {}
        self.latest: DomainFleet | None = None
        self.nodes = self.gpus = 0
        self.free = self.withheld = 0
        self.never: dict[Need, bool] = {}
        self.empty: dict[NodeFilter, Sequence[tuple[int, Domain]]] = {}
        self.recent: dict[DomainFleet, None] = {}
        self.censuses: dict[Question, Census] = {}
        self.freed = self.moved = 0
        self.changed = 0

    @property
    def order(self) -> list[tuple[int, Domain]]:
        """Domains by (free, key), put in order when somebody asks: a gang that comes or goes moves each only once."""
        if self.misplaced:
            for domain, was in self.misplaced.items():
                if was != domain.free:
                    del self._order[bisect_left(self._order, (was, domain.key))]
                    insort(self._order, (domain.free, domain.key))
            self.misplaced.clear()
        return self._order

    def move(self, domain: DomainFleet) -> None:
        """Something in that domain may take more or less than before."""
        self.moved += 1
        domain.moved = self.moved
        if domain is not self.latest:
            self.recent.pop(domain, None)
            self.recent[domain] = None
            self.latest = domain

    def emptied(self, filter_: NodeFilter) -> Sequence[tuple[int, Domain]]:
        """Domains by (GPUs, key), as if nothing ran, of nodes that the filter allows: O(nodes) after one changed."""
        found = self.empty.get(filter_)
        if found is None:
            if len(self.empty) >= MOST_FILTERS:
                self.empty.clear()
            found = self.empty[filter_] = sorted((domain.gpus(filter_), key) for key, domain in self.domains.items())
        return found

    def pods(self, gpus: int) -> int:
        """Most pods of that many GPUs that free GPUs alone would take."""
        counts, most = self.counts, 0
        for level in range(gpus, len(counts)):
            if counts[level]:
                most += counts[level] * (level // gpus)
        return most

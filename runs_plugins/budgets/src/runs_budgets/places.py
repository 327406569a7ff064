"""Where claims lie: an envelope that pays for some places pays for no claim that lies elsewhere, from whenever on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache

from runs_budgets.books import Books
from runs_budgets.claims import Claim
from runs_core import Node, Pairs

LiesIn = Callable[[Node, Pairs], bool]
"""Whether a node has all of these labels."""


def labelled(node: Node, selector: Pairs) -> bool:
    """By its labels alone: no place is called `default`."""
    return set(selector) <= set(node.labels)


class Places:
    """Nodes as far as they are known. What lies on one that nobody knows yet lies where it should."""

    def __init__(self, books: Books, lies_in: LiesIn) -> None:
        self._books = books
        self._lies_in = lies_in
        self._nodes: dict[str, Node] = {}
        self._on = lru_cache(1)(self._claims_on)
        self.moved = self._on.cache_clear
        """To be called when a claim whose place matters lies on other nodes, or it matters where others lie."""

    def put(self, name: str, node: Node | None) -> Sequence[Claim]:
        """That is the node of this name now; None: nothing is known of it. Returns the claims to be looked at again."""
        old = self._nodes.pop(name, None)
        if node is not None:
            self._nodes[name] = node
        if (old and old.labels) == (node and node.labels):
            return ()
        return tuple(self._on().get(name, ()))

    def _claims_on(self) -> Mapping[str, Mapping[Claim, None]]:
        """Claims whose place matters, by the nodes that they lie on."""
        found: dict[str, dict[Claim, None]] = {}
        for purses in self._books.purses.values():
            for purse in purses.values():
                for claim in () if purse.anywhere else purse.claims.values():
                    for name in _nodes_of(claim):
                        found.setdefault(name, {})[claim] = None
        return found

    def elsewhere(self, claim: Claim) -> bool:
        """Whether any of it lies where its envelope does not pay."""
        spec, nodes = claim.purse.spec, self._nodes
        if spec is None or claim.purse.anywhere:
            return False
        return any(
            (node := nodes.get(name)) is not None and not self._lies_in(node, spec.selector)
            for name in _nodes_of(claim)
        )


def _nodes_of(claim: Claim) -> Iterator[str]:
    for holding in claim.holdings.values():
        for slots in holding.spec.slots:
            yield slots.node

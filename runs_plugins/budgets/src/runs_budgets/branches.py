"""The family as `runs budgets tree` shows it: who is whose child, and what each has and uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs

from runs_budgets.views import Line, usage
from runs_budgets.whole import family_of
from runs_core import Budget


@attrs.frozen(kw_only=True)
class Share:
    """An owner's quota of one flavor: GPUs of all its envelopes, and how many of them pay for somebody now.

    used: owned by itself, shared with its family, borrowed by others.
    """

    flavor: str
    gpus: int
    used: int = 0
    owned: int = 0
    shared: int = 0
    borrowed: int = 0


@attrs.frozen(kw_only=True)
class Branch:
    """One owner. depth: 0 without a parent that counts. parents: those that count, sorted. shares: by flavor.

    again: its children stand below where it was met first.
    """

    owner: str
    depth: int
    parents: tuple[str, ...]
    shares: tuple[Share, ...]
    again: bool = False


def tree(budgets: Sequence[Budget]) -> Iterator[Branch]:
    """Parents before their children, each by name; who has several parents stands below each of them.

    Its own children stand there once: else of a family with two parents for everybody each generation would double it.
    An owner on a circle has no parents until it is mended.
    """
    family = family_of(budgets)
    shares = _shares(usage(budgets))
    roots = [owner for owner in family.owners() if not family.parents(owner)]
    stack = [(owner, 0) for owner in reversed(roots)]
    met: set[str] = set()
    while stack:
        owner, depth = stack.pop()
        children, parents, mine = family.children(owner), family.parents(owner), shares.get(owner, ())
        again = owner in met and bool(children)
        yield Branch(owner=owner, depth=depth, parents=parents, shares=mine, again=again)
        if not again:
            stack += [(child, depth + 1) for child in reversed(children)]
        met.add(owner)


def _shares(lines: Iterable[Line]) -> dict[str, tuple[Share, ...]]:
    found: dict[str, dict[str, Share]] = {}
    for line in lines:
        mine = found.setdefault(line.owner, {})
        old = mine.get(line.flavor, Share(flavor=line.flavor, gpus=0))
        mine[line.flavor] = Share(
            flavor=line.flavor,
            gpus=old.gpus + line.gpus,
            used=old.used + line.owned + line.shared + line.borrowed,
            owned=old.owned + line.owned,
            shared=old.shared + line.shared,
            borrowed=old.borrowed + line.borrowed,
        )
    return {owner: tuple(mine[flavor] for flavor in sorted(mine)) for owner, mine in found.items()}


def branch_item(branch: Branch) -> dict[str, object]:
    """As `-o json` has it."""
    return {
        "owner": branch.owner,
        "depth": branch.depth,
        "again": branch.again,
        "parents": list(branch.parents),
        "flavors": [attrs.asdict(share) for share in branch.shares],
    }

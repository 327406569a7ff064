"""Who holds GPUs that nobody's own quota pays for, and from when on they may be taken back."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple

from runs_core.values.meta import Key

NOBODY: AbstractSet[Key] = frozenset()
NOTHING: Mapping[str, int] = {}


class Slack(NamedTuple):
    """One run's. flavor: of its GPUs. spared: until when nothing is taken from it."""

    flavor: str
    unfunded: int
    shared: int
    spared: datetime


class Gain(NamedTuple):
    """What may be taken back of one run. unpaid: nobody pays for a part of it; gpus: by node."""

    flavor: str
    unpaid: bool
    budgets: tuple[str, ...]
    gpus: Mapping[str, int]


class Gains:
    """GPUs that may be taken back, by node. unpaid: of runs nobody pays for in part; shared: of others, by Budget."""

    def __init__(self) -> None:
        self.unpaid: dict[str, int] = {}
        self.shared: dict[str, dict[str, int]] = {}

    def add(self, gain: Gain, sign: int) -> None:
        """Count it, or with -1 no longer."""
        for into in [self.unpaid] if gain.unpaid else [self.shared.setdefault(name, {}) for name in gain.budgets]:
            for node, gpus in gain.gpus.items():
                left = into.get(node, 0) + sign * gpus
                if left:
                    into[node] = left
                else:
                    del into[node]
        for name in gain.budgets:
            if name in self.shared and not self.shared[name]:
                del self.shared[name]

    def of(self, budget: str) -> Mapping[str, int]:
        """Of those whom it pays for, by node."""
        return self.shared.get(budget, NOTHING)

    def said(self) -> tuple[Mapping[str, int], Mapping[str, Mapping[str, int]]]:
        """As plain values, to compare."""
        return self.unpaid, self.shared


class Slacks:
    """By run, each in the heap of its flavor until its time has come. A lookup costs what has come since the last.

    stirred: of whom what may be taken back, or where it lies, may be something else since it was last counted.
    """

    def __init__(self) -> None:
        self._of: dict[Key, Slack] = {}
        self._ripe: dict[str, set[Key]] = {}
        self._green: dict[str, list[tuple[datetime, Key]]] = {}
        self.stirred: set[Key] = set()
        self._counted: dict[Key, Gain] = {}
        self._gains: defaultdict[str, Gains] = defaultdict(Gains)

    def all(self) -> Mapping[Key, Slack]:
        """By run."""
        return self._of

    def put(self, key: Key, slack: Slack | None, now: datetime) -> bool:
        """It now holds that; None: nothing of the kind. Whether more may be taken back by it than before."""
        known = self._of.pop(key, None)
        if slack is not None:
            self._of[key] = slack
        if known == slack:
            return False
        self.stirred.add(key)
        if known is not None:
            self._ripe.get(known.flavor, set()).discard(key)
        if slack is None:
            return False
        if slack.spared <= now:
            self._ripe.setdefault(slack.flavor, set()).add(key)
            return True
        heapq.heappush(self._green.setdefault(slack.flavor, []), (slack.spared, key))
        return False

    def stir(self, key: Key) -> None:
        """Something else of this run has changed."""
        if key in self._of:
            self.stirred.add(key)

    def ripe(self, flavor: str, now: datetime) -> bool:
        """Whether anything of this flavor may be taken back by now."""
        self._ripen(flavor, now)
        return bool(self._ripe.get(flavor))

    def takeable(self, flavor: str, now: datetime) -> AbstractSet[Key]:
        """Who has some of this flavor that may be taken back by now."""
        self._ripen(flavor, now)
        return self._ripe.get(flavor, NOBODY)

    def counts(self, gains: Iterable[tuple[Key, Gain | None]]) -> None:
        """Of each of these, that may be taken back now; None: nothing."""
        for key, gain in gains:
            if (old := self._counted.pop(key, None)) is not None:
                self._gains[old.flavor].add(old, -1)
            if gain is not None:
                self._counted[key] = gain
                self._gains[gain.flavor].add(gain, 1)

    def gains(self, flavor: str) -> Gains:
        """All that was counted of it. Read-only."""
        return self._gains[flavor]

    def pass_to(self, now: datetime) -> list[str]:
        """The flavors of which more may be taken back than the last time that this was asked."""
        return [flavor for flavor in sorted(self._green) if self._ripen(flavor, now)]

    def next_moment(self) -> datetime | None:
        """When time alone lets more be taken back."""
        for heap in self._green.values():
            while heap and self._stale(*heap[0]):
                heapq.heappop(heap)
        return min((heap[0][0] for heap in self._green.values() if heap), default=None)

    def _ripen(self, flavor: str, now: datetime) -> bool:
        heap, more = self._green.get(flavor), False
        while heap and heap[0][0] <= now:
            when, key = heapq.heappop(heap)
            if not self._stale(when, key):
                self._ripe.setdefault(flavor, set()).add(key)
                self.stirred.add(key)
                more = True
        return more

    def _stale(self, when: datetime, key: Key) -> bool:
        known = self._of.get(key)
        return known is None or known.spared != when

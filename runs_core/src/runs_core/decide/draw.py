"""Who is cut: the draw, the order of what is taken, and what is given back. docs/explanation/draw.md says it in full.

Nothing here is random: the same seed and the same candidates give the same cuts, whatever the order they come in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import accumulate

from runs_core.values.resolution import Candidate, Drawn, Pool

SPAN = 1 << 256
Suffices = Callable[[Sequence[Candidate]], bool]


def seed_text(uid: str, attempt: int, number: int, head: int, nonce: str) -> str:
    """What a draw is made from. uid: the beneficiary's; attempt: the one that it will start; nonce: as hex."""
    return f"runs.dev/v1|{uid}|{attempt}|{number}|{head:064x}|{nonce}"


class Stream:
    """Integers out of a seed: SHA-256 of the seed and a counter, each block a number of 256 bits. used: blocks so far.

    span: how many numbers a block can be; less than 2^256 only to see numbers refused, which else nobody would live to.
    """

    def __init__(self, seed: str, *, span: int = SPAN) -> None:
        self.seed = seed
        self.used = 0
        self._span = span

    def below(self, bound: int) -> int:
        """From 0 to bound - 1, each as likely: a block past the last whole multiple of the bound is passed over."""
        whole = self._span - self._span % bound
        while True:
            block = sha256(f"{self.seed}|{self.used}".encode()).digest()
            self.used += 1
            number = int.from_bytes(block) % self._span
            if number < whole:
                return number % bound

    def pick(self, weights: Tree) -> int:
        """A place of the row, as likely as what stands there is large."""
        return weights.find(self.below(weights.total))


class Tree:
    """Sums of a row of integers, each of which may change: a Fenwick tree."""

    def __init__(self, row: Sequence[int]) -> None:
        self.total = sum(row)
        self.row = list(row)
        sums = [0, *accumulate(row)]
        self._parts = [0, *(sums[at] - sums[at - (at & -at)] for at in range(1, len(sums)))]
        self._top = 1 << len(row).bit_length() >> 1

    def set(self, at: int, value: int) -> None:
        more = value - self.row[at]
        self.row[at] = value
        self.total += more
        at += 1
        while at < len(self._parts):
            self._parts[at] += more
            at += at & -at

    def before(self, at: int) -> int:
        """The sum of the row up to, and without, this place."""
        found = 0
        while at:
            found += self._parts[at]
            at -= at & -at
        return found

    def find(self, number: int) -> int:
        """The first place at which the sum, that place included, exceeds the number."""
        at, step = 0, self._top
        while step:
            if at + step < len(self._parts) and self._parts[at + step] <= number:
                at += step
                number -= self._parts[at]
            step >>= 1
        return at


class Lots:
    """The candidates of one pool that are still in the drum, sorted by owner, run and group.

    left: GPUs still missing. Wider units than that are left out while narrower ones together can serve.
    """

    def __init__(self, candidates: Sequence[Candidate], left: int) -> None:
        self.units = sorted(candidates, key=lambda unit: (unit.lot, unit.place))
        if len({unit.place for unit in self.units}) < len(self.units):
            raise ValueError("a unit is a candidate twice")
        self.owners = sorted({unit.lot for unit in self.units})
        number = {owner: at for at, owner in enumerate(self.owners)}
        self._owner = [number[unit.lot] for unit in self.units]
        self._first = [0] * (len(self.owners) + 1)
        for owner in self._owner:
            self._first[owner + 1] += 1
        self._first = list(accumulate(self._first))
        weights = [0] * len(self.owners)
        for at, unit in enumerate(self.units):
            weights[self._owner[at]] += unit.gpus
        self._weights = Tree(weights)
        self._inside = Tree([1] * len(self.units))
        self._by_width = sorted(range(len(self.units)), key=lambda at: self.units[at].gpus)
        self._aside: list[int] = []
        self._wide = False
        self._narrow(left)

    def take(self, stream: Stream, left: int) -> tuple[Candidate, str]:
        """Draw an owner, then one of its units, and take that out. left: GPUs missing once it is out of the drum."""
        owner = stream.pick(self._weights)
        start, end = self._first[owner], self._first[owner + 1]
        before = self._inside.before(start)
        at = self._inside.find(before + stream.below(self._inside.before(end) - before))
        unit = self.units[at]
        self._put(at, inside=False)
        self._narrow(left - unit.gpus)
        return unit, self.owners[owner]

    def _narrow(self, left: int) -> None:
        """Set aside what is wider than what is missing; for good back to all, once the others cannot serve."""
        if self._wide:
            return
        while left > 0 and self._by_width and self.units[self._by_width[-1]].gpus > left:
            at = self._by_width.pop()
            if self._inside.row[at]:
                self._put(at, inside=False)
                self._aside.append(at)
        if left <= 0 or self._weights.total < left:
            self._wide = True
            for at in self._aside:
                self._put(at, inside=True)
            self._aside.clear()

    def _put(self, at: int, *, inside: bool) -> None:
        self._inside.set(at, int(inside))
        owner = self._owner[at]
        gpus = self.units[at].gpus
        self._weights.set(owner, self._weights.row[owner] + (gpus if inside else -gpus))


class Taking:
    """One resolution as it is worked out, pool by pool. taken: in order; draws: how each of them was.

    missing: GPUs, with fewer of which the plan cannot succeed; 0 where there are enough, in the wrong places. suffices:
    whether it succeeds once these units are gone; more units never make it fail. It is asked only where enough GPUs
    would be free.
    """

    def __init__(self, missing: int, stream: Stream, suffices: Suffices) -> None:
        self.missing = missing
        self.taken: list[Candidate] = []
        self.draws: list[Drawn] = []
        self.given_back: list[Candidate] = []
        self._stream = stream
        self._suffices = suffices
        self._pools = 0

    @property
    def cuts(self) -> list[Candidate]:
        """What was taken and not given back, in the order in which it was taken."""
        spared = {unit.place for unit in self.given_back}
        return [unit for unit in self.taken if unit.place not in spared]

    def from_(self, pool: Pool) -> bool:
        """Take from one more pool what is still missing. Whether it suffices now; if not, the next pool is due."""
        number = self._pools
        self._pools += 1
        begin = len(self.taken)
        left = self.missing - sum(unit.gpus for unit in self.taken)
        lots = Lots(pool.candidates, left) if pool.drawn else None
        units = iter(pool.candidates)
        step, tried = 1, begin
        while len(self.taken) - begin < len(pool.candidates):
            unit, owner = lots.take(self._stream, left) if lots is not None else (next(units), None)
            left -= unit.gpus
            self.taken.append(unit)
            self.draws.append(Drawn(pool=number, unit=unit.ref, owner=owner, used=self._stream.used))
            if left > 0:
                tried = len(self.taken)
            elif len(self.taken) - tried >= step:
                if self._enough(len(self.taken)):
                    self._shorten(tried)
                    return True
                tried, step = len(self.taken), 2 * step
        if left <= 0 and len(self.taken) > tried and self._enough(len(self.taken)):
            self._shorten(tried)
            return True
        return False

    def _enough(self, count: int) -> bool:
        return self._suffices(self.taken[:count])

    def _shorten(self, failed: int) -> None:
        """Forget what was taken after it sufficed; the first `failed` do not, or were not asked about."""
        enough = len(self.taken)
        while enough - failed > 1:
            middle = (failed + enough) // 2
            if self._enough(middle):
                enough = middle
            else:
                failed = middle
        del self.taken[enough:], self.draws[enough:]

    def give_back(self) -> Sequence[Candidate]:
        """What proves unnecessary, last taken first, so that of what remains no unit can be spared.

        Neighbours are tried together where one after the other was spared: since more cuts never make the plan fail,
        the answer is the same as one by one.
        """
        kept = list(self.taken)
        surplus = sum(unit.gpus for unit in kept) - self.missing
        at, step = len(kept), 1
        while at:
            step = min(step, at)
            some = kept[at - step : at]
            gpus = sum(unit.gpus for unit in some)
            if gpus <= surplus and self._suffices([*kept[: at - step], *kept[at:]]):
                self.given_back += reversed(some)
                del kept[at - step : at]
                surplus -= gpus
                at -= step
                step *= 2
            elif step == 1:
                at -= 1
            else:
                step //= 2
        return self.given_back

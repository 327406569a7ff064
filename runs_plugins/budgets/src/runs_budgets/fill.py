"""Who is paid for: claims in the order of their rank take what is left, and a change touches only what it changes.

Claims stand in blocks. Of each block is known what is left of each bound where it begins (`entry`), what its claims
take of it (`taken`), and from how much on one of them would take more (`high`). A change by which nothing in a block
becomes different passes it by; a block is gone through only where `taken <= entry < high` no longer holds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import attrgetter

from runs_budgets.claims import Claim, Rank

Changed = list[tuple[Claim, int]]
"""Claims that take another amount now, each with what it took before."""

MOST = 48
"""Claims in a block. A change costs about so many steps, and as many as there are blocks behind it."""
BOUNDLESS = 1 << 60
_rank = attrgetter("rank")


class Block:
    """Some claims that follow each other. entry, taken, high: GPUs, by bound."""

    __slots__ = ("claims", "entry", "high", "ranks", "taken")

    def __init__(self, claims: list[Claim], entry: dict[int, int]) -> None:
        self.claims = claims
        self.ranks: list[Rank] = [claim.rank for claim in claims]
        self.entry = entry
        self.taken: dict[int, int] = {}
        self.high: dict[int, int] = {}


class Fill:
    """Claims on envelopes that share bounds. limits: GPUs of each bound; a claim's `dims` are places in it.

    A claim of a fixed run takes all that it needs or nothing: then claims behind it may fit that are narrower.
    touched: claims that any fill of this process has looked at: a counter for tests, and no part of its state.
    """

    touched = 0

    def __init__(self, limits: Sequence[int]) -> None:
        self.limits = list(limits)
        self.demand = [0] * len(self.limits)
        self.blocks: list[Block] = [Block([], {})]
        self.firsts: list[Rank] = []

    # -- changing ---------------------------------------------------------------------------------------------------

    def rebuild(self, claims: list[Claim]) -> Changed:
        """These and no others stand here now. O(n log n)."""
        changed: Changed = []
        claims.sort(key=_rank)
        self.demand = [0] * len(self.limits)
        for claim in claims:
            self._demand(claim, claim.need)
        if len(claims) <= MOST:
            self._one_block(claims)
            return self._only(self.blocks[0])
        step = max(1, MOST // 2)
        self.blocks = [Block(claims[at : at + step], {}) for at in range(0, len(claims), step)]
        left = dict(enumerate(self.limits))
        for block in self.blocks:
            for claim in block.claims:
                for dim in claim.dims:
                    block.entry[dim] = left[dim]
            self._go_through(block, changed)
            for dim, taken in block.taken.items():
                left[dim] -= taken
        self._name_blocks()
        return changed

    def insert(self, claim: Claim) -> Changed:
        """One more."""
        self._demand(claim, claim.need)
        at = self._block_of(claim.rank)
        block = self.blocks[at]
        place = bisect_left(block.ranks, claim.rank)
        block.ranks.insert(place, claim.rank)
        block.claims.insert(place, claim)
        if len(self.blocks) == 1:
            if len(block.claims) > MOST:
                return self._anew()
            return [(claim, 0)] if self._takes_all(claim) else self._only(block)
        if not place:
            self.firsts[at] = claim.rank
        for dim in claim.dims:
            if dim not in block.entry:
                block.entry[dim] = self._left_before(at, dim)
        if self._takes_all(claim):
            changed = [(claim, 0)]
            self._pass_on(at, claim, claim.need)
        else:
            changed = self._on_from(at)
        if len(block.claims) > MOST:
            self._split(at)
        return changed

    def remove(self, claim: Claim) -> Changed:
        """One less; it takes nothing from now on."""
        at = self._block_of(claim.rank)
        block = self.blocks[at]
        place = bisect_left(block.ranks, claim.rank)
        assert block.claims[place] is claim
        loose = self._loose(claim)
        self._demand(claim, -claim.need)
        del block.ranks[place], block.claims[place]
        changed: Changed = [(claim, claim.taken)] if claim.taken else []
        claim.taken = 0
        if len(self.blocks) == 1:
            return changed if loose else changed + self._only(block)
        if loose:
            self._pass_on(at, claim, -claim.need)
        else:
            changed += self._on_from(at)
        self._tidy(at)
        return changed

    def _demand(self, claim: Claim, need: int) -> None:
        demand = self.demand
        for dim in claim.dims:
            demand[dim] += need

    # -- where everything fits ----------------------------------------------------------------------------------------

    def _loose(self, claim: Claim) -> bool:
        """Whether all that is asked of its bounds fits: then what it does concerns nobody else."""
        demand, limits = self.demand, self.limits
        for dim in claim.dims:  # noqa: SIM110 - all() costs three times as much, once for each change
            if demand[dim] > limits[dim]:
                return False
        return True

    def _takes_all(self, claim: Claim) -> bool:
        """Takes it in, if everything fits."""
        if self._loose(claim):
            Fill.touched += 1
            claim.taken = claim.need
            return True
        return False

    def _pass_on(self, at: int, claim: Claim, more: int) -> None:
        """So much more is taken there, and less is left behind: what fits as it did takes what it took."""
        block = self.blocks[at]
        for dim in claim.dims:
            block.taken[dim] = block.taken.get(dim, 0) + more
            block.high.setdefault(dim, BOUNDLESS)
        for behind in self.blocks[at + 1 :]:
            entry = behind.entry
            for dim in claim.dims:
                if dim in entry:
                    entry[dim] -= more

    # -- one block: everything anew ------------------------------------------------------------------------------------

    def _only(self, block: Block) -> Changed:
        changed: Changed = []
        left = self.limits.copy()
        Fill.touched += len(block.claims)
        for claim in block.claims:
            dims = claim.dims
            room = left[dims[0]]
            for dim in dims:
                room = min(room, left[dim])
            taken = claim.need
            if taken > room:
                taken = 0 if claim.levels is None else claim.fitting(room)[0]
            if taken != claim.taken:
                changed.append((claim, claim.taken))
                claim.taken = taken
            if taken:
                for dim in dims:
                    left[dim] -= taken
        return changed

    def _anew(self) -> Changed:
        return self.rebuild([claim for block in self.blocks for claim in block.claims])

    # -- many blocks --------------------------------------------------------------------------------------------------

    def _block_of(self, rank: Rank) -> int:
        return max(0, bisect_right(self.firsts, rank) - 1)

    def _on_from(self, at: int) -> Changed:
        """A block was changed: go through it, and through each behind it for which it makes a difference."""
        changed: Changed = []
        blocks = self.blocks
        more: dict[int, int] = {}
        self._difference(blocks[at], more, changed)
        for behind in range(at + 1, len(blocks)):
            if not more:
                break
            block = blocks[behind]
            entry = block.entry
            same = True
            for dim, extra in more.items():
                if dim in entry:
                    entry[dim] = left = entry[dim] + extra
                    if not block.taken[dim] <= left < block.high[dim]:
                        same = False
            if not same:
                self._difference(block, more, changed)
        return changed

    def _difference(self, block: Block, more: dict[int, int], changed: Changed) -> None:
        """Go through a block. more: what is left behind it beyond what was left there before, by bound."""
        before = block.taken
        self._go_through(block, changed)
        for dim, taken in block.taken.items():
            extra = more.pop(dim, 0) + before.get(dim, 0) - taken
            if extra:
                more[dim] = extra

    def _go_through(self, block: Block, changed: Changed) -> None:
        entry = block.entry
        left = dict(entry)
        high = dict.fromkeys(entry, BOUNDLESS)
        Fill.touched += len(block.claims)
        for claim in block.claims:
            dims = claim.dims
            tightest = dims[0]
            room = left[tightest]
            for dim in dims:
                if left[dim] < room:
                    room, tightest = left[dim], dim
            taken = claim.need
            if taken > room:
                taken, wants = (0, taken) if claim.levels is None else claim.fitting(room)
                wants += entry[tightest] - room
                high[tightest] = min(high[tightest], wants)
            if taken != claim.taken:
                changed.append((claim, claim.taken))
                claim.taken = taken
            if taken:
                for dim in dims:
                    left[dim] -= taken
        block.taken = {dim: was - left[dim] for dim, was in entry.items()}
        block.high = high

    def _left_before(self, at: int, dim: int) -> int:
        """What is left of a bound where a block begins."""
        for before in range(at - 1, -1, -1):
            block = self.blocks[before]
            if dim in block.entry:
                return block.entry[dim] - block.taken[dim]
        return self.limits[dim]

    # -- keeping blocks of a good size --------------------------------------------------------------------------------

    def _split(self, at: int) -> None:
        """A block that grows at its end is rather left full."""
        block = self.blocks[at]
        half = len(block.claims) // 2
        first, second = Block(block.claims[:half], dict(block.entry)), Block(block.claims[half:], {})
        self._go_through(first, [])
        second.entry = {dim: was - first.taken[dim] for dim, was in first.entry.items()}
        self._go_through(second, [])
        self.blocks[at : at + 1] = [first, second]
        self.firsts[at : at + 1] = [first.ranks[0], second.ranks[0]]

    def _tidy(self, at: int) -> None:
        """Join what has become small."""
        block = self.blocks[at]
        behind = self.blocks[at + 1] if at + 1 < len(self.blocks) else None
        if block.claims and (behind is None or len(block.claims) + len(behind.claims) > MOST // 2):
            self.firsts[at] = block.ranks[0]
            return
        if behind is not None:
            joined = Block(block.claims + behind.claims, {**behind.entry, **block.entry})
            self._go_through(joined, [])
            self.blocks[at : at + 2] = [joined]
        else:
            del self.blocks[at]
        if len(self.blocks) == 1:
            self._one_block(self.blocks[0].claims)
        else:
            self._name_blocks()

    def _one_block(self, claims: list[Claim]) -> None:
        """Alone, a block needs to know nothing of what is left where it begins."""
        self.blocks, self.firsts = [Block(claims, {})], []

    def _name_blocks(self) -> None:
        self.firsts = [block.ranks[0] for block in self.blocks]

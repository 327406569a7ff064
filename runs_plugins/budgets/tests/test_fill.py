"""Claims in blocks take what they take in one row, whether all of them fit or not."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from runs_budgets import fill
from runs_budgets.books import Books
from runs_budgets.claims import Claim
from runs_budgets.fill import Fill
from runs_core import Key, Payer

Patch = pytest.MonkeyPatch
LIMITS = (60, 20)
"""GPUs of an envelope, and those of them that it lends."""


def a_claim(rng: random.Random, number: int) -> Claim:
    purse = Books().purse(Payer(budget="b", envelope="main"))
    claim = Claim(Key("research", f"run-{number}"), str(number), "vision", purse)
    claim.need = rng.choice([1, 2, 4, 8])
    claim.dims = (0, 1) if rng.random() < 0.3 else (0,)
    claim.levels = tuple(range(1, claim.need)) if rng.random() < 0.2 else None
    claim.rank = (0, rng.randrange(10), number, "", "", "", "", "")
    return claim


def in_one_row(claims: Sequence[Claim]) -> list[int]:
    """What each takes, from the first to the last."""
    left, found = list(LIMITS), []
    for claim in sorted(claims, key=lambda one: one.rank):
        room = min(left[dim] for dim in claim.dims)
        taken = claim.need if claim.need <= room else claim.fitting(room)[0]
        for dim in claim.dims:
            left[dim] -= taken
        found.append(taken)
    return found


def history(seed: int) -> tuple[bool, int, int]:
    """Whether all took what they should after each change; changes in several blocks, and those at which all fitted."""
    rng = random.Random(seed)
    filled, claims, right, blocks, loose = Fill(LIMITS), list[Claim](), True, 0, 0
    for number in range(120):
        before = {claim: claim.taken for claim in claims}
        if claims and rng.random() < (0.6 if number % 40 > 20 else 0.3):
            claim = claims.pop(rng.randrange(len(claims)))
            changed = filled.remove(claim)
        else:
            claim = a_claim(rng, number)
            claims.append(claim)
            changed = filled.insert(claim)
        first: dict[Claim, int] = {}
        for one, was in changed:
            first.setdefault(one, was)
        told = {one for one, was in first.items() if one.taken != was}
        takes = [one.taken for one in sorted(claims, key=lambda one: one.rank)]
        moved = {one for one in claims if one.taken != before.get(one, 0)}
        right = right and takes == in_one_row(claims) and moved <= told
        blocks += len(filled.blocks) > 1
        loose += len(filled.blocks) > 1 and all(one.taken == one.need for one in claims)
    return right, blocks, loose


def wrong(monkeypatch: Patch) -> tuple[list[int], int, int]:
    """The histories in which somebody took something else; how many changes were in several blocks, and fitted so."""
    monkeypatch.setattr(fill, "MOST", 4)
    told = [history(seed) for seed in range(40)]
    failed = [at for at, (right, _, _) in enumerate(told) if not right]
    return failed, sum(blocks for _, blocks, _ in told), sum(fitted for _, _, fitted in told)


def test_blocks_take_what_one_row_takes(monkeypatch: Patch) -> None:
    found, blocks, fitting = wrong(monkeypatch)
    assert found == []
    assert 500 < fitting < blocks - 500


@pytest.mark.parametrize("forgets", ["what its block takes", "those behind"])
def test_a_change_that_fits_and_is_passed_on_to_nobody_is_found_out(forgets: str, monkeypatch: Patch) -> None:
    pass_on = Fill._pass_on

    def partly(self: Fill, at: int, claim: Claim, more: int) -> None:
        blocks = self.blocks
        if forgets == "those behind":
            self.blocks = blocks[: at + 1]
        pass_on(self, at, claim, more)
        self.blocks = blocks
        for dim in claim.dims if forgets == "what its block takes" else ():
            blocks[at].taken[dim] -= more

    monkeypatch.setattr(Fill, "_pass_on", partly)
    assert wrong(monkeypatch)[0]


def test_who_is_taken_to_fit_though_it_does_not_is_found_out(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Fill, "_loose", lambda self, claim: self.demand[0] <= self.limits[0])
    assert wrong(monkeypatch)[0]

"""Each property of this folder, shown to fail on an index that is broken in just the way it is there to find."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

import pytest
from runs_plugins.budgets.tests import test_properties as properties

from runs_budgets import claims, fill, layout, places
from runs_budgets.books import Books
from runs_budgets.claims import UNFUNDED, Claim
from runs_budgets.clock import NEVER
from runs_budgets.envelopes import Purse
from runs_budgets.fill import BOUNDLESS, Fill
from runs_budgets.meter import Holding
from runs_budgets.places import Places
from runs_budgets.quotas import Quotas
from runs_budgets.registry import Registry
from runs_core import Key

Patch = pytest.MonkeyPatch
Property = Callable[..., None]


def found_by(claim: Property, seeds: int = 40) -> bool:
    """Whether the property refuses what happens in one of so many histories, or cannot even be asked."""
    play: Callable[[random.Random], None] = claim.hypothesis.inner_test  # type: ignore[attr-defined]  # given's own
    for seed in range(seeds):
        try:
            play(random.Random(seed))
        except (AssertionError, LookupError):
            return True
    return False


def test_a_family_that_ranks_with_the_owner_is_found(monkeypatch: Patch) -> None:
    monkeypatch.setattr(claims, "_BANDS", (0, 0, 0, 0, 0))
    assert found_by(properties.test_what_is_kept_in_step_is_what_a_full_evaluation_finds)


def test_an_envelope_that_pays_whatever_the_flavor_is_found(monkeypatch: Patch) -> None:
    learn = Registry._learn

    def of_any(self: Registry, claim: Claim) -> None:
        learn(self, claim)
        claim.flavor = None

    monkeypatch.setattr(Registry, "_learn", of_any)
    assert found_by(properties.test_what_is_kept_in_step_is_what_a_full_evaluation_finds)


def test_an_envelope_that_pays_wherever_its_claims_lie_is_found(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Places, "elsewhere", lambda self, claim: False)
    assert found_by(properties.test_what_is_kept_in_step_is_what_a_full_evaluation_finds)


def test_a_node_of_other_labels_that_nobody_looks_at_is_found(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Registry, "look_again", lambda self, claim: None)
    assert found_by(properties.test_what_is_kept_in_step_is_what_a_full_evaluation_finds)


def for_ever(found: Callable[[], object]) -> Callable[[], object]:
    """Remembers what was found first."""
    once = cache(found)
    once.cache_clear = lambda: None  # type: ignore[method-assign]
    return once


def test_claims_that_are_sought_where_they_lay_are_found(monkeypatch: Patch) -> None:
    monkeypatch.setattr(places, "lru_cache", lambda size: for_ever)
    assert found_by(properties.test_what_is_kept_in_step_is_what_a_full_evaluation_finds)


def test_a_stranger_that_counts_as_a_loan_though_nothing_was_lent_is_found(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Claim, "lent", True)
    assert found_by(properties.test_what_is_kept_in_step_is_what_a_full_evaluation_finds)


def test_a_run_that_is_half_funded_is_found(monkeypatch: Patch) -> None:
    weigh = Claim.weigh

    def by_the_gpu(self: Claim) -> None:
        weigh(self)
        self.levels = tuple(range(1, self.need))

    monkeypatch.setattr(Claim, "weigh", by_the_gpu)
    assert found_by(properties.test_what_is_kept_in_step_is_what_a_full_evaluation_finds)


@pytest.mark.parametrize("forgets", ["_difference", "_left_before"])
def test_a_change_that_goes_no_farther_than_its_block_is_found(forgets: str, monkeypatch: Patch) -> None:
    monkeypatch.setattr(fill, "MOST", 4)
    if forgets == "_difference":
        monkeypatch.setattr(Fill, "_on_from", _its_block)
    else:
        monkeypatch.setattr(Fill, "_left_before", lambda self, at, dim: self.limits[dim])
    assert found_by(properties.test_what_is_kept_in_step_is_what_a_full_evaluation_finds, 60)


def _its_block(self: Fill, at: int) -> fill.Changed:
    changed: fill.Changed = []
    self._difference(self.blocks[at], {}, changed)
    return changed


def test_small_blocks_are_as_good_as_large_ones(monkeypatch: Patch) -> None:
    monkeypatch.setattr(fill, "MOST", 4)
    assert not found_by(properties.test_what_is_kept_in_step_is_what_a_full_evaluation_finds, 15)
    assert not found_by(properties.test_a_change_taken_back_at_once_leaves_no_trace, 15)


def test_a_run_that_is_not_told_is_found(monkeypatch: Patch) -> None:
    told = Books.told
    monkeypatch.setattr(Books, "told", lambda self: told(self)[1:])
    assert found_by(properties.test_a_run_whose_class_changed_is_told)


def test_an_aggregate_cap_that_does_not_hold_is_found(monkeypatch: Patch) -> None:
    monkeypatch.setattr(layout, "_holds", lambda cap, purse: False)
    assert found_by(properties.test_what_is_funded_exceeds_no_cap)


def test_lending_without_bounds_is_found(monkeypatch: Patch) -> None:
    limits = Purse.limits
    monkeypatch.setattr(Purse, "limits", lambda self: (next(limits(self)), BOUNDLESS))
    assert found_by(properties.test_what_is_funded_exceeds_no_cap)


def test_hours_that_nobody_counts_to_their_end_are_found(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Purse, "ends", lambda self: (NEVER, NEVER))
    assert found_by(properties.test_what_is_funded_exceeds_no_cap)


def test_a_meter_that_forgets_the_class_before_is_found(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Holding, "turn", lambda self, cls, now: setattr(self, "cls", cls))
    assert found_by(properties.test_hours_add_up_to_width_times_whole_seconds_and_never_shrink)


def test_a_meter_that_rounds_at_each_change_is_found(monkeypatch: Patch) -> None:
    turn = Holding.turn

    def rounds(self: Holding, cls: int, now: int) -> None:
        turn(self, cls, now + 500_000)

    monkeypatch.setattr(Holding, "turn", rounds)
    assert found_by(properties.test_hours_add_up_to_width_times_whole_seconds_and_never_shrink)


def test_a_clock_that_jumps_over_moments_is_found(monkeypatch: Patch) -> None:
    def jumps(self: Quotas, now: int) -> None:
        later = [spot for spot in self.next() if spot <= now]
        self._books.now = now
        if later:
            self._look_again({(b, name) for b, of in self._books.purses.items() for name in of})

    monkeypatch.setattr(Quotas, "pass_to", jumps)
    assert found_by(properties.test_it_does_not_matter_how_often_one_looks_at_the_clock)


def test_an_order_in_which_the_last_come_first_is_found(monkeypatch: Patch) -> None:
    weigh = Claim.weigh

    def latest_first(self: Claim) -> None:
        weigh(self)
        self.rank = (self.rank[0], -self.rank[1], *self.rank[2:])

    monkeypatch.setattr(Claim, "weigh", latest_first)
    assert found_by(properties.test_a_verdict_does_not_depend_on_claims_ranked_below_it)


def test_an_owner_that_must_wait_for_its_family_is_found(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Purse, "contractual", Purse.taken)
    assert found_by(properties.test_what_an_owner_can_have_of_its_own_does_not_depend_on_its_family)


def test_an_order_of_arrival_is_found(monkeypatch: Patch) -> None:
    weigh, come = Claim.weigh, iter(range(10**9))

    def as_they_come(self: Claim) -> None:
        weigh(self)
        self.rank = (self.rank[0], next(come), *self.rank[2:])

    monkeypatch.setattr(Claim, "weigh", as_they_come)
    assert found_by(properties.test_nothing_depends_on_the_order_in_which_things_were_seen)


def test_late_leases_that_are_counted_at_first_sight_are_found(monkeypatch: Patch) -> None:
    take_up = Books._take_up

    def at_once(self: Books, claim: Claim, holding: Holding, cls: int) -> None:
        take_up(self, claim, holding, cls)
        self.count_late()

    monkeypatch.setattr(Books, "_take_up", at_once)
    assert found_by(properties.test_nothing_depends_on_the_order_in_which_things_were_seen)


def test_a_meter_that_is_lost_with_what_is_taken_back_is_found(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Books, "again", lambda *_: None)
    assert found_by(properties.test_a_change_taken_back_at_once_leaves_no_trace)


def test_a_what_if_that_leaves_its_meters_is_found(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Books, "restore", lambda self: self._kept.pop())
    assert found_by(properties.test_a_what_if_leaves_no_trace_though_time_goes_on_in_it)


def test_a_run_that_stays_unpaid_though_its_payer_is_back_is_found(monkeypatch: Patch) -> None:
    def for_good(self: Books, holding: Holding, run: Key) -> None:
        if holding.cls == UNFUNDED:
            self.unfunded[holding] = run

    monkeypatch.setattr(Books, "note", for_good)
    assert found_by(properties.test_what_is_kept_in_step_is_what_a_full_evaluation_finds)


def test_a_what_if_after_which_runs_count_as_paid_for_is_found(monkeypatch: Patch) -> None:
    note = Books.note

    def only_meanwhile(self: Books, holding: Holding, run: Key) -> None:
        if not self.supposing or holding.cls != UNFUNDED:
            note(self, holding, run)

    monkeypatch.setattr(Books, "note", only_meanwhile)
    assert found_by(properties.test_a_what_if_leaves_no_trace_though_time_goes_on_in_it)


def test_a_what_if_in_which_nothing_closes_is_found(monkeypatch: Patch) -> None:
    look = Quotas._look_again

    def only_really(self: Quotas, spots: set[tuple[str, str]]) -> None:
        if not self._books.supposing:
            look(self, spots)
        else:
            self._books.dues.clear()

    monkeypatch.setattr(Quotas, "_look_again", only_really)
    assert found_by(properties.test_a_what_if_finds_what_would_really_be)

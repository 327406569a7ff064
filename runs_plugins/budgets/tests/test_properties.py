"""What holds of the index whatever happens."""

from __future__ import annotations

import random

from budget_histories import Stage, play
from hypothesis import given, settings
from hypothesis import strategies as st
from runs_core import Class

from runs_budgets.claims import CLASSES
from runs_budgets.oracle import evaluate_all

EXAMPLES = 60
dice = st.integers(0, 2**32 - 1).map(random.Random)


def as_the_oracle_says(stage: Stage) -> None:
    """Classes, what is funded of each envelope, and every meter."""
    found = evaluate_all(stage.chronicle.facts())
    for key, lease in stage.chronicle.leases.items():
        assert stage.funding.classify(lease) == CLASSES[found.classes[key]], key
        split = stage.funding.meter(lease, stage.now)
        assert split is not None
        spent = stage.chronicle.lease_seconds.get(key, [0, 0, 0, 0])
        assert [split.owned, split.shared, split.borrowed, split.unfunded] == spent, key
    for (budget, name), funded in found.funded.items():
        purse = stage.funding.books.purses[budget][name]
        assert purse.funded == list(funded), (budget, name)
        assert purse.tally.until(stage.chronicle.now) == stage.chronicle.used.get((budget, name), [0, 0, 0, 0])


@given(dice)
@settings(max_examples=EXAMPLES)
def test_what_is_kept_in_step_is_what_a_full_evaluation_finds(rng: random.Random) -> None:
    play(rng, 120, [as_the_oracle_says])

"""Whatever happens to a small cluster: invariants 1, 2, 4, 5, 6, 8 and 9 hold, and every index equals its oracle.

The Harness checks the invariants after every cycle, so playing a history is the check of the first five.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.properties.histories import History, Instant, history, play

from runs_core.testing.builders import A_MONDAY
from runs_core.testing.canonical import canonical, first_difference
from runs_core.testing.checks import Counted
from runs_core.testing.harness import Harness
from runs_core.values.change import Change

EXAMPLES = 60
told = st.integers(0, 2**32 - 1).map(random.Random).map(history)
dice = st.integers(0, 2**32 - 1).map(random.Random)


def records(stage: Harness) -> bytes:
    return canonical(stage.records, A_MONDAY)


def lively(counted: Counted, histories: int = EXAMPLES) -> None:
    """A check over histories in which nothing happened proves nothing."""
    assert counted.utilisation > 0.8
    assert counted.starts > 3 * histories
    assert counted.waits > 3 * histories
    assert counted.losses > histories


def test_no_history_breaks_an_invariant_or_lets_an_index_drift() -> None:
    counted = Counted()

    @settings(max_examples=EXAMPLES)
    @given(told)
    def holds(history: History) -> None:
        counted.add(play(history, oracles=True).counted)

    holds()
    lively(counted)


def mixed(rng: random.Random, history: History) -> History:
    """The same, each listing and each instant in another order."""
    things = tuple(rng.sample(history.things, len(history.things)))
    return History(
        things, tuple(Instant(at.after, tuple(rng.sample(at.acts, len(at.acts)))) for at in history.instants)
    )


def test_the_order_in_which_things_are_seen_at_one_instant_never_matters() -> None:
    counted = Counted()

    @settings(max_examples=EXAMPLES)
    @given(told, dice)
    def holds(history: History, rng: random.Random) -> None:
        one, other = play(history), play(mixed(rng, history))
        assert first_difference(records(one), records(other)) == ""
        counted.add(one.counted)

    holds()
    lively(counted)


def test_a_run_that_was_touched_in_vain_is_told_in_the_same_order() -> None:
    """A history that was found to differ: a namespace changed its owner for a moment, in one of two orders."""
    seen = history(random.Random(767266))
    one, other = play(seen), play(mixed(random.Random(0), seen))
    assert first_difference(records(one), records(other)) == ""


def restarts(rng: random.Random) -> Callable[[Harness], None]:
    """After about half of the instants another process goes on, which gets to know the facts in any order."""

    def facts(known: Sequence[Change]) -> Sequence[Change]:
        first, *rest, last = known
        return [first, *rng.sample(rest, len(rest)), last]

    def between(stage: Harness) -> None:
        if rng.random() < 0.5:
            stage.restart(facts)

    return between


def test_a_restart_at_any_moment_with_the_facts_in_any_order_changes_nothing() -> None:
    counted = Counted()

    @settings(max_examples=EXAMPLES)
    @given(told, dice)
    def holds(history: History, rng: random.Random) -> None:
        one, other = play(history), play(history, between=restarts(rng))
        assert first_difference(records(one), records(other)) == ""
        counted.add(other.counted)

    holds()
    lively(counted)


def test_commits_that_are_refused_and_tried_again_end_in_the_same_records() -> None:
    counted = Counted()

    @settings(max_examples=EXAMPLES)
    @given(told, dice)
    def holds(history: History, rng: random.Random) -> None:
        def refusing(stage: Harness) -> None:
            stage.stage.refuses = lambda: rng.random() < 0.4

        one, other = play(history), play(history, between=refusing)
        assert first_difference(records(one), records(other)) == ""
        counted.add(other.counted)

    holds()
    lively(counted)
    assert counted.conflicts > 3 * EXAMPLES


PLAYED = """
import random, sys
from runs_core.testing.builders import A_MONDAY
from runs_core.testing.canonical import canonical
from tests.properties.histories import history, play
for seed in range(8):
    sys.stdout.buffer.write(canonical(play(history(random.Random(seed))).records, A_MONDAY))
"""


def test_the_same_bytes_come_out_under_every_hash_seed() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-c", PLAYED],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        ).stdout
        for seed in ("0", "1", "4294967295")
    ]
    assert told[0].count(b'"kind": "Starts"') > 20
    assert told[0].count(b'"kind": "Waits"') > 20
    assert first_difference(told[0], told[1]) == ""
    assert first_difference(told[0], told[2]) == ""

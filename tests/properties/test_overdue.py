"""Whose time has come keeps places no longer than its owner's patience, unless something says another time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.properties.test_forecast import moments_of_a_day

from runs_core.decide import promise
from runs_core.testing.harness import Harness

EXAMPLES = 30
MINUTE = timedelta(minutes=1)


def moments(seed: int) -> Iterator[Harness]:
    """Of a day, and of the hour after its last arrival."""
    for stage, _ in moments_of_a_day(seed):
        yield stage
    for _ in range(20):
        stage.advance(seconds=180)
        yield stage


def kept_too_long(seed: int, seen: Counter[str] | None = None) -> list[str]:
    """Promises that are worked out anew at whole minutes, so one more is allowed."""
    found = []
    for stage in moments(seed):
        world = stage.world
        for key, one in world.promises.by_run.items():
            at, run = one.status.earliest_start, world.run(key)
            assert at is not None
            patience = world.settings.patience.holds_after(world.owner(run) if run is not None else None)
            late = at < world.now
            if seen is not None:
                seen.update(["overdue"] * late, without=late and not one.status.places)
            if one.status.places and at + patience + MINUTE < world.now:
                found.append(f"{key}, promised {at}, keeps {len(one.status.places)} places at {world.now}")
    return found


def test_nothing_is_kept_for_an_overdue_promise_beyond_patience() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES)
    @example(127)  # a node is cordoned, another has a stranger's pod, and nothing says when that ends
    @given(st.integers(0, 2**32))
    def holds(seed: int) -> None:
        assert kept_too_long(seed, seen) == []

    holds()
    assert min(seen["overdue"], seen["without"]) > EXAMPLES, seen


def test_a_promise_that_is_never_let_go_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "let_go", lambda *_: None)
    assert any(kept_too_long(seed) for seed in range(100, 160))

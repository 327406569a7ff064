"""Who passes a run that waits never delays what that run was promised, as long as everybody's word is true."""

from __future__ import annotations

import random
from datetime import timedelta

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runs_core.decide import slices
from runs_core.testing.builders import A_MONDAY, a_node, a_run, lasting
from runs_core.testing.harness import Harness
from runs_core.values.reservation import Basis, Reservation, ReservationPhase
from runs_core.values.run import Phase, Run, Runtime, Spread
from runs_core.world.world import World

EXAMPLES = 40
POD_START = timedelta(seconds=2)


def a_word_kept(rng: random.Random, number: int) -> Run:
    """It says how long it takes, and takes so long."""
    per_pod = rng.choice((1, 2, 4))
    gpus = per_pod * rng.choice((1, 1, 2, 3))
    spread = rng.choice((Spread.ALLOWED, Spread.ALLOWED, Spread.SINGLE_DOMAIN))
    length = timedelta(minutes=rng.choice((1, 2, 5, 9, 20, 45)))
    run = a_run(f"r{number:02}", gpus=gpus, gpus_per_pod=per_pod, spread=spread)
    said = attrs.evolve(run, spec=attrs.evolve(run.spec, runtime=Runtime(expected_duration=length)))
    return lasting(said, length - POD_START)


def a_day(seed: int) -> Harness:
    """Three nodes in two domains, and runs that come one after another; played to the end."""
    rng = random.Random(seed)
    nodes = [a_node(f"n{number}", gpus=rng.choice((4, 8)), domain=f"d{number % 2}") for number in range(3)]
    stage = Harness(*nodes)
    stage.settle()
    for number in range(rng.randint(8, 20)):
        run = a_word_kept(rng, number)
        status = attrs.evolve(run.status, admitted_at=None, queued_since=None)
        stage.submit(attrs.evolve(run, meta=attrs.evolve(run.meta, created=stage.now), status=status))
        stage.advance(seconds=rng.choice((0, 7, 30, 61, 200)))
    stage.advance_until_quiet()
    return stage


def broken_promises(stage: Harness) -> list[str]:
    """Every promise that the start came later than."""
    return [
        f"{one.run} was promised {promise.earliest_start} and came {promise.error_seconds} s late"
        for one in stage.reservations.values()
        if one.status.phase is ReservationPhase.RELEASED
        for promise in one.status.promises
        if promise.basis is Basis.ENDS and (promise.error_seconds or 0) > 0
    ]


def passed(stage: Harness) -> int:
    """Runs that started before another that had stood in line before them, while that had a promise."""
    kept: list[Reservation] = [one for one in stage.reservations.values() if one.status.end is not None]
    runs = stage.world.runs()
    return sum(
        run.status.started_at is not None
        and one.status.end is not None
        and one.spec.at <= run.status.started_at < one.status.end
        and run.key != one.run
        and (run.status.admitted_at or A_MONDAY) > one.spec.at
        for one in kept
        for run in runs
    )


def test_backfill_never_delays_what_was_promised_by_declared_ends() -> None:
    told = {"promises": 0, "passed": 0}

    @settings(max_examples=EXAMPLES)
    @given(st.integers(0, 2**32))
    def holds(seed: int) -> None:
        stage = a_day(seed)
        assert broken_promises(stage) == []
        left = [run for run in stage.world.runs() if run.status.phase is not Phase.SUCCEEDED]
        assert all(run.status.reason == "NeverFits" for run in left)
        told["promises"] += len(stage.reservations)
        told["passed"] += passed(stage)

    holds()
    assert told["promises"] > 3 * EXAMPLES
    assert told["passed"] > EXAMPLES


def test_who_leaves_nothing_to_others_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_left(world: World, *_: object) -> dict[str, int]:
        return dict.fromkeys(world.promises.masks, 0)

    monkeypatch.setattr(slices, "left", nothing_left)
    assert any(broken_promises(a_day(seed)) for seed in range(60))

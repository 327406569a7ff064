"""On random days lots are drawn for nobody whose patience is not over, and take nothing inside anybody's quantum."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runs_core.decide import victims
from runs_core.settings import PatienceSettings, ReclaimSettings, ResolverSettings, Settings
from runs_core.testing.builders import a_budget, a_node, a_run
from runs_core.testing.harness import Harness
from runs_core.testing.purses import Purse, hours, purses
from runs_core.values.lease import Closed
from runs_core.values.reservation import Basis, ReservationPhase
from runs_core.values.resolution import Resolution
from runs_core.world.quanta import Quanta

EXAMPLES = 25
MINUTE = timedelta(minutes=1)
PATIENCE, QUANTUM = 10 * MINUTE, 15 * MINUTE
SETTINGS = Settings(
    patience=PatienceSettings(default="10m"),
    resolver=ResolverSettings(quantum=QUANTUM),
    reclaim=ReclaimSettings(min_runtime=MINUTE),
)


def a_day(seed: int) -> Harness:
    """Three nodes, three owners who pay for all, and runs that nobody knows the length of."""
    rng = random.Random(seed)
    owners = [a_budget(f"org:{name}", namespaces=(name,)) for name in "abc"]
    nodes = [a_node(f"n{number}", gpus=4, domain=f"d{number % 2}") for number in range(3)]
    money = purses(Purse(name="main", gpus=99))
    stage = Harness(*owners, *nodes, plugins={"purses": money}, settings=SETTINGS)
    for number in range(rng.randint(8, 14)):
        per_pod = rng.choice((1, 2, 4))
        run = a_run(
            f"r{number:02}", namespace=rng.choice("abc"), gpus=per_pod * rng.choice((1, 1, 2)), gpus_per_pod=per_pod
        )
        came = attrs.evolve(run.meta, created=stage.now)
        waits = attrs.evolve(run.status, admitted_at=None, queued_since=None)
        stage.submit(hours(attrs.evolve(run, meta=came, status=waits), rng.choice((0.1, 0.5, 3))))
        stage.advance(seconds=rng.choice((0, 20, 60, 200)))
    stage.advance(hours=2)
    return stage


def waited_since(stage: Harness, one: Resolution) -> datetime:
    """Since the beneficiary was last cut, or else since it came."""
    (run,) = [run for run in stage.world.runs() if one.spec.beneficiary and run.uid == one.spec.beneficiary.uid]
    closed = [lease for lease in stage.witness.closed.values() if lease.spec.run_ref.uid == run.uid]
    ends = [end for lease in closed if (end := lease.status.end) is not None and end <= one.spec.at]
    assert run.meta.created is not None
    return max([run.meta.created, *ends])


def rests_on_patience(stage: Harness, one: Resolution) -> bool:
    """What the beneficiary was promised last, before that."""
    promises = [
        promise
        for reservation in stage.reservations.values()
        if one.spec.beneficiary and reservation.spec.run_ref.uid == one.spec.beneficiary.uid
        for promise in reservation.status.promises
        if promise.at <= one.spec.at
    ]
    return max(promises, key=lambda promise: promise.at).basis is Basis.PATIENCE


def too_early(stage: Harness) -> list[str]:
    """Resolutions that drew somebody before its quantum was over, or for somebody whose patience was not."""
    found = []
    for one in stage.world.resolutions():
        began = [
            lease.spec.start
            for lease in stage.witness.closed.values()
            if lease.status.closure_reason is Closed.PREEMPTED
            and lease.status.closure_detail.startswith(f"{one.name} ")
        ]
        if any(one.spec.at - start < QUANTUM for start in began):
            found.append(f"{one.name} drew a run inside its quantum")
        if one.spec.at - waited_since(stage, one) < PATIENCE and rests_on_patience(stage, one):
            found.append(f"{one.name} drew before the patience was over")
    return found


def test_lots_are_drawn_when_both_have_had_their_time() -> None:
    told = {"drawn": 0, "promised": 0}

    @settings(max_examples=EXAMPLES)
    @given(st.integers(0, 2**32))
    def holds(seed: int) -> None:
        stage = a_day(seed)
        assert too_early(stage) == []
        told["drawn"] += len(stage.world.resolutions())
        told["promised"] += sum(
            one.status.phase is ReservationPhase.RELEASED and one.status.promises[-1].basis is Basis.PATIENCE
            for one in stage.reservations.values()
        )

    holds()
    assert min(told.values()) > EXAMPLES


def test_a_patience_that_ends_early_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PatienceSettings, "of", lambda *_: MINUTE)
    assert any(too_early(a_day(seed)) for seed in range(20))


def test_a_quantum_that_is_not_kept_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(victims, "spared_until", lambda world, run, *_: victims.protected_until(world, run))
    monkeypatch.setattr(Quanta, "until", lambda self, run: victims.protected_until(self._world, run))
    assert any(too_early(a_day(seed)) for seed in range(20))

"""A promise that rests on patience: who is not drawn for it, and what becomes of it where its time comes in vain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import attrs
import pytest

from runs_core.decide import early
from runs_core.decide.forecast import foresee
from runs_core.settings import PatienceSettings, ResolverSettings, Settings
from runs_core.testing.builders import A_MONDAY, a_budget, a_node, a_run
from runs_core.testing.harness import Harness
from runs_core.testing.plugins import a_plugin
from runs_core.testing.purses import Purse, hours, purses
from runs_core.values.reservation import Basis, Reservation
from runs_core.values.run import Phase, Run
from runs_core.world.timetable import Timetable

MINUTE = timedelta(minutes=1)
PATIENT = Settings(patience=PatienceSettings(default="10m"), resolver=ResolverSettings(quantum=40 * MINUTE))


def paid(namespace: str, name: str, gpus: int) -> Run:
    return hours(a_run(name, namespace=namespace, gpus=gpus), 99)


def a_stage(*, protected: Sequence[str] = ()) -> Harness:
    """`x` holds n1 from 0 and `z` n2 from 5: they may be drawn from 40 and 45 on. `heir` wants one of them at 6."""

    def runs_protected(run: Run) -> Sequence[str]:
        return ["serves"] if run.meta.name in protected else ()

    owners = [a_budget(f"org:{name}", namespaces=(name,)) for name in ("a", "b", "c")]
    plugins = {"purses": purses(Purse(name="main", gpus=64)), "guard": a_plugin(runs_protected)}
    stage = Harness(*owners, a_node("n1"), a_node("n2"), plugins=plugins, settings=PATIENT, oracles=True)
    stage.settle()
    stage.submit(paid("a", "x", 8))
    stage.advance(minutes=5)
    stage.submit(paid("b", "z", 8))
    stage.advance(minutes=1)
    stage.submit(paid("c", "heir", 8))
    stage.settle()
    return stage


def promised(stage: Harness) -> Reservation:
    return stage.world.promises.by_run[stage.run("c/heir").key]


def told(stage: Harness) -> list[tuple[float, str]]:
    return [((one.earliest_start - A_MONDAY) / MINUTE, one.cause) for one in promised(stage).status.promises]


def test_it_says_when_the_first_may_be_drawn_who_is_enough() -> None:
    stage = a_stage()
    found = promised(stage).status
    assert (told(stage), found.basis, found.blocked_by) == ([(40, "")], Basis.PATIENCE, ("a/x",))


def test_whom_a_plugin_protects_is_not_reckoned_with() -> None:
    assert told(a_stage(protected=["x"])) == [(45, "")]
    assert a_stage(protected=["x", "z"]).world.promises.by_run == {}


def test_a_time_that_comes_in_vain_moves_the_promise_and_that_is_said() -> None:
    """`x` is protected from 30 on: at 40 nobody can be drawn, and `z` at 45."""
    protected: list[str] = []
    stage = a_stage(protected=protected)
    stage.advance(minutes=24)
    protected.append("x")
    stage.advance(minutes=12)
    assert (stage.phase("c/heir"), len(stage.world.resolutions())) == (Phase.RESERVED, 0)
    assert told(stage) == [(40, ""), (45, "it could not start at 2026-01-05T12:40:00Z")]
    stage.advance(minutes=5)
    (drawn,) = stage.world.resolutions()
    assert [str(cut.run) for cut in drawn.spec.cuts] == ["b/z"]


def test_a_promise_that_reckons_with_nobodys_patience_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "lots_for", lambda *_: None)
    assert a_stage().world.promises.by_run == {}


def spared_for(minutes: int) -> Callable[[Run], Run]:
    def edited(run: Run) -> Run:
        runtime = attrs.evolve(run.spec.runtime, min_runtime=minutes * MINUTE)
        return attrs.evolve(run, spec=attrs.evolve(run.spec, runtime=runtime))

    return edited


def foreseen(stage: Harness) -> float | None:
    found = foresee(stage.world, stage.run("c/heir"), stage.loop.advice)
    return None if found is None else (found.at - A_MONDAY) / MINUTE


def test_who_is_spared_for_longer_than_it_was_is_reckoned_with_only_then() -> None:
    stage = a_stage()
    assert foreseen(stage) == 40
    stage.edit("a/x", spared_for(60))
    stage.settle()
    assert foreseen(stage) == 45
    stage.edit("b/z", spared_for(50))
    stage.settle()
    assert foreseen(stage) == 55


def test_a_quantum_that_moves_unheard_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = a_stage()
    assert foreseen(stage) == 40
    monkeypatch.setattr(Timetable, "moved", lambda *_: None)
    stage.edit("a/x", spared_for(60))
    stage.settle()
    assert foreseen(stage) == 40

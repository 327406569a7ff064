"""Who uses places that are promised to somebody is sent away when the time comes; who was there before is not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import attrs
import pytest

from runs_core.settings import PatienceSettings, Settings
from runs_core.testing.builders import a_budget, a_node, a_run, lasting
from runs_core.testing.harness import Harness
from runs_core.testing.plugins import a_plugin
from runs_core.testing.purses import Purse, purses
from runs_core.values.lease import Closed
from runs_core.values.meta import Key
from runs_core.values.node import Node
from runs_core.values.run import Run, Runtime

NOBODY_IS_PATIENT = Settings(patience=PatienceSettings(default="Never"))


def saying(name: str, gpus: int, minutes: float, *, really: float, least: float | None = None) -> Run:
    """It says that it takes so many minutes, and takes `really` so many. least: it is not to be cut before."""
    minimum = None if least is None else timedelta(minutes=least)
    runtime = Runtime(expected_duration=timedelta(minutes=minutes), min_runtime=minimum)
    run = a_run(name, gpus=gpus)
    return lasting(attrs.evolve(run, spec=attrs.evolve(run.spec, runtime=runtime)), timedelta(minutes=really))


def paid_for(*nodes: Node, **plugins: object) -> Harness:
    """Everybody's own purse pays."""
    money = purses(Purse(name="main", gpus=100))
    return Harness(
        a_budget("vision"), *nodes, plugins={"purses": money, **plugins}, settings=NOBODY_IS_PATIENT, oracles=True
    )


def submitted(stage: Harness, *runs: Run) -> None:
    for run in runs:
        stage.submit(run)
    stage.settle()


def ended(stage: Harness, name: str) -> list[Closed | None]:
    return [lease.status.closure_reason for lease in stage.witness.closed.values() if lease.run.name == name]


def cut(stage: Harness) -> list[tuple[str, str]]:
    return [(one.run.name, one.stage) for resolution in stage.world.resolutions() for one in resolution.spec.cuts]


@pytest.mark.parametrize(("holder", "waiter"), [("a", "z"), ("z", "a")])
def test_who_started_in_the_moment_of_the_promise_but_before_it_is_not_sent_away(holder: str, waiter: str) -> None:
    """It is two minutes late. Both are seen at one moment, one after the other."""
    stage = paid_for(a_node("n1"))
    submitted(stage, saying(holder, 8, 60, really=62))
    submitted(stage, saying(waiter, 8, 60, really=60))
    assert stage.world.promises.by_run[stage.run(waiter).key].spec.at == stage.run(holder).status.started_at
    stage.advance(minutes=63)
    assert (cut(stage), ended(stage, holder)) == ([], [Closed.SUCCEEDED])


def test_who_starts_in_promised_places_in_the_moment_of_the_promise_is_sent_away() -> None:
    stage = paid_for(a_node("n1"))
    submitted(stage, saying("holder", 4, 60, really=58))
    submitted(stage, saying("wide", 8, 60, really=60), saying("with", 4, 30, really=300))
    assert stage.world.promises.by_run[stage.run("wide").key].spec.at == stage.run("with").status.started_at
    stage.advance(minutes=61)
    assert (cut(stage), ended(stage, "with")) == ([("with", "slice")], [Closed.SLICE_RECLAIMED])
    assert stage.placed("wide") == {"n1": 8}


def test_who_started_in_places_that_were_promised_only_later_is_not_sent_away() -> None:
    """`wide` is promised n1, and then n2 sooner, as `p` has left it early. `r` has come there between, and is late."""
    stage = paid_for(a_node("n1"), a_node("n2"))
    submitted(stage, saying("first", 8, 60, really=60))
    submitted(stage, saying("p", 4, 300, really=8.5), saying("q", 4, 48, really=47))
    stage.advance(minutes=1)
    submitted(stage, saying("wide", 8, 60, really=60), saying("r", 4, 40, really=42))
    stage.advance(minutes=9)
    promise = stage.world.promises.by_run[stage.run("wide").key]
    assert {one.node for one in promise.status.places} == set(stage.placed("r")) == {"n2"}
    assert promise.spec.at < (stage.run("r").status.started_at or stage.now)
    stage.advance(minutes=42)
    assert (cut(stage), ended(stage, "r"), stage.placed("wide")) == ([], [Closed.SUCCEEDED], {"n2": 8})


def test_who_is_in_promised_places_is_not_sent_away_inside_its_least_runtime() -> None:
    stage = guest_that_overstays(least=120)
    assert cut(stage) == []
    stage.advance(minutes=60 + 21)  # 120 minutes after its start
    assert (cut(stage), ended(stage, "guest")) == ([("guest", "slice")], [Closed.SLICE_RECLAIMED])
    assert stage.placed("wide") == {"n1": 8}
    (kept,) = [one for one in stage.reservations.values() if one.run.name == "wide"]
    assert "research/guest is expected to run until 2026-01-05T14:21:00Z" in [one.cause for one in kept.status.promises]


def test_who_is_in_promised_places_and_protected_by_a_plugin_is_not_sent_away() -> None:
    protected = [Key("research", "guest")]

    def runs_protected(run: Run) -> Sequence[str]:
        return ["serves"] if run.key in protected else []

    stage = guest_that_overstays(least=10, guard=a_plugin(runs_protected))
    assert cut(stage) == []
    protected.clear()
    stage.advance(minutes=10)
    assert cut(stage) == [("guest", "slice")]


def guest_that_overstays(*, least: float, **plugins: object) -> Harness:
    """A minute after the time that `wide` was promised: `guest` came 39 minutes before it, and said 30."""
    stage = paid_for(a_node("n1"), **plugins)
    submitted(stage, saying("long", 4, 60, really=58), saying("short", 4, 20, really=19))
    submitted(stage, saying("wide", 8, 60, really=60))
    stage.advance(minutes=21)
    submitted(stage, saying("guest", 4, 30, really=300, least=least))
    assert stage.placed("guest") == {"n1": 4}
    stage.advance(minutes=40)
    return stage

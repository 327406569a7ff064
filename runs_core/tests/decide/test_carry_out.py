"""A resolution that was kept, and whose cuts nobody lived to write, is carried out by whoever comes after."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import attrs
import pytest

from runs_core.decide import cycle
from runs_core.hooks.specs import hookimpl
from runs_core.testing.builders import FLAVOR, a_node, a_run
from runs_core.testing.harness import Harness
from runs_core.testing.purses import Purse, a_stage, hours, purses
from runs_core.values.effect import Effect, PutResolution, expected
from runs_core.values.funding import Ask, Offers
from runs_core.values.record import Record
from runs_core.values.request import Request
from runs_core.values.resolution import ResolutionPhase
from runs_core.world.view import View

VICTIMS = ("p", "q", "r", "s")
Story = tuple[object, ...]


class Killed(Exception):
    """The process is gone in the middle of its writes."""


def about_to_cut() -> Harness:
    """Four runs of 2 without an owner, for an hour now; the purse pays for 6 GPUs of whoever has one."""
    plugin = purses(Purse(name="main", gpus=6))
    offered = plugin.runs_cover

    def runs_cover(ask: Ask, view: View, now: datetime) -> Offers:
        found: Offers = offered(view, now)
        return found if ask.owner is not None else Offers()

    plugin.runs_cover = hookimpl(runs_cover)
    runs = [hours(a_run(name, namespace="nobodys", gpus=2, gpus_per_pod=2), 9) for name in VICTIMS]
    stage = a_stage(a_node("n1", gpus=8), *runs, plugin=plugin)
    stage.advance(hours=1)
    return stage


def dies_after(stage: Harness, writes: int) -> list[int]:
    """Of the commit that keeps a resolution, only so many effects are written. Returns how many there were."""
    commit, seen = stage.stage.commit, list[int]()

    def dying(effects: Sequence[Effect], records: Sequence[Record]) -> None:
        if seen or not any(isinstance(effect, PutResolution) for effect in effects):
            return commit(effects, records)
        seen.append(len(effects))
        commit(effects[:writes], ())
        for effect in effects[:writes]:
            if (change := expected(effect)) is not None:
                stage.stage.inject(change)
        raise Killed

    stage.stage.commit = dying  # type: ignore[method-assign]  # the kill has to sit where every write passes
    return seen


def heir(stage: Harness, writes: int) -> tuple[Story, int]:
    """`heir` wants 6, and the process dies in between."""
    seen = dies_after(stage, writes)
    stage.submit(hours(a_run("heir", gpus=6, gpus_per_pod=2), 9))
    return _after(stage, seen, "heir")


def by_hand(stage: Harness, writes: int) -> tuple[Story, int]:
    """An administrator wants 6."""
    seen = dies_after(stage, writes)
    request = Request(uid="request-1", flavor=FLAVOR, gpus=6, at=stage.now)
    stage.node(attrs.evolve(a_node("n1", gpus=8), request=request, cordoned=True))
    return _after(stage, seen, "nobodys/p")


def _after(stage: Harness, seen: list[int], name: str) -> tuple[Story, int]:
    with pytest.raises(Killed):
        stage.settle()
    stage.restart()
    stage.advance(minutes=2)
    (resolution,) = stage.world.resolutions()
    assert resolution.status.phase is ResolutionPhase.RELEASED
    cuts = sorted(one.name for one in resolution.spec.cuts)
    preempted = {one: stage.run(f"nobodys/{one}").status.preemptions for one in VICTIMS}
    assert preempted == {one: int(one in cuts) for one in VICTIMS}
    closed = sorted((lease.run.name, str(lease.status.closure_reason)) for lease in stage.witness.closed.values())
    return (cuts, closed, stage.placed(name)), seen[0]


@pytest.mark.parametrize("asks", [heir, by_hand])
def test_a_cut_that_was_killed_between_any_two_writes_ends_like_one_that_was_not(asks: object) -> None:
    assert callable(asks)
    whole, count = asks(about_to_cut(), 10_000)
    assert count > 6
    assert len(whole[0]) == 3
    assert [writes for writes in range(1, count) if asks(about_to_cut(), writes)[0] != whole] == []


def test_a_scheduler_that_does_not_carry_it_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycle, "cut_now", lambda *_: None)
    with pytest.raises(AssertionError):
        heir(about_to_cut(), 1)

"""A resolution that was kept, and whose cuts nobody lived to write, is carried out by whoever comes after."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import attrs
import pytest

from runs_core.decide import activate, cycle
from runs_core.hooks.specs import hookimpl
from runs_core.testing.builders import FLAVOR, a_node, a_run
from runs_core.testing.harness import Harness
from runs_core.testing.purses import Purse, a_stage, hours, purses
from runs_core.values.change import HeadSeen
from runs_core.values.effect import (
    CloseLease,
    Effect,
    OpenLease,
    PutResolution,
    SetReservationStatus,
    SetResolutionStatus,
    expected,
)
from runs_core.values.funding import Ask, Offers
from runs_core.values.record import Record
from runs_core.values.request import Request
from runs_core.values.reservation import ReservationPhase
from runs_core.values.resolution import ResolutionPhase
from runs_core.values.run import Phase
from runs_core.world.ledger import entry, fold
from runs_core.world.view import View

VICTIMS = ("p", "q", "r", "s")
Story = tuple[object, ...]
Entry = OpenLease | CloseLease | SetReservationStatus


class Killed(Exception):
    """The process is gone in the middle of its writes."""


def about_to_cut(minutes: float = 60) -> Harness:
    """Four runs of 2 without an owner, for so long now; the purse pays for 6 GPUs of whoever has one."""
    plugin = purses(Purse(name="main", gpus=6))
    offered = plugin.runs_cover

    def runs_cover(ask: Ask, view: View, now: datetime) -> Offers:
        found: Offers = offered(view, now)
        return found if ask.owner is not None else Offers()

    plugin.runs_cover = hookimpl(runs_cover)
    runs = [hours(a_run(name, namespace="nobodys", gpus=2, gpus_per_pod=2), 9) for name in VICTIMS]
    stage = a_stage(a_node("n1", gpus=8), *runs, plugin=plugin)
    stage.advance(minutes=minutes)
    return stage


def dies_after(stage: Harness, writes: int, kind: type[Effect] = PutResolution) -> tuple[list[int], list[Entry]]:
    """Of the commit that keeps a resolution, only so many effects are written. Returns how many there were.

    kind: of another commit, the first that has one of these. Then also what was written of the ledger and of promises.
    """
    commit, seen, last = stage.stage.commit, list[int](), list[Entry]()

    def dying(effects: Sequence[Effect], records: Sequence[Record]) -> None:
        if seen or not any(isinstance(effect, kind) for effect in effects):
            return commit(effects, records)
        seen.append(len(effects))
        commit(effects[:writes], ())
        for effect in effects[:writes]:
            if (change := expected(effect)) is not None:
                stage.stage.inject(change)
            if isinstance(effect, Entry):
                last.append(effect)
        stage.stage.written = ()
        raise Killed

    stage.stage.commit = dying  # type: ignore[method-assign]  # the kill has to sit where every write passes
    return seen, last


def _restarted(stage: Harness, unseen: Sequence[Entry]) -> None:
    """unseen: what was written of the ledger, and the process did not live to see."""
    leases = [effect for effect in unseen if not isinstance(effect, SetReservationStatus)]
    made = [entry(effect.lease, closing=isinstance(effect, CloseLease)) for effect in leases]
    for effect in leases:
        stage.witness.see(effect.lease)
    stage.stage.inject(HeadSeen(fold(stage.world.ledger.head, *made)))
    stage.restart()


def heir(stage: Harness, writes: int) -> tuple[Story, int]:
    """`heir` wants 6, and the process dies in between."""
    seen, _ = dies_after(stage, writes)
    stage.submit(hours(a_run("heir", gpus=6, gpus_per_pod=2), 9))
    return _after(stage, seen, "heir")


def started(stage: Harness, writes: int) -> tuple[Story, int]:
    """`heir` wants 6, and the process dies while it writes that `heir` has them."""
    seen, unseen = dies_after(stage, writes, SetResolutionStatus)
    stage.submit(hours(a_run("heir", gpus=6, gpus_per_pod=2), 9))
    with pytest.raises(Killed):
        stage.advance(minutes=2)
    _restarted(stage, unseen)
    stage.advance(minutes=2)
    return (_told(stage), stage.phase("heir"), sorted(stage.placed("heir"))), seen[0]


def promised(stage: Harness, writes: int) -> tuple[Story, int]:
    """As `started`, of one that was promised it, since nobody might be cut yet."""
    seen, unseen = dies_after(stage, writes, SetResolutionStatus)
    stage.submit(hours(a_run("heir", gpus=6, gpus_per_pod=2), 9))
    stage.settle()
    assert stage.phase("heir") is Phase.RESERVED
    with pytest.raises(Killed):
        stage.advance(hours=1)
    _restarted(stage, unseen)
    stage.advance(minutes=2)
    last = dict(stage.reservations)
    last |= {one.reservation.key: one.reservation for one in unseen if isinstance(one, SetReservationStatus)}
    kept = [f"{one.status.phase} {one.status.reason}" for one in last.values()]
    return (_told(stage), stage.phase("heir"), kept, sorted(stage.placed("heir"))), seen[0]


def _told(stage: Harness) -> tuple[str, ...]:
    return tuple(f"{one.status.phase} {one.status.reason}" for one in stage.world.resolutions())


def by_hand(stage: Harness, writes: int) -> tuple[Story, int]:
    """An administrator wants 6."""
    seen, _ = dies_after(stage, writes)
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


def test_a_start_that_was_killed_between_any_two_writes_is_gone_on_with_and_the_resolution_says_so() -> None:
    whole, count = started(about_to_cut(), 10_000)
    assert whole[:2] == (("Released Started",), Phase.RUNNING)
    assert count > 3
    assert [writes for writes in range(count) if started(about_to_cut(), writes)[0] != whole] == []


def test_a_promise_whose_start_was_killed_between_any_two_writes_is_kept() -> None:
    whole, count = promised(about_to_cut(1), 10_000)
    assert whole[:3] == (("Released Started",), Phase.RUNNING, ["Released Started"])
    assert count > 3
    assert [writes for writes in range(count) if promised(about_to_cut(1), writes)[0] != whole] == []


def test_who_was_promised_what_is_being_taken_back_for_it_is_said_to_wait_for_that() -> None:
    stage = about_to_cut(1)
    stage.submit(hours(a_run("heir", gpus=6, gpus_per_pod=2), 9))
    while not stage.world.resolutions():
        stage.advance(minutes=1)
    (kept,) = stage.world.promises.all()
    status = stage.run("heir").status
    assert (kept.status.phase, status.phase, status.reason) == (ReservationPhase.ACTIVATING, Phase.QUEUED, "Activating")


def test_a_beneficiary_that_is_not_seen_to_have_begun_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activate, "_began", lambda *_: False)
    whole, count = started(about_to_cut(), 10_000)
    assert [writes for writes in range(count) if started(about_to_cut(), writes)[0] != whole]


def test_a_scheduler_that_does_not_carry_it_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycle, "cut_now", lambda *_: None)
    with pytest.raises(AssertionError):
        heir(about_to_cut(), 1)

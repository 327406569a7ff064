"""A plugin that says when an envelope opens: what is promised for it. Any plugin can, this one is a few lines long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import attrs
import pytest

from runs_core.decide import promise
from runs_core.hooks.specs import hookimpl
from runs_core.testing.builders import A_MONDAY, a_node, a_run
from runs_core.testing.harness import Harness
from runs_core.testing.purses import Purse, a_stage, hours, purses
from runs_core.values.funding import Offer, Offers
from runs_core.values.reservation import Basis, Reservation, ReservationPhase, ShortOf
from runs_core.values.run import Phase
from runs_core.world.view import View

HOUR = timedelta(hours=1)
NOON = A_MONDAY + HOUR
LATER = A_MONDAY + 2 * HOUR


def one_run(*declared: Purse, unfunded: bool = False, gpus: int = 8) -> Harness:
    stage = a_stage(a_node("n1"), hours(a_run("train", gpus=gpus), 1), plugin=purses(*declared, unfunded=unfunded))
    stage.settle()
    return stage


def with_cover(change: Callable[[Offer], Offer]) -> Harness:
    """As above, with 8 that open at noon, each offer changed by this."""
    plugin = purses(Purse(name="main", gpus=8, opens=NOON), unfunded=False)
    honest = plugin.runs_cover

    def runs_cover(view: View, now: datetime) -> Offers:
        found: Offers = honest(view, now)
        return attrs.evolve(found, offers=tuple(map(change, found.offers)))

    plugin.runs_cover = hookimpl(runs_cover)
    stage = a_stage(a_node("n1"), hours(a_run("train"), 1), plugin=plugin)
    stage.settle()
    return stage


def promised(stage: Harness) -> Reservation | None:
    return stage.world.promises.by_run.get(stage.run("train").key)


def test_a_run_that_only_a_window_blocks_is_promised_its_opening_and_starts_then() -> None:
    stage = one_run(Purse(name="main", gpus=8, opens=NOON))
    found = promised(stage)
    assert found is not None
    status = found.status
    assert (status.earliest_start, status.basis, status.short_of) == (NOON, Basis.WINDOW, ShortOf.QUOTA)
    assert (status.deficit_gpus, stage.phase("train")) == (8, Phase.RESERVED)
    stage.advance(minutes=61)
    assert stage.run("train").status.started_at == NOON
    assert [one.status.phase for one in stage.reservations.values()] == [ReservationPhase.RELEASED]


def test_the_first_moment_at_which_all_of_it_is_paid_for_counts() -> None:
    stage = one_run(Purse(name="early", gpus=4, opens=NOON), Purse(name="late", gpus=4, opens=LATER))
    found = promised(stage)
    assert found is not None
    assert found.status.earliest_start == LATER


def test_an_opening_that_is_not_enough_is_not_promised() -> None:
    assert promised(one_run(Purse(name="main", gpus=4, opens=NOON))) is None


def test_a_moment_that_comes_in_vain_ends_the_promise() -> None:
    """The plugin says so, and when the time has come nothing opens."""
    kept: list[bool] = []
    stage = with_cover(lambda offer: offer if not kept else attrs.evolve(offer, gpus=0, opens=None))
    assert promised(stage) is not None
    kept.append(False)
    stage.advance(minutes=61)
    (ended,) = stage.reservations.values()
    assert (ended.status.phase, ended.status.reason) == (ReservationPhase.CANCELED, "Unfundable")
    assert stage.phase("train") is Phase.QUEUED


def test_a_time_without_a_zone_is_a_failure_of_the_plugin() -> None:
    naive = datetime(2026, 1, 5, 13)  # noqa: DTZ001  # what is to be found out
    stage = with_cover(lambda offer: attrs.evolve(offer, opens=naive))
    assert promised(stage) is None
    assert [tally.last_failure for tally in stage.loop.advice.tallies if tally.failed] == [  # type: ignore[attr-defined]
        "got opens datetime.datetime(2026, 1, 5, 13, 0), want a time with its zone, or None"
    ]


def test_a_line_that_does_not_ask_for_openings_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "opening", lambda *_: None)
    assert promised(one_run(Purse(name="main", gpus=8, opens=NOON))) is None

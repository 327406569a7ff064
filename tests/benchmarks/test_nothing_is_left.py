"""After a turn nothing is left to decide at that moment: whoever looks again, by accident, has nothing to say."""

from __future__ import annotations

from time import perf_counter

import pytest
from benchmarks.plugged import a_player, plenty

from runs_core.decide.cycle import cycle
from runs_core.world.world import World


def left() -> tuple[int, int]:
    """Of 300 arrivals at a busy fleet: decisions that a second look finds after each, and how often some run waited."""
    player = a_player(60, plugins=True, many=10, quotas=plenty)
    found = 0
    for _ in range(300):
        player.play(1)
        again = cycle(player.loop.world, player.loop.advice, perf_counter)
        found += len(again.decisions)
        again.undo()
    return found, player.kinds["Waits"]


def test_a_second_look_at_the_same_moment_decides_nothing() -> None:
    found, waited = left()
    assert found == 0
    assert waited > 20


def test_who_does_not_hear_of_quota_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "unheard", lambda _: False)
    assert left()[0] > 0

"""Where nothing outlives the process, Budgets are seldom accounted for, and in this history all else is as ever."""

from __future__ import annotations

import pytest
from benchmarks.plugged import a_player

from runs_core.cluster.trace.cluster import TraceCluster
from runs_core.values.effect import SetBudgetStatus
from runs_core.values.record import Record


def played(monkeypatch: pytest.MonkeyPatch, *, outlives: bool) -> tuple[list[Record], int]:
    """Records of the same hours of a busy fleet, and how often a Budget's status was written."""
    monkeypatch.setattr(TraceCluster, "outlives", outlives)
    player, told, written = a_player(60, plugins=True, many=10), list[Record](), list[object]()
    player.loop.tell(told.append)
    commit = player.cluster.commit

    def noted(effects: list[object], records: list[Record]) -> None:
        written.extend(one for one in effects if isinstance(one, SetBudgetStatus))
        commit(effects, records)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(player.cluster, "commit", noted)
    player.play(300)
    return told, len(written)


def test_no_decision_rests_on_how_often_budgets_are_accounted_for(monkeypatch: pytest.MonkeyPatch) -> None:
    often, seldom = (played(monkeypatch, outlives=outlives) for outlives in (True, False))
    assert seldom[0] == often[0]
    assert 0 < seldom[1] < often[1] / 10

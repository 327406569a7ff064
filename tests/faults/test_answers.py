"""A fifth of all requests is refused for no good reason, fails, or is never answered."""

from __future__ import annotations

import pytest
from tests.faults.conftest import Table
from tests.faults.proxy import Answers
from tests.faults.stage import Stage
from tests.faults.test_watches import canceling, lives

from runs_core.cluster.kube.api import READ_SECONDS

PATIENCE = READ_SECONDS + 5
HOW = {
    "429": "429 with Retry-After: 1",
    "500": "500, half of the time although it was done",
    "409": "409",
    "timeout": "no answer for {hang:g} s and then a cut connection, half of the time although it was done",
    "any": "429, 500, 409 or no answer for {hang:g} s, evenly drawn",
}


@pytest.mark.parametrize("way", sorted(HOW))
def test_a_fifth_is_answered(way: str, stage: Stage, table: Table, full: bool) -> None:
    if not full and way != "any":
        pytest.skip("only RUNS_TEST_FAULTS=full makes each kind by itself")
    ways = ("429", "500", "409", "timeout") if way == "any" else (way,)
    hang = PATIENCE if way == "timeout" else 1.0
    stage.proxy.answers = Answers(share=0.2, ways=ways, hang=hang)
    if full:
        stage.settings = {}
    stage.scheduler()
    expected = lives(stage, 4 if full and way != "timeout" else 1)
    seconds = stage.settle(expected, 1200 if full else 60, each=lambda: canceling(stage, expected))
    spoiled = stage.proxy.spoiled.total()
    assert spoiled > 5
    how = f"{HOW[way].format(hang=hang)}, to {spoiled} of {stage.proxy.counts.total()} requests; {len(expected)} runs"
    table.add(f"a fifth answered {way}", how, [seconds], stage)

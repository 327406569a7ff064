"""The evidence of large fleets, on small ones: what it shows, and that a broken engine ends it."""

from __future__ import annotations

import json

import attrs
import pytest
from benchmarks import evidence

from runs_core.errors import InvariantBroken
from runs_core.world.fleet import Fleet


def test_the_page_is_made_from_what_is_recorded() -> None:
    assert evidence.PAGE.read_text(encoding="utf-8") == evidence.page(evidence.FOUND), "run it with --table"


def test_what_is_recorded_was_checked_throughout_and_ran_to_its_end() -> None:
    found = {path.stem: json.loads(path.read_text(encoding="utf-8"))["rows"] for path in evidence.FOUND.glob("*.json")}
    assert found
    assert found.keys() <= evidence.CASES.keys()
    for name, rows in found.items():
        assert rows["checks of all invariants"] > rows["decisions"] / evidence.CASES[name].every / 2
        assert (rows["most runs waiting"] > 10) == (not name.startswith("openb-1")), name
        assert rows["finished"] + rows["never fit"] == rows["runs"]


@pytest.mark.slow
def test_the_mix_on_a_small_fleet_waits_is_promised_starts_and_is_cut_and_keeps_every_invariant() -> None:
    trace = evidence.llm(60, 500)
    found = evidence.proven(trace, every=10)
    rows = evidence.rows(found.summary, found.cpu_seconds, 16)
    assert rows["finished"] == rows["runs"] == 500
    assert (rows["most runs waiting"] or 0) > 10
    assert sum(error.forecasts for error in found.summary.forecast_error_seconds) > 5
    assert (rows["cuts"] or 0) > 10
    assert (rows["checks of all invariants"] or 0) > found.summary.decisions / 20


@pytest.mark.slow
def test_the_published_trace_keeps_every_invariant(openb_traces: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNS_TEST_TRACES", str(openb_traces).removesuffix("/openb"))
    found = evidence.proven(evidence.openb(1), every=200).summary
    assert found.runs.finished == found.input.runs == 7063
    assert found.checks > 60


@pytest.mark.slow
def test_the_published_trace_made_busy_fills_its_fleet_and_has_people_wait(
    openb_traces: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNS_TEST_TRACES", str(openb_traces).removesuffix("/openb"))
    trace = evidence.openb(1, busy=True)
    assert len(trace.arrivals) == 4 * 7063
    some = attrs.evolve(trace, nodes=trace.nodes[::10], arrivals=trace.arrivals[-4_000:])
    found = evidence.proven(some, every=1_000).summary
    assert found.runs.finished + found.runs.never_fit == 4_000
    assert found.queue.max > 500
    assert (found.utilisation.peak or 0) > 0.9


def test_an_engine_that_leases_a_place_twice_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fleet, "hold", lambda *_, **__: None)
    with pytest.raises(InvariantBroken, match="invariant 1 is broken"):
        evidence.proven(evidence.llm(20, 60), every=10)

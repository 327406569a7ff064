"""What is recorded, what the table says of it, and what the harness answers a shell."""

import json
from pathlib import Path

import pytest
from benchmarks import __main__ as harness
from benchmarks.result import RESULTS, Goal, Result, Side, write
from benchmarks.table import PAGE, page


def a_result(*, measured: float, quick: bool = False) -> Result:
    goal = Goal(name="pace", side=Side.AT_LEAST, limit=10, aim=20, measured=measured)
    return Result(name="made", title="Made up", quick=quick, goals=(goal,), facts={"seen": 3})


def test_the_page_is_made_from_the_recorded_results() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(RESULTS), "run `python -m benchmarks --table`"


def test_every_benchmark_is_recorded_in_full() -> None:
    recorded = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")}
    assert harness.BENCHMARKS.keys() <= recorded.keys()
    assert recorded.keys() <= (harness.BENCHMARKS | harness.LONG | harness.LIVE).keys()
    assert not any(found["quick"] for found in recorded.values())


@pytest.mark.parametrize(("measured", "verdict"), [(9.9, "missed"), (10, "met, aim not yet"), (20, "aim met")])
def test_a_verdict_says_limit_and_aim(measured: float, verdict: str) -> None:
    (goal,) = a_result(measured=measured).goals
    assert goal.verdict == verdict


def test_a_record_says_where_it_was_measured(tmp_path: Path) -> None:
    found = json.loads(write(a_result(measured=12), tmp_path).read_text(encoding="utf-8"))
    assert found["machine"]["cores"] >= 1
    assert found["libraries"]["attrs"]
    assert "| made | pace | ≥ 10, aim 20 | 12 | met, aim not yet |" in page(tmp_path)


@pytest.mark.parametrize(("measured", "code"), [(9, 1), (11, 0)])
def test_a_missed_limit_is_the_exit_code(
    measured: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(harness, "BENCHMARKS", {"made": lambda *, quick: a_result(measured=measured, quick=quick)})
    monkeypatch.setattr(harness, "QUICK", tmp_path)
    assert harness.main(["--quick"]) == code
    assert "pace" in capsys.readouterr().out
    assert (tmp_path / "made.json").exists()

"""The file of an embedded cluster: what is wrong with it, or with its clock, is said in a sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Runs = Callable[..., Result]


def refused(answer: Result, code: int) -> str:
    """Its one sentence."""
    assert (answer.exit_code, answer.stdout, len(answer.stderr.splitlines())) == (code, "", 1), answer.output
    return answer.stderr


def test_settings_that_are_refused_leave_no_file_behind(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new.db"
    monkeypatch.setenv("RUNS_STARTS_TRIES", "x")
    assert "RUNS_STARTS_TRIES: got 'x'" in refused(runs("--local", str(path), "cluster", "init"), 2)
    assert not path.exists()


def test_a_damaged_file_is_named(runs: Runs, fleet: str) -> None:
    for number in range(40):
        runs("--local", fleet, "submit", f"run-{number}", "--gpus", "1")
    with Path(fleet).open("r+b") as file:
        for page in range(3 * 4096, Path(fleet).stat().st_size, 4096):
            file.seek(page)
            file.write(b"\xff" * 2000)
    assert refused(runs("--local", fleet, "get"), 3).startswith(f"Error: {fleet} cannot be used: ")


def test_a_file_that_cannot_be_is_told_with_a_remedy(runs: Runs, tmp_path: Path) -> None:
    said = refused(runs("--local", str(tmp_path / "none" / "a.db"), "cluster", "init"), 3)
    assert said.endswith("; name a file in a folder that can be written\n")
    other = tmp_path / "other.txt"
    other.write_text("hello " * 1000, encoding="utf-8")
    assert refused(runs("--local", str(other), "get"), 3).endswith("; name one that `cluster init` made\n")


@pytest.mark.parametrize("at", ["1000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9000-01-01T00:00:01Z", "2562047h"])
def test_a_clock_begins_where_all_that_follows_has_a_date(at: str, runs: Runs, tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    said = refused(runs("--local", str(path), "cluster", "init", "--at", at), 2)
    assert f"--at: got {at!r}, want a time from 1970-01-01T00:00:00Z to 9000-01-01T00:00:00Z" in said
    assert not path.exists()


def test_a_clock_is_not_moved_to_where_there_are_no_dates(runs: Runs, tmp_path: Path) -> None:
    path = str(tmp_path / "late.db")
    assert runs("--local", path, "cluster", "init", "--nodes", "1", "--at", "8999-12-31T00:00:00Z").exit_code == 0
    assert runs("--local", path, "submit", "a", "--gpus", "8", "--simulated-duration", "2562047h").exit_code == 0
    said = refused(runs("--local", path, "cluster", "advance", "25h"), 2)
    assert "DURATION: got '25h', want the clock, now at 8999-12-31T00:00:00Z, to stay before 9000-01-01" in said
    assert runs("--local", path, "cluster", "advance", "1h").exit_code == 0


def test_a_flavor_that_no_run_could_name_is_refused(runs: Runs, tmp_path: Path) -> None:
    said = refused(runs("--local", str(tmp_path / "a.db"), "cluster", "init", "--nodes", "1", "--flavor", "a b"), 2)
    assert "--flavor: got 'a b', want letters, digits, and -, _ or . between them" in said

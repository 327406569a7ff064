"""Standard streams that are closed, on a full device, or left by whoever read them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Program = Callable[..., "subprocess.CompletedProcess[str]"]
FULL = "Error: stdout cannot be written: No space left on device; send the answer where there is room for it\n"


def started(redirected: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command line, with these redirections of a shell."""
    line = ["sh", "-c", f'"$@" {redirected}', "sh", sys.executable, "-m", "runs_cli.main", *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("words", [["queue"], ["get", "-o", "json"], ["--help"], ["plan", "--help"]])
def test_a_full_device_is_told_in_a_sentence(fleet: str, words: list[str]) -> None:
    done = started(">/dev/full", "--local", fleet, *words)
    assert (done.returncode, done.stderr) == (1, FULL)


@pytest.mark.parametrize("redirected", ["2>/dev/full", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_who_takes_no_complaint_is_given_the_exit_code(fleet: str, redirected: str) -> None:
    assert started(redirected, "--local", fleet, "nonsense").returncode == 2
    assert started(redirected, "--local", fleet, "get", "nobody").returncode == 1


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_nobodys_and_no_file_takes_its_place(tmp_path: Path, closed: str, program: Program) -> None:
    path = str(tmp_path / "a.db")
    done = started(closed, "--local", path, "cluster", "init", "--nodes", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert started(closed, "--local", path, "get", "-o", "json").returncode == 0
    assert "1 ready" in program("--local", path, "cluster", "status").stdout


def test_nothing_is_read_from_a_closed_stdin(fleet: str) -> None:
    done = started("<&-", "--local", fleet, "submit", "-f", "-")
    assert (done.returncode, done.stderr) == (2, "Error: stdin: got no object, want Run\n")


@pytest.mark.parametrize("words", [["--help"], ["plan", "--help"], ["version"]])
def test_help_without_a_reader_is_no_error(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "runs_cli.main", *words]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_the_encoding_lacks_is_written_as_its_number(program: Program, fleet: str) -> None:
    program("--local", fleet, "submit", "a", "--gpus", "1", "--image", "train:1", "--", "→")
    done = program("--local", fleet, "get", "a", "-o", "json", env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    assert (done.returncode, done.stderr) == (0, "")
    assert '"\\u2192"' in done.stdout


def test_settings_are_read_from_a_pipe_as_from_a_file(program: Program, fleet: str) -> None:
    done = program("--local", fleet, "--config", "/dev/stdin", "get", input="rank: nobody\n")
    assert (done.returncode, done.stderr) == (
        2,
        "Error: rank: got 'nobody', want none: no enabled plugin orders the line\n",
    )

"""A runner of command lines, in this process and outside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from runs_cli.main import root

Runs = Callable[..., Result]
Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def plain_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the caller's shell shows through."""
    for name in [*os.environ]:
        if name.startswith("RUNS_") or name in {"NO_COLOR", "FORCE_COLOR"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))


@pytest.fixture
def runs() -> Runs:
    """Runs a command line in this process; stdin by `input`."""

    def invoke(*words: str, input: str | None = None) -> Result:  # noqa: A002 - the runner's own name
        return CliRunner().invoke(root, list(words), input=input)

    return invoke


@pytest.fixture
def program() -> Program:
    """Runs a command line as a process of its own."""

    def call(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "runs_cli.main", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)  # type: ignore[call-overload, no-any-return]  # options of run

    return call


@pytest.fixture
def fleet(tmp_path: Path, runs: Runs) -> str:
    """The state file of two nodes of eight GPUs."""
    path = str(tmp_path / "fleet.db")
    made = runs("--local", path, "cluster", "init", "--nodes", "2", "--flavor", "H100", "--at", "2026-01-05T08:00:00Z")
    assert made.exit_code == 0, made.output
    return path

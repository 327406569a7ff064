"""What only some play, for an hour, is found by its own command: here without workers, which find more modules."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INI = "tox.ini"


def words(environment: str) -> list[str]:
    """The arguments of its pytest."""
    found = configparser.ConfigParser()
    found.read(ROOT / INI)
    (line,) = [line for line in found[f"testenv:{environment}"]["commands"].splitlines() if line.startswith("pytest ")]
    return [word for word in line.split()[1:] if word != "{posargs}"]


def collected(*asked: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    pytest_itself = Path(sys.executable).with_name("pytest")
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(pytest_itself), *options, "-p", "no:cacheprovider", "--collect-only", "-q", *asked]
    return subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(("environment", "has"), [("faults", "tests/faults/"), ("live-all", "tests/scenarios/")])
def test_the_command_of_a_long_run_finds_its_tests(environment: str, has: str) -> None:
    done = collected(*words(environment))
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(line.startswith(has) for line in done.stdout.splitlines()) > 30


def test_a_command_that_would_not_find_them_is_noticed() -> None:
    assert collected(*words("faults"), options=("-o", "pythonpath=nowhere")).returncode != 0

"""Tests that share an API server are kept on one worker: a newer pytest once made that silently untrue."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

TESTS = """
import pytest

@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(8))
def test(number):
    pass
"""


def workers(folder: Path, distribution: str) -> set[str]:
    """Those that played the eight tests of one group."""
    (folder / "test_grouped.py").write_text(TESTS)
    words = ["-c", "/dev/null", "-p", "no:cacheprovider", "-n", "2", "--dist", distribution, "-v", "test_grouped.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    played = re.findall(r"\[(gw\d)\].* PASSED", done.stdout)
    assert len(played) == 8
    return set(played)


def test_a_group_is_played_by_one_worker(tmp_path: Path) -> None:
    assert len(workers(tmp_path, "loadgroup")) == 1


def test_without_groups_both_workers_play(tmp_path: Path) -> None:
    assert len(workers(tmp_path, "load")) == 2

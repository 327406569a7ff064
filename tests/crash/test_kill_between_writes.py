"""Invariant 9: a kill -9 before any write ends in the same file, byte for byte, as no kill."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

STAGE = Path(__file__).with_name("stage.py")


def life(folder: Path, step: int, *broken: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(STAGE), str(folder), str(step), *broken], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_kill_before_any_write_changes_nothing_in_the_end(tmp_path: Path) -> None:
    told = life(tmp_path, 1)
    assert told["differences"] == []
    assert told["kills"] > 250
    assert told["waited"] == ["d"]
    assert told["cut"] == ["b"]
    assert {tuple(one) for one in told["promised"]} >= {("a", "Pending"), ("a", "Released"), ("d", "Canceled")}


def test_the_check_sees_writes_that_are_not_one_transaction(tmp_path: Path) -> None:
    assert life(tmp_path, 7, "broken")["differences"]

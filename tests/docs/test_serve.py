"""What the page on `serve` shows works, in real time."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "serve.md"
FIRST, SECOND = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
INIT, SERVE = FIRST.splitlines()


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, object]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNS_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return {"cwd": tmp_path, "env": {**kept, "PATH": path, "RUNS_PLUGINS": ""}, "text": True}


@pytest.fixture
def serving(surroundings: dict[str, object]) -> Iterator[subprocess.Popen[str]]:
    subprocess.run(INIT.split(), check=True, timeout=60, stdout=subprocess.DEVNULL, **surroundings)  # type: ignore[call-overload]  # options of run
    words = [*SERVE.split(), "--http-address", "127.0.0.1:0"]  # the page's port may be in use here
    with subprocess.Popen(words, stderr=subprocess.PIPE, **surroundings) as process:  # type: ignore[call-overload]  # options of Popen
        yield process
        process.kill()


def test_a_run_submitted_beside_serve_starts_and_ends(
    serving: subprocess.Popen[str], surroundings: dict[str, object]
) -> None:
    assert serving.stderr is not None
    lines = iter(serving.stderr.readline, "")
    assert next(line for line in map(json.loads, lines) if line["message"] == "serving")["file"] == "fleet.db"
    began = time.monotonic()
    done = subprocess.run(  # type: ignore[call-overload]  # options of run
        ["sh", "-ec", f"{SECOND}runs get hello -o json"], capture_output=True, timeout=90, check=False, **surroundings
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began > 3, "two seconds to start and two to run"
    answer, obj = done.stdout.split("{", 1)
    assert "default/hello: created: Succeeded, all ranks succeeded" in answer
    assert json.loads("{" + obj)["status"]["phase"] == "Succeeded"
    serving.send_signal(signal.SIGTERM)
    _, said = serving.communicate(timeout=60)
    assert serving.returncode == 0
    last = json.loads(said.splitlines()[-1])  # who took the last decision, it or `submit --wait`, is chance
    assert (last["message"], last["leases"]) == ("stopped", 0)

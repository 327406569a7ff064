"""The scheduler of a benchmark: `runs serve` with its own account, as it runs where it is installed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from benchmarks.live.plane import Plane

LEADS_SECONDS = 120.0
SERVE = "runs_cli.main"


@attrs.frozen(kw_only=True)
class Scheduler:
    """log: what it writes. leads: its own word on how it took over. seconds: from its start to its first decision."""

    process: subprocess.Popen[bytes]
    log: Path
    leads: dict[str, Any]
    seconds: float

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None


@contextmanager
def scheduler(there: Plane, module: str = SERVE) -> Iterator[Scheduler]:
    """From when it leads, and has decided what there was to decide, until the end.

    module: what is run; another than our own is one with a defect.
    """
    log = there.folder / "log" / "scheduler.log"
    began = time.monotonic()
    words = ["serve", "--kubeconfig", str(there.scheduler), "--http-address", "none"]
    command = [sys.executable, "-m", module, *words]
    with log.open("wb") as lines:
        process = subprocess.Popen(command, stderr=lines)
    try:
        while (leads := _leads(log)) is None:
            if process.poll() is not None or time.monotonic() - began > LEADS_SECONDS:
                raise SystemExit(f"the scheduler does not lead: {log.read_text(encoding='utf-8')[-2000:]}")
            time.sleep(0.02)
        yield Scheduler(process=process, log=log, leads=leads, seconds=time.monotonic() - began)
    finally:
        process.terminate()
        process.wait(60)


def _leads(log: Path) -> dict[str, Any] | None:
    for line in log.read_text(encoding="utf-8").splitlines():
        if line.endswith("}") and '"message": "leads"' in line:
            found: dict[str, Any] = json.loads(line)
            return found
    return None

"""What a benchmark found, with the machine and the versions that it was found on, as JSON."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

import attrs

HERE = Path(__file__).parent
RESULTS = HERE / "results"
QUICK = RESULTS / "quick"
LIBRARIES = ("attrs", "cattrs", "pluggy")


class Side(StrEnum):
    """On which side of its limit a measure is good."""

    AT_MOST = "at most"
    AT_LEAST = "at least"


@attrs.frozen(kw_only=True)
class Goal:
    """One measure against its limit. aim: what is hoped for beyond the limit, None where the limit is all."""

    name: str
    side: Side
    limit: float
    measured: float
    unit: str = ""
    aim: float | None = None

    def keeps(self, bound: float) -> bool:
        return self.measured <= bound if self.side is Side.AT_MOST else self.measured >= bound

    @property
    def met(self) -> bool:
        return self.keeps(self.limit)

    @property
    def verdict(self) -> str:
        if not self.met:
            return "missed"
        return "met" if self.aim is None else "aim met" if self.keeps(self.aim) else "met, aim not yet"


@attrs.frozen(kw_only=True)
class Result:
    """name: the benchmark's. facts: numbers worth knowing that have no limit."""

    name: str
    title: str
    quick: bool
    goals: Sequence[Goal]
    facts: Mapping[str, float]

    @property
    def met(self) -> bool:
        return all(goal.met for goal in self.goals)


def write(result: Result, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.name}.json"
    found = {
        "name": result.name,
        "title": result.title,
        "quick": result.quick,
        "goals": [{**attrs.asdict(goal), "verdict": goal.verdict} for goal in result.goals],
        "facts": dict(result.facts),
        **surroundings(),
    }
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def surroundings() -> dict[str, object]:
    """Where and on what this was measured."""
    return {
        "machine": {"cores": os.cpu_count(), "model": _model(), "system": f"{platform.system()} {platform.machine()}"},
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
        },
        "libraries": {name: version(name) for name in LIBRARIES},
        "commit": _commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def _model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def _commit() -> str:
    """Of the checkout; `+` behind it where a source differs from it; empty outside a checkout."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + (
            "+" if _git("status", "--porcelain", "--untracked-files=no", "--", "runs_core", "benchmarks/*.py") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(HERE.parent), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()

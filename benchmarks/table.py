"""The reference page, made from the recorded results and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.result import HERE

PAGE = HERE.parent / "docs" / "reference" / "performance.md"

HEAD = """\
# Performance

Made by `python -m benchmarks --table` from `benchmarks/results/`; `tox -e bench` measures it anew, and
`tox -e bench -- --live` what has to do with a real API server, on the same machine, once and in full.

All other costs are CPU time. A ratio compares two workloads within one run, measured in turn (A, B, A, B …); its
measure is the median of the ratios. In every workload runs waited, more than 80 % of the GPUs were in use, and at the
end no invariant was broken and the free GPUs were those that the open leases leave: a measurement that fails this is
refused.
"""


def page(folder: Path) -> str:
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return "\n".join([HEAD, *_goals(results), "", *(line for found in results for line in _facts(found))])


def _goals(results: list[dict[str, Any]]) -> list[str]:
    rows = [
        f"| {found['name']} | {goal['name']} | {_bound(goal)} | {_measured(goal)} | {goal['verdict']} |"
        for found in results
        for goal in found["goals"]
    ]
    return ["| benchmark | goal | limit | measured | verdict |", "|---|---|---|---|---|", *rows]


def _facts(found: dict[str, Any]) -> list[str]:
    machine, python = found["machine"], found["python"]
    where = f"{machine['cores']} cores of {machine['model']} ({machine['system']})"
    where += f", {python['implementation']} {python['version']}"
    libraries = ", ".join(f"{name} {number}" for name, number in found["libraries"].items())
    return [
        f"## {found['name']}",
        "",
        f"{found['title']}.",
        "",
        "| also measured | |",
        "|---|---|",
        *(f"| {name} | {_number(value)} |" for name, value in found["facts"].items()),
        "",
        f"{found['date']}, commit {found['commit'] or 'unknown'}, {where}, {libraries}.",
        "",
    ]


def _bound(goal: dict[str, Any]) -> str:
    sign = "≤" if goal["side"] == "at most" else "≥"
    aim = f", aim {_number(goal['aim'])}" if goal["aim"] is not None else ""
    return f"{sign} {_number(goal['limit'])}{_unit(goal)}{aim}"


def _measured(goal: dict[str, Any]) -> str:
    return _number(goal["measured"]) + _unit(goal)


def _unit(goal: dict[str, Any]) -> str:
    return f" {goal['unit']}" if goal["unit"] else ""


def _number(value: float) -> str:
    return f"{value:,.10g}"

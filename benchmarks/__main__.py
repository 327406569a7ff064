"""`python -m benchmarks [--quick] [--live] [names…]`: measures, records, and exits 1 where a limit is missed."""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
from collections.abc import Callable, Sequence

import attrs

from benchmarks import (
    explanation,
    forecast,
    funding,
    out_of_quota,
    placement,
    plugged,
    taking_back,
    throughput,
    waiting,
    year,
)
from benchmarks.live import fleet, queue_load
from benchmarks.measure import PACE, pace
from benchmarks.result import QUICK, RESULTS, Result, write
from benchmarks.sound import Unusable
from benchmarks.table import PAGE, page

BENCHMARKS: dict[str, Callable[..., Result]] = {
    module.NAME: module.run
    for module in (placement, throughput, waiting, explanation, forecast, funding, taking_back, plugged, out_of_quota)
}
LONG: dict[str, Callable[..., Result]] = {module.NAME: module.run for module in (year,)}
"""Measured only where they are named: each takes as long as all the others."""
LIVE: dict[str, Callable[..., Result]] = {module.NAME: module.run for module in (queue_load, fleet)}
"""Each on a real API server of its own; they want a machine that does nothing else."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS | LONG | LIVE)}; all of a kind without"
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions; recorded apart, not in the table")
    parser.add_argument("--table", action="store_true", help="measure nothing: write the table from what is recorded")
    parser.add_argument("--live", action="store_true", help="those on a real API server, from RUNS_TEST_KUBE")
    asked = parser.parse_args(arguments)
    if unknown := sorted(set(asked.names) - (BENCHMARKS | LONG | LIVE).keys()):
        parser.error(f"no benchmark is named {', '.join(unknown)}; there are {', '.join(BENCHMARKS | LONG | LIVE)}")
    if asked.table:
        PAGE.write_text(page(RESULTS), encoding="utf-8")
        return 0
    names = asked.names or list(LIVE if asked.live else BENCHMARKS)
    if len(names) > 1:  # each in a process of its own: what one leaves in memory must not cost the next
        options = ["--quick"] if asked.quick else []
        codes = [
            subprocess.run([sys.executable, "-m", "benchmarks", name, *options], check=False).returncode
            for name in names
        ]
        return max(codes)
    results = [_measure(name, quick=asked.quick) for name in names]
    if not asked.quick:
        PAGE.write_text(page(RESULTS), encoding="utf-8")
    return 0 if all(result is not None and result.met for result in results) else 1


def _measure(name: str, *, quick: bool) -> Result | None:
    gc.unfreeze()
    gc.collect()
    try:
        before = pace()
        result = attrs.evolve((BENCHMARKS | LONG | LIVE)[name](quick=quick), quick=quick)
        result = attrs.evolve(result, facts={**result.facts, PACE: round((before + pace()) / 2, 1)})
    except Unusable as unusable:
        print(f"{name}: {unusable}", file=sys.stderr)
        return None
    write(result, QUICK if quick else RESULTS)
    print(f"{name}: {result.title}")
    for goal in result.goals:
        measured = f"{goal.measured:,g}{goal.unit and ' ' + goal.unit}"
        print(f"  {goal.verdict:18} {goal.name}: {measured} ({goal.side} {goal.limit:,g})")
    for fact, value in result.facts.items():
        print(f"  {'':18} {fact}: {value:,g}")
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m benchmarks.evidence [names…]`: large fleets simulated with every invariant checked, and what came of it.

The published openb trace at load 0.95, in as many copies as make its fleet of 6,212 GPUs one of ten and of a hundred
thousand; the same with each run four times and so close that most wait; and the mix of `benchmarks.mix`, gangs up to
4,096 GPUs, at load 1 on a fleet that begins full, with Budgets.
Both plugins are on, with the settings as they come: patience is an hour. RUNS_TEST_TRACES has the folder of traces.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import attrs

from benchmarks.mix import Mix
from benchmarks.plugged import PLUGINS
from benchmarks.result import HERE, surroundings
from benchmarks.workload import BEGIN, NODE_GPUS, nodes
from benchmarks.year import memory, owners
from runs_core.cluster.trace.input import DURATION, EPOCH, Arrival, TraceInput
from runs_core.cluster.trace.openb import read_openb
from runs_core.cluster.trace.scale import copied, loaded, loaded_inside
from runs_core.errors import InvariantBroken
from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.registry import of
from runs_core.serve.simulate import Simulation, simulate
from runs_core.serve.summary import Summary
from runs_core.settings import Settings
from runs_core.values.change import BudgetSeen, NodeSeen, RunSeen
from runs_core.values.node import Node
from runs_core.values.quantity import parse_duration

FOUND = HERE / "evidence"
PAGE = HERE.parent / "docs" / "reference" / "evidence.md"
LOAD = Fraction("0.95")
BUSY = 4, Fraction("0.2")
"""Each run so many times, and so much of the fleet in use while they arrive: nearly all come at the end."""
SEED = 4
"""One at which gangs of 4,096 GPUs come."""
HEAD = """\
# Large fleets, with every invariant checked

Made by `python -m benchmarks.evidence`, which simulates all of it anew, or with `--table` from what is recorded in
`benchmarks/evidence/`. Each column is one simulation by the real scheduler, with budgets, borrowing and patience, that
held all invariants against what there was again and again and at its end: it stops at the first that is broken. `openb`
is the published Alibaba trace at load 0.95, in copies: two thirds of that demand are twenty tasks, so that its fleet
stays nearly idle and nobody waits. `llm` is a mix at load 1 on a fleet that begins full: gangs of up to 4,096 GPUs, and
of a 24th of the fleet at most, are drawn for it, with a seed chosen because some of 4,096 come; the table says how wide
the widest was that came.
"""


@attrs.frozen
class Case:
    """What is simulated. every: decisions from one check of all invariants to the next."""

    trace: Callable[[], TraceInput]
    every: int


def openb(copies: int, *, busy: bool = False) -> TraceInput:
    folder = os.environ.get("RUNS_TEST_TRACES")
    if folder is None:
        sys.exit("RUNS_TEST_TRACES is not set: want the folder that has openb/openb_pod_list_default.csv")
    files = (Path(folder) / "openb" / f"openb_{name}.csv" for name in ("node_list_gpu_node", "pod_list_default"))
    trace = read_openb(*files)
    return loaded_inside(copied(trace, copies, BUSY[0]), BUSY[1]) if busy else loaded(copied(trace, copies), LOAD)


def llm(count: int, arrivals: int) -> TraceInput:
    """On so many nodes: what the fleet is full of, and so many runs in all."""
    gpus = count * NODE_GPUS
    spenders = tuple(owners(gpus))
    mix = Mix(gpus=gpus, load=1.0, burst=1.0, owners=spenders, seed=SEED)
    fleet = [change.node for _, change in nodes(count) if isinstance(change, NodeSeen)]
    founded = [change for _, change in (owner.founded() for owner in spenders)]
    return TraceInput(
        nodes=tuple(node for node in fleet if isinstance(node, Node)),
        arrivals=tuple(islice(_arrivals(mix), arrivals)),
        budgets=tuple(change.budget for change in founded if isinstance(change, BudgetSeen)),
    )


def _arrivals(mix: Mix) -> Iterator[Arrival]:
    for when, change in mix.trace():
        assert isinstance(change, RunSeen)
        run, at = change.run, EPOCH + (when - BEGIN)
        run = attrs.evolve(run, meta=attrs.evolve(run.meta, created=at))
        yield Arrival(at=at, run=run, duration=parse_duration(run.meta.annotation(DURATION) or "0s"))


CASES: Mapping[str, Case] = {
    "openb-10k": Case(lambda: openb(2), 100),
    "openb-100k": Case(lambda: openb(16), 1_000),
    "openb-busy-10k": Case(lambda: openb(2, busy=True), 200),
    "llm-10k": Case(lambda: llm(1_250, 3_000), 100),
    "llm-100k": Case(lambda: llm(12_500, 4_000), 100),
}


def proven(trace: TraceInput, *, every: int) -> Simulation:
    """InvariantBroken: one does not hold."""
    settings = Settings()
    return simulate(trace, settings, PluginAdvice(of(**PLUGINS), settings), check=every)


def record(name: str, trace: TraceInput, found: Simulation, where: Mapping[str, object]) -> dict[str, Any]:
    """where: as it was when this began, since a checkout may move on meanwhile."""
    widest = max(arrival.run.gpus for arrival in trace.arrivals)
    return {"name": name, "rows": rows(found.summary, found.cpu_seconds, widest), **where}


def rows(summary: Summary, cpu_seconds: float, widest: int) -> dict[str, float | None]:
    """What the table shows of it, each under its name."""
    waits, cuts = summary.wait_seconds, summary.preemptions
    found: dict[str, float | None] = {
        "GPUs": summary.input.gpus,
        "runs": summary.input.runs,
        "GPUs of the widest that came": widest,
        "finished": summary.runs.finished,
        "never fit": summary.runs.never_fit,
        "utilisation while runs arrive": summary.utilisation.arrival_span,
        "utilisation while runs wait": summary.utilisation.while_waiting,
        "utilisation at most": summary.utilisation.peak,
        "most runs waiting": summary.queue.max,
        "s of waiting, mean": waits.mean,
        "s of waiting, 90th percentile": waits.p90,
        "s of waiting, longest": waits.max,
    }
    for size in waits.by_size:
        found[f"s of waiting, 90th percentile, {size.gpus} GPUs"] = size.p90
    for error in summary.forecast_error_seconds:
        found[f"promises by {error.basis}"] = error.forecasts
        found[f"of them kept later than told, by {error.basis}"] = error.late
        found[f"s that they were off, median, by {error.basis}"] = error.p50
        found[f"s that they were off, 90th percentile, by {error.basis}"] = error.p90
    return {
        **found,
        "resolutions": cuts.resolutions,
        "cuts": cuts.cuts,
        "runs cut": cuts.runs,
        "most cuts of one run": cuts.most,
        "GPU-hours of work lost": cuts.lost_gpu_hours,
        "GPU-hours leased": summary.gpu_hours.leased,
        "decisions": summary.decisions,
        "checks of all invariants": summary.checks,
        "broken invariants": 0,
        "s of CPU": round(cpu_seconds, 1),
        "MiB of memory": round(memory(), 1),
    }


def page(folder: Path) -> str:
    """Of what is recorded."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    names = dict.fromkeys(name for one in found for name in one["rows"])
    table = [
        f"| | {' | '.join(one['name'] for one in found)} |",
        f"|---|{'---:|' * len(found)}",
        *(f"| {name} | {' | '.join(_cell(one['rows'].get(name)) for one in found)} |" for name in names),
    ]
    where = [
        f"`{one['name']}`: {one['date']}, commit {one['commit'] or 'unknown'}, {one['machine']['cores']} cores of "
        f"{one['machine']['model']}, {one['python']['implementation']} {one['python']['version']}."
        for one in found
    ]
    return "\n".join([HEAD, *table, "", *where, ""])


def _cell(value: float | None) -> str:
    return "—" if value is None else f"{value:,.10g}"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(CASES)}; all without")
    parser.add_argument("--table", action="store_true", help="simulate nothing: write the page from what is recorded")
    asked = parser.parse_args(arguments)
    if unknown := sorted(set(asked.names) - CASES.keys()):
        parser.error(f"nothing is named {', '.join(unknown)}; there are {', '.join(CASES)}")
    names = [] if asked.table else asked.names or list(CASES)
    if len(names) > 1:  # each in a process of its own, since its memory is measured
        codes = [subprocess.run([sys.executable, "-m", "benchmarks.evidence", name], check=False) for name in names]
        return max(code.returncode for code in codes)
    for name in names:
        trace, where = CASES[name].trace(), surroundings()
        try:
            found = record(name, trace, proven(trace, every=CASES[name].every), where)
        except InvariantBroken as broken:
            print(f"{name}: {broken}", file=sys.stderr)
            return 1
        FOUND.mkdir(exist_ok=True)
        (FOUND / f"{name}.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        for row, value in found["rows"].items():
            print(f"{name}: {row}: {_cell(value)}", flush=True)
    PAGE.write_text(page(FOUND), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

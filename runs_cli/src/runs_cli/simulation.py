"""What `runs simulate` does: reads the trace, simulates it, writes what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import attrs
import click

from runs_cli import render
from runs_cli.answer import Block, Column, Fields, Notes, Table, answer, as_json
from runs_cli.cases import Case, Other, Work, cases
from runs_cli.comparison import share, side_by_side
from runs_cli.failures import Code, Stop
from runs_cli.options import Asked
from runs_cli.words import NONE, moment, span
from runs_core.cluster.trace.input import BadRow
from runs_core.hooks.ask import PluginAdvice
from runs_core.serve.simulate import Simulation, simulate
from runs_core.serve.summary import ClassHours, ForecastError, Preemptions, Summary, Waited
from runs_core.serve.views.plain import Plain, plain
from runs_core.values.quantity import counted

SHOWN_BAD_ROWS = 20
_SHOWN_NAMES = 5
_REPORT, _BAD_ROWS, _COMPARED = "report.json", "bad-rows.txt", "compared"
CHARTS = ("utilisation.png", "fragmentation.png", "queue.png", "waits.png")
_OURS = (_REPORT, _BAD_ROWS, *CHARTS)
"""All that this command ever writes to a folder."""
T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Wanted:
    """What the command line says. compare: another case, None: there is only one. check: invariants so often."""

    work: Work
    compare: Other | None
    check: int | None
    out: Path | None
    charts: bool


def simulated(said: Asked, wanted: Wanted) -> None:
    """The whole command."""
    this, *rest = cases(said, wanted.work, wanted.compare)
    other = rest[0] if rest else None
    _name_bad_rows(list(dict.fromkeys(row for case in (this, *rest) for row in case.trace.bad_rows)))
    write = _writer(wanted.out, charts=wanted.charts)
    beside = None if other is None else _writer(wanted.out and wanted.out / _COMPARED, charts=wanted.charts)
    found = _simulated(this, wanted.check)
    if wanted.out is not None:
        _clear(wanted.out, compared=other is not None)
    written = [*write(found.summary, this.trace.bad_rows)]
    compared = None if other is None else _simulated(other, wanted.check)
    if other is not None and compared is not None and beside is not None:
        written += beside(compared.summary, other.trace.bad_rows)
    both = [(this, found), *([(other, compared)] if other is not None and compared is not None else [])]
    for told in dict.fromkeys(_unpaid(case, one.summary) for case, one in both):
        if told:
            click.echo(told, err=True)
    answer(
        said,
        plain=lambda: _both(found, compared),
        names=lambda: [str(never.run) for never in found.summary.never_fit],
        blocks=lambda: [
            *(_blocks(found) if compared is None else [side_by_side(found.summary, compared.summary)]),
            *([Notes(title="Written:", lines=[str(path) for path in written])] if written else []),
        ],
    )


def _both(found: Simulation, compared: Simulation | None) -> Plain:
    first = _as_plain(found.summary, found.cpu_seconds)
    if compared is None or not isinstance(first, dict):
        return first
    return {**first, "compared": _as_plain(compared.summary, compared.cpu_seconds)}


def _simulated(this: Case, check: int | None) -> Simulation:
    runs = len(this.trace.arrivals)
    with render.progress("Simulating", runs) as bar:

        def told(done: int, now: datetime) -> None:
            bar(done, f"{done:,} of {runs:,} runs, {span(now - this.trace.start)} of virtual time")

        advice = PluginAdvice(this.plugins, this.settings)
        return simulate(this.trace, this.settings, advice, progress=told, check=check)


def _name_bad_rows(bad: Sequence[BadRow]) -> None:
    for row in bad[:SHOWN_BAD_ROWS]:
        click.echo(f"Left out: {row}", err=True)
    if len(bad) > SHOWN_BAD_ROWS:
        click.echo(f"Left out: {len(bad) - SHOWN_BAD_ROWS} more; {_BAD_ROWS} in --out names all", err=True)


def _unpaid(case: Case, summary: Summary) -> str:
    """What to look at where there are Budgets, and none of them paid for anything; else nothing."""
    trace, hours = case.trace, summary.gpu_hours.by_class
    if not trace.budgets or hours is None or hours.owned or hours.shared or hours.borrowed:
        return ""
    spaces = sorted({one.run.meta.namespace for one in trace.arrivals})
    flavors = sorted({node.flavor for node in trace.nodes})
    begin = moment(summary.input.first_arrival)
    where = f"list namespaces of the work ({_some(spaces)}) and flavors of the fleet ({_some(flavors)})"
    return (
        f"No Budget paid for anything: see that they {where}, and that their windows are open from {begin} on (--start)"
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN_NAMES]) + (", …" if len(names) > _SHOWN_NAMES else "")


# -- files ------------------------------------------------------------------------------------------------------------


def _writer(out: Path | None, *, charts: bool) -> Callable[[Summary, Sequence[BadRow]], Sequence[Path]]:
    """Writes what --out asks for. What would fail afterwards fails here, before anything is simulated."""
    if out is None:
        return lambda _summary, _bad: ()
    _refusing(out, lambda: out.mkdir(parents=True, exist_ok=True))
    if not charts:
        return lambda summary, bad: _refusing(out, lambda: _texts(out, summary, bad))
    try:
        from runs_cli.charts import draw  # noqa: PLC0415 - matplotlib takes half a second, and is an extra
    except ImportError as error:
        need = "charts need matplotlib: install it with `pip install 'runs-cli[charts]'`, or use --no-charts"
        raise Stop(need, Code.USAGE) from error
    return lambda summary, bad: _refusing(out, lambda: [*_texts(out, summary, bad), *draw(summary, out)])


def _clear(out: Path, *, compared: bool) -> None:
    """What an earlier simulation wrote goes: it would be taken for a part of this. What is not ours stays."""
    beside = out / _COMPARED
    for folder in (out, beside):
        for name in _OURS if folder.is_dir() else ():
            _refusing(out, partial((folder / name).unlink, missing_ok=True))
    if not compared:
        with suppress(OSError):  # it is not there, or somebody's files are in it
            beside.rmdir()


def _texts(out: Path, summary: Summary, bad: Sequence[BadRow]) -> list[Path]:
    texts = {_REPORT: as_json(_as_plain(summary, None))}
    if bad:
        texts[_BAD_ROWS] = "\n".join(map(str, bad))
    for name, text in texts.items():
        (out / name).write_text(text + "\n", encoding="utf-8")
    return [out / name for name in texts]


def _refusing(out: Path, write: Callable[[], T]) -> T:
    try:
        return write()
    except OSError as error:
        raise Stop(f"--out {out}: cannot be written: {error.strerror or error}", Code.USAGE) from error


def _as_plain(summary: Summary, cpu_seconds: float | None) -> Plain:
    """cpu_seconds None: for a file that is to be the same each time."""
    return plain(attrs.evolve(summary, cpu_seconds=cpu_seconds))


# -- for people -------------------------------------------------------------------------------------------------------


def _blocks(found: Simulation) -> list[Block]:
    summary = found.summary
    blocks: list[Block] = [_overview(found), _waits(summary)]
    if summary.never_fit:
        rows = [[str(never.run), str(never.gpus), never.why] for never in summary.never_fit]
        columns = [Column("NEVER FITS"), Column("GPUS", right=True), Column("WHY")]
        blocks.append(Table(columns=columns, rows=rows))
    return blocks


def _overview(found: Simulation) -> Fields:
    summary = found.summary
    given, runs, used, split = summary.input, summary.runs, summary.utilisation, summary.fragmentation
    left = [(runs.waiting, "waiting"), (runs.held, "held"), (runs.running, "running"), (runs.never_fit, "never fit")]
    standing = "".join(f", {count:,} {word}" for count, word in left if count)
    left_out = f"{counted(given.skipped, 'task', spec=',')} without GPUs skipped, "
    left_out += f"{given.unfinished:,} that never ran or had not ended, " if given.unfinished else ""
    left_out += f"bad rows left out: {given.bad_rows:,}"
    load = f"{_ratio(given.load)} of the fleet's GPU-time while runs arrive"
    inside = f"{_ratio(given.load_inside_span)} before the last arrival if each run starts at once"
    mean = f"{share(used.arrival_span)} while runs arrive"
    mean = mean if used.arrival_span is not None else f"{share(used.all)} to the last end"  # all arrive at once
    busy = f"{mean}, {share(used.while_waiting)} while runs wait"
    failed = f" ({runs.failed:,} failed)" if runs.failed else ""
    times = counted(summary.checks, "time", spec=",")
    return Fields(
        pairs=[
            ("Fleet", f"{counted(given.gpus, 'GPU', spec=',')} on {counted(given.nodes, 'node', spec=',')}"),
            ("Input", f"{counted(given.runs, 'run', spec=',')}, {given.rounded:,} rounded up to a GPU; {left_out}"),
            (
                "Arrivals",
                f"from {moment(given.first_arrival)}, over {span(timedelta(seconds=given.arrival_span_seconds))}",
            ),
            ("Load", f"{load}, of which {inside}"),
            ("Runs", f"{runs.started:,} started, {runs.finished:,} finished{failed}{standing}"),
            ("Utilisation", f"{busy}, {share(used.peak)} at most"),
            ("Fragmentation", f"{share(split.arrival_span)} while runs arrive, {share(split.peak)} at most"),
            ("Queue", f"{counted(summary.queue.max, 'run', spec=',')} at most"),
            *([("Preemptions", _preempted(summary.preemptions))] if summary.preemptions.cuts else []),
            *((f"Promises by {one.basis}", _off(one)) for one in summary.forecast_error_seconds),
            ("GPU-hours", f"{summary.gpu_hours.leased:,.1f} leased of {summary.gpu_hours.demanded:,.1f} demanded"),
            *([("Paid for by", _paid(hours))] if (hours := summary.gpu_hours.by_class) is not None else []),
            ("Decisions", f"{summary.decisions:,} in {found.cpu_seconds:.1f} CPU seconds"),
            *([("Invariants", f"checked {times}, none broken")] if summary.checks else []),
        ]
    )


def _preempted(cuts: Preemptions) -> str:
    stages = ", ".join(f"{stage.stage} {stage.cuts:,}" for stage in cuts.by_stage)
    who = f"{counted(cuts.runs, 'run', spec=',')} cut, one of them {counted(cuts.most, 'time')}"
    lost = f"{cuts.gpus:,} GPUs by {counted(cuts.resolutions, 'resolution', spec=',')} ({stages})"
    return f"{who}; {lost}; {cuts.lost_gpu_hours:,.1f} GPU-hours of work lost"


def _off(one: ForecastError) -> str:
    """How far promises were from the starts that came."""
    median, ninth, most = (span(timedelta(seconds=found)) for found in (one.p50, one.p90, one.max))
    return f"{one.forecasts:,}, {one.late:,} of them late; off by {median} in the median, P90 {ninth}, {most} at most"


def _paid(hours: ClassHours) -> str:
    shares = ((hours.owned, "its owner"), (hours.shared, "the family"), (hours.borrowed, "a sponsor"))
    return f"{', '.join(f'{who} {one:,.1f}' for one, who in shares)}, nobody {hours.unfunded:,.1f} GPU-hours"


def _waits(summary: Summary) -> Table:
    waits = summary.wait_seconds
    rows = [["all", *_waited(waits)]]
    rows += [[f"{size.gpus} GPU{'' if size.gpus == '1' else 's'}", *_waited(size)] for size in waits.by_size]
    if any(owner.owner is not None for owner in waits.by_owner):
        rows += [[f"owner {owner.owner or NONE}", *_waited(owner)] for owner in waits.by_owner]
    rows += [[f"class {one.class_}", *_waited(one)] for one in waits.by_class or ()]
    numbers = [Column(title, right=True) for title in ("STARTS", "MEAN", "P50", "P90", "P99", "MAX")]
    return Table(columns=[Column("WAITS"), *numbers], rows=rows)


def _waited(waited: Waited) -> list[str]:
    found = (waited.mean, waited.p50, waited.p90, waited.p99, waited.max)
    return [f"{waited.starts:,}", *(NONE if value is None else span(timedelta(seconds=value)) for value in found)]


def _ratio(load: float | None) -> str:
    return NONE if load is None else f"{load:.3g}"

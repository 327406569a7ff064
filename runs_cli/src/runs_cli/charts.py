"""A simulation as pictures. Imported when one is wanted, and not before: matplotlib takes its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from matplotlib.figure import Figure

from runs_cli.simulation import CHARTS
from runs_core.serve.summary import Series, Summary, Waited
from runs_core.values.quantity import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6E6E6E"
"""Told apart by colour-blind readers too (Okabe and Ito)."""

_SIZE_INCHES = (10, 5)
_DOTS_PER_INCH = 144
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_TICKS = {0: "0", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 36_000: "10 h", 360_000: "100 h"}
_MARKS = (
    ("p50", "median", "o", BLUE),
    ("p90", "p90", "s", GREEN),
    ("p99", "p99", "D", ORANGE),
    ("max", "max", "|", GREY),
)


class Unit(NamedTuple):
    """What a time axis counts in."""

    name: str
    seconds: int


def draw(summary: Summary, folder: Path) -> tuple[Path, ...]:
    """Writes utilisation, fragmentation, queue and waits as PNG; the same bytes for the same summary and matplotlib."""
    charts: tuple[Callable[[Axes, Summary], None], ...] = (_utilisation, _fragmentation, _queue, _waits)
    return tuple(_drawn(folder / name, chart, summary) for name, chart in zip(CHARTS, charts, strict=True))


def _drawn(path: Path, chart: Callable[[Axes, Summary], None], summary: Summary) -> Path:
    figure = Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="both", color="#E3E3E3", linewidth=0.8)
    axes.set_axisbelow(True)
    chart(axes, summary)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, metadata={"Software": None})
    return path


def _utilisation(axes: Axes, summary: Summary) -> None:
    found = summary.utilisation
    _over_time(axes, summary, [100 * part for part in summary.series.utilisation], BLUE, "leased")
    _level(axes, found.arrival_span, GREY, "mean while runs arrive")
    _level(axes, found.while_waiting, ORANGE, "mean while runs wait")
    _percent(axes, "leased GPUs, % of the fleet")
    _titled(axes, "Utilisation", summary)


def _fragmentation(axes: Axes, summary: Summary) -> None:
    _over_time(axes, summary, [100 * part for part in summary.series.fragmentation], GREEN, "fragmented")
    _level(axes, summary.fragmentation.arrival_span, GREY, "mean while runs arrive")
    _percent(axes, "free GPUs on partly leased nodes, % of free GPUs")
    _titled(axes, "Fragmentation", summary)


def _queue(axes: Axes, summary: Summary) -> None:
    _over_time(axes, summary, summary.series.waiting, ORANGE, "waiting")
    axes.set_ylabel("runs in line (mean of each step)")
    axes.set_ylim(0, max(1.0, 1.08 * max(summary.series.waiting, default=0)))
    longest = summary.queue.max
    _titled(axes, f"Queue: at most {counted(longest, 'run', spec=',')}" if longest else "Queue: no run waited", summary)


def _waits(axes: Axes, summary: Summary) -> None:
    every = summary.wait_seconds
    groups: list[tuple[str, Waited]] = [(f"all\n{counted(every.starts, 'start', spec=',')}", every)]
    groups += [
        (f"{size.gpus} GPU{'' if size.gpus == '1' else 's'}\n{counted(size.starts, 'start', spec=',')}", size)
        for size in summary.wait_seconds.by_size
    ]
    rows = range(len(groups))[::-1]
    for name, label, marker, colour in _MARKS:
        values = [getattr(waited, name) or 0.0 for _, waited in groups]
        axes.plot(values, rows, marker, color=colour, label=label, markersize=9, markeredgewidth=2)
    axes.set_yticks(list(rows), [label for label, _ in groups])
    axes.set_ylim(-0.6, len(groups) - 0.4)
    longest = summary.wait_seconds.max or 0.0
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(-0.1, max(10.0, 2 * longest))
    ticks = [tick for tick in _TICKS if tick <= max(10.0, 2 * longest)]
    axes.set_xticks(ticks, [_TICKS[tick] for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("wait from standing in line to GPUs leased (logarithmic beyond 1 s)")
    _titled(axes, "Waits by size of run" if longest else "Waits by size of run: no run waited", summary)


def _over_time(axes: Axes, summary: Summary, values: Sequence[float], colour: str, label: str) -> None:
    series = summary.series
    unit = _unit(series)
    edges = [(series.start_seconds + step * series.step_seconds) / unit.seconds for step in range(len(values))]
    edges.append(series.end_seconds / unit.seconds)
    if values:
        axes.stairs(values, edges, fill=True, color=colour, alpha=0.25)
        axes.stairs(values, edges, baseline=None, color=colour, linewidth=1.6, label=label)
        axes.set_xlim(edges[0], edges[-1])
    last = (series.start_seconds + summary.input.arrival_span_seconds) / unit.seconds
    if values and last < edges[-1]:
        axes.axvline(last, color=GREY, linestyle=":", linewidth=1.4, label="last arrival")
    axes.set_xlabel(f"{unit.name} since the trace's start")


def _unit(series: Series) -> Unit:
    spans = (Unit("seconds", 1), Unit("minutes", _MINUTE), Unit("hours", _HOUR), Unit("days", _DAY))
    length = series.end_seconds - series.start_seconds
    return next((unit for unit in reversed(spans) if length >= 4 * unit.seconds), spans[0])


def _level(axes: Axes, part: float | None, colour: str, label: str) -> None:
    if part is not None:
        axes.axhline(100 * part, color=colour, linestyle="--", linewidth=1.4, label=f"{label}: {part:.1%}")


def _percent(axes: Axes, label: str) -> None:
    axes.set_ylabel(label)
    axes.set_ylim(0, 103)


def _titled(axes: Axes, title: str, summary: Summary) -> None:
    found = summary.input
    load = "" if found.load is None else f", load {found.load:.3g}"
    axes.set_title(title, loc="left", fontweight="bold", fontsize=13, pad=24)
    runs, gpus, nodes = (
        counted(count, one, spec=",")
        for count, one in ((found.runs, "run"), (found.gpus, "GPU"), (found.nodes, "node"))
    )
    about = f"{runs} on {gpus} of {nodes}{load}"
    axes.annotate(about, (0, 1), xytext=(0, 8), xycoords="axes fraction", textcoords="offset points", color=GREY)

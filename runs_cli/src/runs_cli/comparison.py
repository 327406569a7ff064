"""Two simulations of the same work, with another fleet, other quotas, settings or plugins, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import NamedTuple

from runs_cli.answer import Column, Table
from runs_cli.words import NONE, span
from runs_core.serve.standing import SIZES
from runs_core.serve.summary import Summary
from runs_core.values.classes import Class
from runs_core.values.reservation import Basis

Number = float | None
PAID = {
    "owned": "paid for by their owner",
    "shared": "paid for by the family",
    "borrowed": "paid for by a sponsor",
    "unfunded": "paid for by nobody",
}


class Measure(NamedTuple):
    """One line: what it is, and how a number of it is written."""

    name: str
    first: Number
    second: Number
    shown: Callable[[Number], str]


def side_by_side(first: Summary, second: Summary) -> Table:
    """What differs and what does not. Less is written with a minus."""
    rows = [
        [one.name, one.shown(one.first), one.shown(one.second), _difference(one)] for one in _measures(first, second)
    ]
    numbers = [Column(name, right=True) for name in ("AS IS", "COMPARED", "DIFFERENCE")]
    return Table(columns=[Column("MEASURE"), *numbers], rows=rows)


def share(part: Number) -> str:
    """As a percentage."""
    return NONE if part is None else f"{part:.2%}"


def _measures(first: Summary, second: Summary) -> Iterator[Measure]:
    def line(name: str, of: Callable[[Summary], Number], shown: Callable[[Number], str]) -> Measure:
        return Measure(name, of(first), of(second), shown)

    yield line("GPUs of the fleet", lambda one: one.input.gpus, _count)
    yield line("runs started", lambda one: one.runs.started, _count)
    yield line("runs finished", lambda one: one.runs.finished, _count)
    yield line("never fit", lambda one: one.runs.never_fit, _count)
    yield line("mean wait", lambda one: one.wait_seconds.mean, _span)
    yield line("median wait", lambda one: one.wait_seconds.p50, _span)
    yield line("P90 wait", lambda one: one.wait_seconds.p90, _span)
    yield line("longest wait", lambda one: one.wait_seconds.max, _span)
    for size in SIZES:
        before, after = _of_size(first, size), _of_size(second, size)
        if before is not None or after is not None:
            yield Measure(f"P90 wait of {size} GPU{'' if size == '1' else 's'}", before, after, _span)
    for owner in sorted({one.owner for both in (first, second) for one in both.wait_seconds.by_owner if one.owner}):
        yield Measure(f"P90 wait of {owner}", _of_owner(first, owner), _of_owner(second, owner), _span)
    for cls in Class:
        before, after = _of_class(first, cls), _of_class(second, cls)
        if before is not None or after is not None:
            yield Measure(f"P90 wait of {cls} work", before, after, _span)
    yield line("utilisation while runs arrive", lambda one: one.utilisation.arrival_span, share)
    yield line("fragmentation while runs arrive", lambda one: one.fragmentation.arrival_span, share)
    yield line("most in line", lambda one: one.queue.max, _count)
    yield line("GPU-hours leased", lambda one: one.gpu_hours.leased, _hours)
    if any(one.gpu_hours.by_class is not None for one in (first, second)):
        for name, words in PAID.items():
            yield Measure(f"of them {words}", _paid(first, name), _paid(second, name), _hours)
    for basis in Basis:
        before, after = _error(first, basis), _error(second, basis)
        if before is not None or after is not None:
            yield Measure(f"P90 error of promises by {basis}", before, after, _span)
    yield line("resolutions", lambda one: one.preemptions.resolutions, _count)
    yield line("units cut", lambda one: one.preemptions.cuts, _count)
    yield line("GPU-hours of work lost", lambda one: one.preemptions.lost_gpu_hours, _hours)


def _of_size(summary: Summary, size: str) -> Number:
    return next((one.p90 for one in summary.wait_seconds.by_size if one.gpus == size), None)


def _of_owner(summary: Summary, owner: str) -> Number:
    return next((one.p90 for one in summary.wait_seconds.by_owner if one.owner == owner), None)


def _of_class(summary: Summary, cls: Class) -> Number:
    return next((one.p90 for one in summary.wait_seconds.by_class or () if one.class_ is cls), None)


def _error(summary: Summary, basis: Basis) -> Number:
    return next((one.p90 for one in summary.forecast_error_seconds if one.basis is basis), None)


def _paid(summary: Summary, name: str) -> Number:
    """None: nobody classifies claims."""
    hours = summary.gpu_hours.by_class
    return None if hours is None else float(getattr(hours, name))


def _difference(one: Measure) -> str:
    if one.first is None or one.second is None:
        return NONE
    found = one.second - one.first
    if not found:
        return "0"
    return f"{'+' if found > 0 else '-'}{one.shown(abs(found))}"


def _count(number: Number) -> str:
    return NONE if number is None else f"{number:,.0f}"


def _hours(number: Number) -> str:
    return NONE if number is None else f"{number:,.1f}"


def _span(seconds: Number) -> str:
    return NONE if seconds is None else span(timedelta(seconds=seconds))

"""A trace made heavier: arrivals closer together, more of the same runs, or several fleets' worth of everything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from fractions import Fraction

import attrs

from runs_core.cluster.trace.input import MICROSECOND, Arrival, TraceInput, in_order, uid_of
from runs_core.errors import InvalidInput, Problem
from runs_core.values.node import Node
from runs_core.values.quantity import counted
from runs_core.values.run import MOST_NAME

MOST_NODES = 1_000_000
MOST_RUNS = 10_000_000
"""More copies than this makes would fill the memory before anything is simulated: a run takes some 2 kB."""


def load_of(trace: TraceInput) -> Fraction | None:
    """Demanded GPU-time ÷ (the fleet's GPUs times the arrival span). None: no GPUs, or all arrivals at one moment.

    The whole demand counts, also that part which falls after the last arrival; `load_inside` counts what falls inside.
    """
    room = trace.gpus * (trace.span // MICROSECOND)
    return Fraction(trace.demand, room) if room else None


def load_inside(trace: TraceInput) -> Fraction | None:
    """As `load_of`, but only GPU-time that falls inside the arrival span if each run starts when it arrives.

    No scheduler can hold the fleet busier than this over that span.
    """
    span = trace.span // MICROSECOND
    return _inside(trace, _demands(trace), span) if trace.gpus and span else None


Demand = tuple[int, int, int]
"""Of a run its GPUs, its duration, and how long it arrives before the last one, in microseconds."""


def _demands(trace: TraceInput) -> Sequence[Demand]:
    end = trace.arrivals[-1].at
    return [(a.run.gpus, a.duration // MICROSECOND, (end - a.at) // MICROSECOND) for a in trace.arrivals]


def _inside(trace: TraceInput, demands: Sequence[Demand], span: int) -> Fraction:
    """`load_inside` if the arrivals took so many microseconds."""
    present = trace.span // MICROSECOND
    inside = sum(gpus * min(took, before * span // present) for gpus, took, before in demands)
    return Fraction(inside, trace.gpus * span)


def loaded(trace: TraceInput, load: Fraction) -> TraceInput:
    """Each distance from the first arrival multiplied by load_of(trace) ÷ load and rounded down to a microsecond.

    `load_of` of the result is `load` as exactly as microseconds allow. Durations stay. InvalidInput: no factor does it.
    """
    return _scaled(trace, _present(trace, load, "--load") / load, "--load")


def loaded_inside(trace: TraceInput, load: Fraction) -> TraceInput:
    """Arrivals as far apart as they can be, to a microsecond, for `load_inside` of the result to be `load` at least.

    InvalidInput: however close they come, it stays below.
    """
    option = "--load-inside"
    _present(trace, load, option)
    demands, present = _demands(trace), trace.span // MICROSECOND
    low, high = 0, present  # enough at `low`, as far as is known, and too little at `high`
    while _inside(trace, demands, high) >= load:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _inside(trace, demands, middle) >= load else (low, middle)
    if not low:
        most = float(_inside(trace, demands, 1_000_000))
        why = f"of the fleet no more than {most:.3g} is in use while runs arrive, however close they come"
        raise InvalidInput([Problem(option, f"{why}; ask for less, or for more of the same runs with --demand")])
    return _scaled(trace, Fraction(low, present), option)


def begun(trace: TraceInput, start: datetime) -> TraceInput:
    """All of it earlier or later, so that it starts then (UTC)."""
    by = start - trace.start
    moved = tuple(_at(arrival, arrival.at + by) for arrival in trace.arrivals)
    return attrs.evolve(trace, start=start, arrivals=moved)


def _present(trace: TraceInput, load: Fraction, option: str) -> Fraction:
    if load <= 0:
        raise InvalidInput([Problem(option, f"got {float(load):g}, want a number above 0, such as 0.95")])
    if not (present := load_of(trace)):
        raise InvalidInput([Problem(option, "needs nodes with GPUs, and runs that arrive at different moments")])
    return present


def _scaled(trace: TraceInput, factor: Fraction, option: str) -> TraceInput:
    first = trace.arrivals[0].at
    return attrs.evolve(trace, arrivals=in_order(_moved(arrival, first, factor, option) for arrival in trace.arrivals))


def _moved(arrival: Arrival, first: datetime, factor: Fraction, option: str) -> Arrival:
    distance = (arrival.at - first) // MICROSECOND
    try:
        at = first + timedelta(microseconds=distance * factor.numerator // factor.denominator)
    except OverflowError as error:
        raise InvalidInput([Problem(option, "so low that the arrivals last beyond the year 9999")]) from error
    return _at(arrival, at)


def _at(arrival: Arrival, at: datetime) -> Arrival:
    run = attrs.evolve(arrival.run, meta=attrs.evolve(arrival.run.meta, created=at))
    return attrs.evolve(arrival, at=at, run=run)


def copied(trace: TraceInput, copies: int, demand: int = 1) -> TraceInput:
    """N fleets' worth of nodes, and of runs so many times more; copies' names end in -2, -3, …. demand: times the runs.

    They arrive with the original. What runs wait for (`after`) stays inside each copy. InvalidInput where they would be
    too many, or a suffixed name is too long, or taken.
    """
    for option, number in (("--copies", copies), ("--demand", demand)):
        if number < 1:
            raise InvalidInput([Problem(option, f"got {number}, want at least 1")])
    if copies == demand == 1:
        return trace
    option, times = "--copies" if copies > 1 else "--demand", copies * demand
    _refuse_too_many(option, counted(len(trace.nodes), "node"), copies, MOST_NODES // max(1, len(trace.nodes)))
    _refuse_too_many(option, counted(len(trace.arrivals), "run"), times, MOST_RUNS // max(1, len(trace.arrivals)))
    nodes = sorted((node for n in range(1, copies + 1) for node in _nodes(trace, n)), key=lambda node: node.name)
    arrivals = in_order(arrival for n in range(1, times + 1) for arrival in _arrivals(trace, n))
    names = {node.name for node in nodes}
    runs = {arrival.run.key for arrival in arrivals}
    longest = max((len(key.name) for key in runs), default=0)
    if longest > MOST_NAME:
        raise InvalidInput([Problem(option, f"a copy's name has {longest} characters, want at most {MOST_NAME}")])
    if len(names) < len(nodes) or len(runs) < len(arrivals):
        raise InvalidInput([Problem(option, "a name of the trace ends as a copy's would (-2, -3, …); rename it")])
    return attrs.evolve(
        trace,
        nodes=tuple(nodes),
        arrivals=arrivals,
        skipped=trace.skipped * times,
        unfinished=trace.unfinished * times,
        rounded=trace.rounded * times,
        skipped_nodes=trace.skipped_nodes * copies,
    )


def _refuse_too_many(option: str, what: str, times: int, most: int) -> None:
    if times > most:
        raise InvalidInput([Problem(option, f"asks for {what} {times} times over, want at most {most} times")])


def _nodes(trace: TraceInput, n: int) -> Iterator[Node]:
    for node in trace.nodes:
        name = _suffixed(node.name, n)
        yield node if n == 1 else attrs.evolve(node, name=name, uid=uid_of("Node", "", name))


def _arrivals(trace: TraceInput, n: int) -> Iterator[Arrival]:
    for arrival in trace.arrivals:
        if n == 1:
            yield arrival
            continue
        run = arrival.run
        name = _suffixed(run.meta.name, n)
        meta = attrs.evolve(run.meta, name=name, uid=uid_of("Run", run.meta.namespace, name))
        spec = (
            run.spec
            if not run.spec.after
            else attrs.evolve(run.spec, after=tuple(_suffixed(name, n) for name in run.spec.after))
        )
        yield attrs.evolve(arrival, run=attrs.evolve(run, meta=meta, spec=spec))


def _suffixed(name: str, n: int) -> str:
    return name if n == 1 else f"{name}-{n}"

"""A trace made heavier: arrivals closer together, or several fleets' worth of everything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction

import attrs

from runs_core.cluster.trace.input import MICROSECOND, Arrival, TraceInput, in_order, uid_of
from runs_core.errors import InvalidInput, Problem
from runs_core.values.node import Node
from runs_core.values.run import MOST_NAME


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
    room = trace.gpus * (trace.span // MICROSECOND)
    if not room:
        return None
    end = trace.arrivals[-1].at
    inside = sum(a.run.gpus * (min(a.duration, end - a.at) // MICROSECOND) for a in trace.arrivals)
    return Fraction(inside, room)


def loaded(trace: TraceInput, load: Fraction) -> TraceInput:
    """Each distance from the first arrival multiplied by load_of(trace) ÷ load and rounded down to a microsecond.

    `load_of` of the result is `load` as exactly as microseconds allow. Durations stay. InvalidInput: no factor does it.
    """
    present = load_of(trace)
    if load <= 0:
        raise InvalidInput([Problem("--load", f"got {float(load):g}, want a number above 0, such as 0.95")])
    if not present:
        raise InvalidInput([Problem("--load", "needs nodes with GPUs, and runs that arrive at different moments")])
    factor = present / load
    first = trace.arrivals[0].at
    return attrs.evolve(trace, arrivals=in_order(_moved(arrival, first, factor) for arrival in trace.arrivals))


def _moved(arrival: Arrival, first: datetime, factor: Fraction) -> Arrival:
    distance = (arrival.at - first) // MICROSECOND
    try:
        at = first + timedelta(microseconds=distance * factor.numerator // factor.denominator)
    except OverflowError as error:
        raise InvalidInput([Problem("--load", "so low that the arrivals last beyond the year 9999")]) from error
    run = attrs.evolve(arrival.run, meta=attrs.evolve(arrival.run.meta, created=at))
    return attrs.evolve(arrival, at=at, run=run)


def copied(trace: TraceInput, copies: int) -> TraceInput:
    """N fleets' worth of nodes and runs; the copies' names end in -2, -3, …, and arrive with the original.

    What runs wait for (`after`) stays inside each copy. InvalidInput where a suffixed name is too long, or taken.
    """
    if copies < 1:
        raise InvalidInput([Problem("--copies", f"got {copies}, want at least 1")])
    if copies == 1:
        return trace
    nodes = sorted((node for n in range(1, copies + 1) for node in _nodes(trace, n)), key=lambda node: node.name)
    arrivals = in_order(arrival for n in range(1, copies + 1) for arrival in _arrivals(trace, n))
    names = {node.name for node in nodes}
    runs = {arrival.run.key for arrival in arrivals}
    longest = max((len(key.name) for key in runs), default=0)
    if longest > MOST_NAME:
        raise InvalidInput([Problem("--copies", f"a copy's name has {longest} characters, want at most {MOST_NAME}")])
    if len(names) < len(nodes) or len(runs) < len(arrivals):
        raise InvalidInput([Problem("--copies", "a name of the trace ends as a copy's would (-2, -3, …); rename it")])
    return attrs.evolve(
        trace,
        nodes=tuple(nodes),
        arrivals=arrivals,
        skipped=trace.skipped * copies,
        unfinished=trace.unfinished * copies,
        rounded=trace.rounded * copies,
        skipped_nodes=trace.skipped_nodes * copies,
    )


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

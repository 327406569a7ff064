"""The real loop over a trace, with a virtual clock: what this fleet, or these settings, would do with that work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import attrs

from runs_core.cluster.port import Cluster
from runs_core.cluster.trace.cluster import TraceCluster
from runs_core.cluster.trace.input import TraceInput
from runs_core.decide.advice import Advice
from runs_core.hooks.ask import PluginAdvice
from runs_core.serve.checking import Checking
from runs_core.serve.loop import Loop
from runs_core.serve.report import Report
from runs_core.serve.summary import Summary
from runs_core.settings import Settings
from runs_core.values.change import BudgetSeen, Change, NamespaceSeen, NodeSeen, RunSeen
from runs_core.values.effect import Effect
from runs_core.values.record import Record

Progress = Callable[[int, datetime], None]
"""Told how many runs are done with (ended, or never to fit), and the virtual time."""

STANDSTILL = timedelta(days=30)
"""Whatever still waits after so long without a decision, and nothing runs or is to arrive, waits for ever."""

_TOLD_EVERY = 0.1


@attrs.frozen(kw_only=True)
class Simulation:
    """summary: the same for the same input. cpu_seconds: of this process, for the simulation alone; never the same."""

    summary: Summary
    cpu_seconds: float


def simulate(
    trace: TraceInput,
    settings: Settings | None = None,
    advice: Advice | None = None,
    *,
    progress: Progress | None = None,
    check: int | None = None,
) -> Simulation:
    """Until every run has ended or nothing can happen any more.

    advice: of plugins, fresh, since it serves one world; None: the bare core. The virtual clock starts with the trace
    and jumps from event to event. Memory grows with what waits, runs or is retained (`retention` in the settings).
    check: invariants after so many decisions each, and at the end. InvariantBroken: one does not hold.
    """
    began = time.process_time()
    settings = settings or Settings()
    report, checking = Report(trace), Checking(check)
    cluster = TraceCluster(changes_of(trace), settings, begin=trace.start, told=_nobody)
    loop = _loop(_Watched(cluster, report, checking), settings, advice)
    tell = _Teller(progress)
    lately = cluster.now
    while report.left:
        if loop.settle() or cluster.expects:
            lately = cluster.now
        checking.check(loop.world, cluster.now)
        tell(len(trace.arrivals) - report.left, cluster.now)
        if cluster.now - lately > STANDSTILL:
            break
        deadline = loop.next_moment()
        if not cluster.advance(deadline if deadline is not None and deadline > cluster.now else None):
            break
    checking.check(loop.world, cluster.now, last=True)
    summary = attrs.evolve(report.summary(), checks=checking.checks)
    return Simulation(summary=summary, cpu_seconds=time.process_time() - began)


def _loop(cluster: Cluster, settings: Settings, advice: Advice | None) -> Loop:
    if not isinstance(advice, PluginAdvice):
        return Loop(cluster, settings, advice)
    loop = Loop(cluster, settings, advice, told=advice.recorded)
    advice.attach(loop.world, loop.world)
    return loop


def changes_of(trace: TraceInput) -> Iterator[tuple[datetime, Change]]:
    """What the cluster shows, by time: all but the runs at once."""
    yield from ((trace.start, NamespaceSeen(namespace)) for namespace in trace.namespaces)
    yield from ((trace.start, BudgetSeen(budget)) for budget in trace.budgets)
    yield from ((trace.start, NodeSeen(node)) for node in trace.nodes)
    yield from ((arrival.at, RunSeen(arrival.run)) for arrival in trace.arrivals)


def _nobody(_: Sequence[Record]) -> None:
    return None


class _Watched:
    """The cluster, with a report and a check that see all that goes through it."""

    plays_pods = True
    outlives = False

    def __init__(self, cluster: Cluster, report: Report, checking: Checking) -> None:
        self._cluster = cluster
        self._report = report
        self._checking = checking

    def observe(self) -> tuple[datetime, Sequence[Change]]:
        now, changes = self._cluster.observe()
        self._report.saw(now, changes)
        return now, changes

    def commit(self, effects: Sequence[Effect], records: Sequence[Record]) -> None:
        self._cluster.commit(effects, records)
        self._report.wrote(effects, records)
        self._checking.wrote(effects, records)


class _Teller:
    """Tells of progress ten times a second at most."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._due = 0.0

    def __call__(self, done: int, now: datetime) -> None:
        if self._progress is None or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _TOLD_EVERY
        self._progress(done, now)

"""The statistics of a simulation, taken from what the cluster shows and what the loop writes.

Memory: a few numbers per unfinished run and per open lease, 24 bytes per wait; nothing else per finished run.

Definitions. A wait lasts from when a run stands in line (its arrival, or the moment that it is no longer held) until
GPUs are leased to it; the delay of its pods is not part of it, and a run that is requeued waits anew.
Utilisation: leased GPUs ÷ the fleet's GPUs. Fragmentation: the part of the free GPUs that lies on nodes some GPUs of
which are leased (1 - GPUs of wholly free nodes ÷ free GPUs; 0 when none is free): what a gang of whole-node pods cannot
use. Both are weighted by time: over the arrival span (first arrival to last), over all (to the last end), and
utilisation also over the time in which some run waited that the empty fleet could take.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

import attrs

from runs_core.cluster.trace.input import TraceInput
from runs_core.cluster.trace.scale import load_inside, load_of
from runs_core.serve.cuts import Cuts
from runs_core.serve.measure import MICROSECOND, Errors, Mean, Timeline, Waits, seconds
from runs_core.serve.paid import Paid
from runs_core.serve.standing import MILLION, SIZES, Leased, Line
from runs_core.serve.summary import (
    AllWaited,
    ClassWaited,
    Counts,
    Fragmentation,
    GpuHours,
    Input,
    NeverFit,
    OwnerWaited,
    Queue,
    Series,
    SizeWaited,
    Summary,
    Utilisation,
)
from runs_core.values.change import Change, RunGone, RunSeen
from runs_core.values.classes import Class
from runs_core.values.effect import (
    CloseLease,
    Effect,
    OpenLease,
    PutResolution,
    SetReservationStatus,
    SetRunStatus,
)
from runs_core.values.record import Record
from runs_core.values.reservation import Basis, Reservation

SHOWN = 100
"""Runs that can never fit are all counted, and so many are listed, by name."""

_BUCKETS = 200
_GPU_HOUR = 3600 * MILLION
_HELD, _FRAGMENTATION, _WAITING = range(3)


class Report:
    """Told everything in order, through `saw` and `wrote`."""

    def __init__(self, trace: TraceInput) -> None:
        self._trace = trace
        self._first = trace.arrivals[0].at if trace.arrivals else trace.start
        self._last = trace.arrivals[-1].at if trace.arrivals else trace.start
        self._now = self._first
        self._leased = Leased({node.name: node.gpus for node in trace.nodes})
        self._line = Line()
        self._cuts = Cuts()
        self._over_span = (Mean(), Mean(), Mean())
        self._over_all = (Mean(), Mean(), Mean())
        self._while_waiting = Mean()
        self._timeline = Timeline(self._first, trace.span / _BUCKETS)
        self._errors: dict[Basis, Errors] = {}
        self._paid = Paid()
        self.decisions = 0

    @property
    def left(self) -> int:
        """Runs that are yet to arrive or to end, and could."""
        return len(self._trace.arrivals) - self._line.finished - len(self._line.never)

    def saw(self, now: datetime, changes: Iterable[Change]) -> None:
        """It is `now`, and others did this."""
        self._pass(now)
        for change in changes:
            match change:
                case RunSeen(run):
                    self._line.seen(run, now)
                case RunGone(key):
                    self._line.gone(key)
                case _:
                    pass

    def wrote(self, effects: Sequence[Effect], records: Sequence[Record]) -> None:
        """The loop did this, at the time last seen."""
        owners = {e.lease.spec.run_ref.uid: e.lease.spec.owner for e in effects if isinstance(e, OpenLease)}
        for effect in effects:
            match effect:
                case OpenLease(lease):
                    self._leased.open(lease)
                case CloseLease(lease):
                    self._leased.close(lease)
                    self._cuts.ended(lease)
                    self._paid.ended(lease)
                case PutResolution(resolution):
                    self._cuts.decided(resolution)
                case SetReservationStatus(reservation):
                    self._score(reservation)
                case SetRunStatus(run):
                    self._line.wrote(run, self._now, owners.get(run.uid))
                case _:
                    pass
        for record in records:
            self._line.decided(record)
        self.decisions += len(records)

    def _score(self, reservation: Reservation) -> None:
        for one in reservation.status.promises:
            if one.error_seconds is not None:
                self._errors.setdefault(one.basis, Errors()).add(one.error_seconds)

    def _pass(self, now: datetime) -> None:
        """Time passes with everything as it stands; what comes after the last end does not count."""
        start, self._now = self._now, max(now, self._now)
        levels = (self._leased.held, self._leased.fragmentation, self._line.waiting)
        if start >= self._last and not self._leased.held and not self._line.waiting:
            return
        inside = min(self._now, self._last) - min(start, self._last)
        for means, span in ((self._over_all, self._now - start), (self._over_span, inside)):
            for mean, level in zip(means, levels, strict=True):
                mean.add(level, span // MICROSECOND)
        if self._line.waiting:
            self._while_waiting.add(self._leased.held, (self._now - start) // MICROSECOND)
        if self._line.waiting or start < self._last:
            self._timeline.add(self._now, levels)

    def summary(self) -> Summary:
        """What is known so far; at the end, the answer."""
        means = self._over_all
        return Summary(
            input=self._input(),
            runs=self._counts(),
            never_fit=self._never_fit(),
            wait_seconds=self._wait_seconds(),
            utilisation=self._utilisation(),
            fragmentation=self._fragmentation(),
            queue=Queue(max=means[_WAITING].highest, mean=self._over_span[_WAITING].over(1)),
            gpu_hours=GpuHours(
                leased=round(means[_HELD].total / _GPU_HOUR, 6),
                demanded=round(self._trace.demand / _GPU_HOUR, 6),
                by_class=self._paid.summary(),
            ),
            series=self._series(),
            decisions=self.decisions,
            preemptions=self._cuts.summary(),
            forecast_error_seconds=tuple(self._errors[basis].summary(basis) for basis in sorted(self._errors)),
        )

    def _input(self) -> Input:
        trace = self._trace
        return Input(
            nodes=len(trace.nodes),
            gpus=trace.gpus,
            runs=len(trace.arrivals),
            skipped=trace.skipped,
            unfinished=trace.unfinished,
            skipped_nodes=trace.skipped_nodes,
            rounded=trace.rounded,
            bad_rows=len(trace.bad_rows),
            first_arrival=self._first if trace.arrivals else None,
            arrival_span_seconds=seconds(trace.span),
            load=_rounded(load_of(trace)),
            load_inside_span=_rounded(load_inside(trace)),
        )

    def _counts(self) -> Counts:
        line = self._line
        return Counts(
            started=line.started,
            finished=line.finished,
            failed=line.failed,
            running=line.running,
            waiting=line.waiting,
            held=line.held,
            never_fit=len(line.never),
        )

    def _never_fit(self) -> tuple[NeverFit, ...]:
        listed = sorted(self._line.never.items())[:SHOWN]
        return tuple(NeverFit(run=key, gpus=never.gpus, why=never.why) for key, never in listed)

    def _wait_seconds(self) -> AllWaited:
        owners, sizes, classes = self._line.by_owner, self._line.by_size, self._line.by_class
        named = sorted(owners, key=lambda owner: (owner is not None, owner or ""))
        return AllWaited(
            **_fields(Waits.of(sizes.values())),
            by_owner=tuple(OwnerWaited(owner=owner, **_fields(owners[owner])) for owner in named),
            by_size=tuple(SizeWaited(gpus=size, **_fields(sizes[size])) for size in SIZES if size in sizes),
            by_class=tuple(ClassWaited(class_=cls, **_fields(classes[cls])) for cls in Class if cls in classes) or None,
        )

    def _utilisation(self) -> Utilisation:
        gpus = self._leased.gpus
        return Utilisation(
            arrival_span=self._over_span[_HELD].over(gpus),
            all=self._over_all[_HELD].over(gpus),
            while_waiting=self._while_waiting.over(gpus),
            peak=round(self._over_all[_HELD].highest / gpus, 6) if gpus else None,
        )

    def _fragmentation(self) -> Fragmentation:
        return Fragmentation(
            arrival_span=self._over_span[_FRAGMENTATION].over(MILLION),
            all=self._over_all[_FRAGMENTATION].over(MILLION),
            peak=self._over_all[_FRAGMENTATION].highest / MILLION,
        )

    def _series(self) -> Series:
        line = self._timeline
        return Series(
            start_seconds=seconds(self._first - self._trace.start),
            end_seconds=seconds(line.end - self._trace.start),
            step_seconds=seconds(line.step),
            utilisation=line.means(_HELD, self._leased.gpus),
            fragmentation=line.means(_FRAGMENTATION, MILLION),
            waiting=line.means(_WAITING, 1),
        )


def _rounded(load: Fraction | None) -> float | None:
    return None if load is None else round(float(load), 6)


def _fields(waits: Waits) -> dict[str, Any]:
    return attrs.asdict(waits.summary())

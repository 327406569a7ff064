"""What a simulation answers: frozen values that `views.plain.plain` turns into the JSON of the view."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import attrs

from runs_core.values.classes import Class
from runs_core.values.meta import Key
from runs_core.values.reservation import Basis


@attrs.frozen(kw_only=True)
class Input:
    """What was simulated. load: demanded GPU-time ÷ (the fleet's GPUs times the arrival span).

    load_inside_span: of it, what falls inside that span if every run starts on arrival: the most that can be utilised.
    unfinished: tasks of the trace that never ran, or had not ended, so that nobody knows how long they take.
    first_arrival: by the virtual clock; None: nothing arrives.
    """

    nodes: int
    gpus: int
    runs: int
    skipped: int
    unfinished: int
    skipped_nodes: int
    rounded: int
    bad_rows: int
    first_arrival: datetime | None
    arrival_span_seconds: float
    load: float | None
    load_inside_span: float | None


@attrs.frozen(kw_only=True)
class Counts:
    """Runs by where they stand at the end. started: at least once; finished: succeeded or failed."""

    started: int
    finished: int
    failed: int
    running: int
    waiting: int
    held: int
    never_fit: int


@attrs.frozen(kw_only=True)
class NeverFit:
    """A run that the fleet could not take even if it were empty."""

    run: Key
    gpus: int
    why: str


@attrs.frozen(kw_only=True)
class Waited:
    """Seconds in line of so many starts. Percentiles are nearest-rank; None where nothing started."""

    starts: int
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    max: float | None = None


@attrs.frozen(kw_only=True)
class OwnerWaited(Waited):
    """Starts of one owner's runs; None: of runs without an owner."""

    owner: str | None


@attrs.frozen(kw_only=True)
class SizeWaited(Waited):
    """Starts of runs of one size, in GPUs: `1`, `2-7`, `8`, `9-64` or `>64`."""

    gpus: str


@attrs.frozen(kw_only=True)
class ClassWaited(Waited):
    """Starts of runs whose GPUs were of one class when they started; of several, the least protected one."""

    class_: Class


@attrs.frozen(kw_only=True)
class AllWaited(Waited):
    """Starts of all runs. by_class: None where nothing classifies claims."""

    by_owner: tuple[OwnerWaited, ...]
    by_size: tuple[SizeWaited, ...]
    by_class: tuple[ClassWaited, ...] | None


@attrs.frozen(kw_only=True)
class Utilisation:
    """Parts of the fleet's GPUs, from 0 to 1; None where no time passed. peak: the highest that lasted."""

    arrival_span: float | None
    all: float | None
    while_waiting: float | None
    peak: float | None


@attrs.frozen(kw_only=True)
class Fragmentation:
    """Parts of the free GPUs, from 0 to 1; None where no time passed. peak: the highest that lasted."""

    arrival_span: float | None
    all: float | None
    peak: float


@attrs.frozen(kw_only=True)
class Queue:
    """Runs in line that the empty fleet could take. mean: over the arrival span."""

    max: int
    mean: float | None


@attrs.frozen(kw_only=True)
class ClassHours:
    """GPU-hours by who paid for them, of leases that were closed."""

    owned: float
    shared: float
    borrowed: float
    unfunded: float


@attrs.frozen(kw_only=True)
class GpuHours:
    """by_class: None where nothing classifies claims."""

    leased: float
    demanded: float
    by_class: ClassHours | None = None


@attrs.frozen(kw_only=True)
class StageCuts:
    """What one stage of reclaiming cut."""

    stage: str
    cuts: int
    gpus: int


@attrs.frozen(kw_only=True)
class Preemptions:
    """What was taken back. cuts: units that stopped; runs: how many different ones; most: the most that one was cut.

    lost_gpu_hours: what they had worked since they last started.
    """

    resolutions: int
    cuts: int
    gpus: int
    runs: int
    most: int
    lost_gpu_hours: float
    by_stage: tuple[StageCuts, ...]


@attrs.frozen(kw_only=True)
class Series:
    """Means over steps of equal length, while runs still arrive or wait; the last step may be shorter.

    start_seconds, end_seconds: of the whole series, from the trace's start.
    """

    start_seconds: float
    end_seconds: float
    step_seconds: float
    utilisation: Sequence[float]
    fragmentation: Sequence[float]
    waiting: Sequence[float]


@attrs.frozen(kw_only=True)
class ForecastError:
    """Promises of one basis, held against the starts that came: seconds, whichever way. late: started later."""

    basis: Basis
    forecasts: int
    late: int
    mean: float
    p50: int
    p90: int
    max: int


@attrs.frozen(kw_only=True)
class Summary:
    """The same for the same trace, settings and plugins, whatever the order of rows, but for cpu_seconds.

    never_fit: the first of them by name. forecast_error_seconds: by basis. checks: how often all invariants were held
    against what there was, and held. cpu_seconds: of this process; None where the rest is to be compared.
    """

    input: Input
    runs: Counts
    never_fit: tuple[NeverFit, ...]
    wait_seconds: AllWaited
    utilisation: Utilisation
    fragmentation: Fragmentation
    queue: Queue
    gpu_hours: GpuHours
    series: Series
    decisions: int
    preemptions: Preemptions
    forecast_error_seconds: tuple[ForecastError, ...] = ()
    checks: int = 0
    cpu_seconds: float | None = None

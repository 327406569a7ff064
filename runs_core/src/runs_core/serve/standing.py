"""Where each run of a simulation stands, and which GPUs are leased: what the report counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from runs_core.serve.measure import Waits
from runs_core.values.classes import Class
from runs_core.values.decision import Waits as StillWaits
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.record import Record
from runs_core.values.run import Phase, Run

MILLION = 1_000_000
_SIZES = ((1, "1"), (7, "2-7"), (8, "8"), (64, "9-64"))
SIZES = (*(name for _, name in _SIZES), ">64")


def size_class(gpus: int) -> str:
    """1, 2-7, 8, 9-64 or >64 GPUs."""
    return next((name for most, name in _SIZES if gpus <= most), SIZES[-1])


class Place(NamedTuple):
    """A waiting run: since when it stands in line, and how many GPUs it wants."""

    since: datetime
    gpus: int


class Never(NamedTuple):
    """Why the present fleet could not take a run even if it were empty."""

    gpus: int
    why: str


class Line:
    """Runs by where they stand. Finished ones are only counted."""

    def __init__(self) -> None:
        self._phase: dict[Key, Phase] = {}
        self._places: dict[Key, Place] = {}
        self.never: dict[Key, Never] = {}
        self.started = 0
        self.finished = 0
        self.failed = 0
        self.by_owner: defaultdict[str | None, Waits] = defaultdict(Waits)
        self.by_size: defaultdict[str, Waits] = defaultdict(Waits)
        self.by_class: defaultdict[Class, Waits] = defaultdict(Waits)

    @property
    def waiting(self) -> int:
        """Runs in line that the fleet could take, were it empty."""
        return len(self._places) - len(self.never)

    @property
    def running(self) -> int:
        """Runs that hold GPUs, or come up."""
        return sum(phase in (Phase.STARTING, Phase.RUNNING) for phase in self._phase.values())

    @property
    def held(self) -> int:
        """Runs that may not stand in line yet."""
        return sum(phase is Phase.HELD for phase in self._phase.values())

    def seen(self, run: Run, now: datetime) -> None:
        """Submitted, or edited."""
        if run.key not in self._phase and run.status.phase.waits:
            self._phase[run.key] = Phase.QUEUED
            self._places[run.key] = Place(now, run.gpus)

    def wrote(self, run: Run, now: datetime, owner: str | None) -> None:
        """The scheduler wrote this status."""
        phase = run.status.phase
        if phase in (Phase.STARTING, Phase.RUNNING) and run.key in self._places:
            self._begin(run, now, owner)
        elif phase.waits and run.key not in self._places:
            self._places[run.key] = Place(now, run.gpus)
        elif phase is Phase.HELD:
            self._leave_line(run.key)
        if not phase.terminal:
            self._phase[run.key] = phase
        elif self._phase.pop(run.key, None) is not None:
            self._leave_line(run.key)
            self.finished += 1
            self.failed += phase is Phase.FAILED

    def gone(self, key: Key) -> None:
        """The object was deleted."""
        self._leave_line(key)
        self._phase.pop(key, None)

    def decided(self, record: Record) -> None:
        """Whether a run that waits could ever fit is part of the verdict."""
        place = self._places.get(record.run)
        if place is None or not isinstance(record.outcome, StillWaits):
            return
        if record.outcome.never:
            why = "; ".join(reason.message for reason in record.outcome.reasons)
            self.never[record.run] = Never(place.gpus, why)
        else:
            self.never.pop(record.run, None)

    def _begin(self, run: Run, now: datetime, owner: str | None) -> None:
        wait = now - self._places[run.key].since
        self._leave_line(run.key)
        self.by_owner[owner].add(wait)
        self.by_size[size_class(run.gpus)].add(wait)
        if (cls := run.status.funding.least_protected) is not None:
            self.by_class[cls].add(wait)
        self.started += run.status.attempt <= 1

    def _leave_line(self, key: Key) -> None:
        self._places.pop(key, None)
        self.never.pop(key, None)


class Leased:
    """The fleet's GPUs by node, leased and free. gpus: of each node."""

    def __init__(self, gpus: Mapping[str, int]) -> None:
        self._gpus = gpus
        self._open: set[Key] = set()
        self._taken: dict[str, int] = {}
        self.gpus = sum(gpus.values())
        self.held = 0
        self._whole = self.gpus

    def open(self, lease: Lease) -> None:
        """Its slots are taken."""
        if lease.key not in self._open:
            self._open.add(lease.key)
            self._change(lease, 1)

    def close(self, lease: Lease) -> None:
        """Its slots are free."""
        if lease.key in self._open:
            self._open.remove(lease.key)
            self._change(lease, -1)

    @property
    def fragmentation(self) -> int:
        """Millionths of the free GPUs that lie on nodes some GPUs of which are leased; 0 when no GPU is free."""
        free = self.gpus - self.held
        return (free - self._whole) * MILLION // free if free else 0

    def _change(self, lease: Lease, sign: int) -> None:
        for slots in lease.spec.slots:
            before = self._taken.get(slots.node, 0)
            after = before + sign * len(slots.ordinals)
            self._whole += self._gpus[slots.node] * ((not after) - (not before))
            self.held += after - before
            self._taken[slots.node] = after

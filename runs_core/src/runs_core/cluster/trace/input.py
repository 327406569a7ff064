"""What a trace gives the simulator: a fleet, runs with their arrivals and durations, and what was odd in the files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import attrs

from runs_core.errors import InvalidInput, Problem
from runs_core.values.budget import Budget, Namespace
from runs_core.values.meta import SIMULATED, Meta, pairs
from runs_core.values.node import Node
from runs_core.values.quantity import format_duration
from runs_core.values.run import Run

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Where a trace starts that tells no dates, but counts from an unnamed moment: a fixed one keeps results equal."""

FLAVOR = "gpu"
"""Of every node of a published trace, and what its runs ask for."""
PODS_PER_NODE = 110
"""The kubelet's default; no published trace says it."""

DURATION = f"{SIMULATED}duration"
START = f"{SIMULATED}start"
MICROSECOND = timedelta(microseconds=1)
_SHOWN = 5
MOST_COUNTED = 10_000
"""So many bad rows are counted, so that whoever may leave some out knows how many; then the file is another one."""


@attrs.frozen(kw_only=True)
class BadRow:
    """A row that was left out. source: the file as it was named; line: from 1, where the row begins."""

    source: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {self.why}"


@attrs.frozen(kw_only=True)
class Arrival:
    """A run is submitted `at` (UTC) and, once its pods run, takes `duration`."""

    at: datetime
    run: Run
    duration: timedelta


@attrs.frozen(kw_only=True)
class TraceInput:
    """Nodes by name and arrivals by (at, key), so that the order of rows never matters.

    start: of the virtual clock (UTC), not after the first arrival; what windows of Budgets open and close by.
    skipped: tasks that ask for no GPU; unfinished: those that never ran, ran for no time, or had not ended when the log
    was written; rounded: those that ask for part of a GPU and get a whole one; skipped_nodes: nodes without GPUs.
    """

    nodes: tuple[Node, ...]
    arrivals: tuple[Arrival, ...]
    start: datetime = EPOCH
    namespaces: tuple[Namespace, ...] = ()
    budgets: tuple[Budget, ...] = ()
    skipped: int = 0
    unfinished: int = 0
    rounded: int = 0
    skipped_nodes: int = 0
    bad_rows: tuple[BadRow, ...] = ()

    @classmethod
    def of_fleet(cls, nodes: Iterable[Node], bad: Iterable[BadRow]) -> TraceInput:
        """Nodes without any work, and what was odd in their file."""
        known = sorted(nodes, key=lambda node: node.name)
        return cls(
            nodes=tuple(node for node in known if node.gpus),
            arrivals=(),
            skipped_nodes=sum(not node.gpus for node in known),
            bad_rows=tuple(sorted(bad, key=lambda row: row.line)),
        )

    @property
    def gpus(self) -> int:
        """GPUs of the fleet."""
        return sum(node.gpus for node in self.nodes)

    @property
    def span(self) -> timedelta:
        """From the first arrival to the last."""
        return self.arrivals[-1].at - self.arrivals[0].at if self.arrivals else timedelta()

    @property
    def demand(self) -> int:
        """GPU-microseconds that all runs ask for, each its GPUs times its duration."""
        return sum(arrival.run.gpus * (arrival.duration // MICROSECOND) for arrival in self.arrivals)


def in_order(arrivals: Iterable[Arrival]) -> tuple[Arrival, ...]:
    """By arrival, then key."""
    return tuple(sorted(arrivals, key=lambda arrival: (arrival.at, arrival.run.key)))


def simulated_meta(namespace: str, name: str, *, at: datetime, duration: timedelta) -> Meta:
    """The metadata of a run made from a trace whose durations begin with scheduling, so that its pods start at once.

    Its uid comes from its name alone.
    """
    return Meta(
        name=name,
        namespace=namespace,
        uid=uid_of("Run", namespace, name),
        created=at,
        annotations=pairs({DURATION: format_duration(duration), START: "0s"}),
    )


def uid_of(kind: str, namespace: str, name: str) -> str:
    """A UUID that depends on nothing but what the object is called."""
    digest = hashlib.sha256(f"runs.dev/trace|{kind}|{namespace}|{name}".encode()).digest()
    return str(UUID(bytes=digest[:16], version=5))


class BadRows(list[BadRow]):
    """Of one reading. most: how many may be left out."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def append(self, row: BadRow) -> None:
        """InvalidInput: there are too many to be counted, and nothing more is to be read."""
        super().append(row)
        if len(self) > max(self._most, MOST_COUNTED):
            raise _too_bad(self, self._most, f"more than {len(self) - 1} bad rows (the rest was not read)")


def refuse_if_too_bad(bad_rows: Sequence[BadRow], most: int) -> None:
    """InvalidInput that names the first few bad rows, when there are more than `most`."""
    if len(bad_rows) > most:
        raise _too_bad(bad_rows, most, f"{len(bad_rows)} bad rows")


def _too_bad(bad_rows: Sequence[BadRow], most: int, many: str) -> InvalidInput:
    first = [Problem(f"{row.source}:{row.line}", row.why) for row in bad_rows[:_SHOWN]]
    summary = f"{many}, and at most {most} are left out; mend them or raise --max-bad-rows"
    return InvalidInput([*first, Problem("", summary)])

"""Jobs of a log as runs: what the published formats have in common.

A job is a gang. A log tells which GPUs it asked for, when it was submitted, and when it began and ended; CPU and memory
are not asked for, so that GPUs alone decide. The trace starts with the first submission.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

from runs_core.cluster.trace.input import (
    EPOCH,
    FLAVOR,
    PODS_PER_NODE,
    Arrival,
    BadRow,
    TraceInput,
    in_order,
    refuse_if_too_bad,
    simulated_meta,
    uid_of,
)
from runs_core.cluster.trace.rows import BadCell, Named, unique
from runs_core.values.meta import DNS_NAME, pairs
from runs_core.values.node import MOST_NODE_GPUS, Node
from runs_core.values.run import MOST_NAME, Resources, Run, RunSpec

MOST_GPUS = 1_000_000
NODE_GPUS = 8
"""Of a server, where a log does not say how many it has."""
_MOST_YEARS = timedelta(days=100 * 366)
_NO_NAME = re.compile(r"[^a-z0-9.-]+")


class Job(NamedTuple):
    """A job that ran and ended. pod: GPUs of each of its pods."""

    namespace: str
    name: str
    submitted: datetime
    duration: timedelta
    gpus: int
    pod: int


class Left(NamedTuple):
    """A job that is no run. gpus: whether it asked for any: then it never ran, or had not ended."""

    gpus: bool


def trace_of(
    nodes: Sequence[Node], jobs: Iterable[Named[Job | Left]], source: Path, bad: list[BadRow], max_bad_rows: int
) -> TraceInput:
    """The whole trace. InvalidInput: more than `max_bad_rows` rows are bad."""
    read = [row.value for row in unique(source, jobs, bad)]
    refuse_if_too_bad(bad, max_bad_rows)
    ran = [job for job in read if isinstance(job, Job)]
    first = min((job.submitted for job in ran), default=EPOCH)
    return TraceInput(
        nodes=tuple(sorted((node for node in nodes if node.gpus), key=lambda node: node.name)),
        arrivals=in_order(_arrival(job) for job in ran),
        start=first,
        skipped=sum(isinstance(job, Left) and not job.gpus for job in read),
        unfinished=sum(isinstance(job, Left) and job.gpus for job in read),
        skipped_nodes=sum(not node.gpus for node in nodes),
        bad_rows=tuple(sorted(bad, key=lambda row: (row.source == str(source), row.source, row.line))),
    )


def job(
    where: tuple[str, str], times: tuple[datetime | None, datetime | None, datetime | None], gpus: int, servers: int
) -> Job | Left:
    """where: namespace and name; times: submitted, begun, ended. BadCell: they contradict each other."""
    if not gpus:
        return Left(gpus=False)
    submitted, begun, ended = times
    if begun is None or ended is None or begun == ended:
        return Left(gpus=True)
    if submitted is None:
        raise BadCell("the moment of its submission is missing")
    if ended < begun:
        raise BadCell(f"ended {ended:%Y-%m-%d %H:%M:%S}, before it began")
    if ended - begun > _MOST_YEARS:
        raise BadCell("ran for more than a century")
    return Job(*where, submitted, ended - begun, gpus, pod_of(gpus, servers))


def pod_of(gpus: int, servers: int) -> int:
    """GPUs of each pod: one pod a server where that comes out even; else pods that fill servers of eight evenly."""
    even, rest = divmod(gpus, max(1, servers))
    return even if not rest and 0 < even <= MOST_NODE_GPUS else math.gcd(gpus, NODE_GPUS)


def name_of(column: str, text: str, most: int = MOST_NAME) -> str:
    """As a name of Kubernetes: small letters, digits, '-' and '.'. BadCell: nothing is left, or too much."""
    name = _NO_NAME.sub("-", text.strip().lower()).strip("-.")
    if not name or re.fullmatch(DNS_NAME, name) is None:
        raise BadCell(f"{column}: got {text[:40]!r}, want something that can be a name")
    if len(name) > most:
        raise BadCell(f"{column}: got {len(name)} characters, want at most {most}")
    return name


def node(name: str, gpus: int) -> Node:
    """A server of the one flavor."""
    labels = pairs({"runs.dev/gpu-flavor": FLAVOR})
    return Node(name=name, uid=uid_of("Node", "", name), flavor=FLAVOR, gpus=gpus, pods=PODS_PER_NODE, labels=labels)


def _arrival(one: Job) -> Arrival:
    meta = simulated_meta(one.namespace, one.name, at=one.submitted, duration=one.duration)
    return Arrival(at=one.submitted, run=Run(meta=meta, spec=_spec(one.gpus, one.pod)), duration=one.duration)


@cache
def _spec(gpus: int, pod: int) -> RunSpec:
    """One value for all jobs of one shape."""
    return RunSpec(resources=Resources(flavor=FLAVOR, gpus=gpus, gpus_per_pod=pod))

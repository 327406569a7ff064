"""SenseTime's Helios trace of 2020 (`cluster_log.csv`, `cluster_gpu_number.csv`) as it is published.

A job's virtual cluster becomes its namespace. The fleet is that of the day with the most GPUs, on servers of eight.
"""

from __future__ import annotations

from pathlib import Path

from runs_core.cluster.trace.input import BadRow, BadRows, TraceInput
from runs_core.cluster.trace.jobs import MOST_GPUS, NODE_GPUS, Job, Left, job, name_of, node, trace_of
from runs_core.cluster.trace.rows import BadCell, Form, Named, Row, read_rows
from runs_core.values.node import Node

_FLEET = Form(columns=("date", "total"), others=True)
LOG = (
    *("job_id", "user", "vc", "gpu_num", "cpu_num", "node_num", "state"),
    *("submit_time", "start_time", "end_time", "duration", "queue"),
)
_LOG = Form(columns=LOG)
_MOST_NODES = 100_000


def read_helios(nodes: Path, jobs: Path, *, max_bad_rows: int = 100) -> TraceInput:
    """Both files. InvalidInput: one cannot be read, or more than `max_bad_rows` rows are bad."""
    bad = BadRows(max_bad_rows)
    return trace_of(helios_nodes(nodes, bad), read_rows(jobs, _LOG, _job, bad), jobs, bad, max_bad_rows)


def helios_nodes(path: Path, bad: list[BadRow]) -> list[Node]:
    """Servers of eight, the last one with the rest; bad rows are added to `bad`."""
    gpus = max(read_rows(path, _FLEET, lambda row: row.whole("total", MOST_GPUS), bad), default=0)
    names = range(-(-gpus // NODE_GPUS))
    return [node(f"node-{at:05}", min(NODE_GPUS, gpus - NODE_GPUS * at)) for at in names]


def _job(row: Row) -> Named[Job | Left]:
    return slurm_job(row, "vc")


def slurm_job(row: Row, namespace: str) -> Named[Job | Left]:
    """A row of this log, or of one with the same columns. namespace: the column that becomes it."""
    name = name_of("job_id", row["job_id"])
    space = name_of(namespace, row[namespace])
    gpus, servers = row.whole("gpu_num", MOST_GPUS), row.whole("node_num", _MOST_NODES)
    if gpus and not servers:
        raise BadCell(f"node_num: got 0 with gpu_num {gpus}, want at least 1")
    times = row.moment("submit_time"), row.moment("start_time"), row.moment("end_time")
    return Named(name, row.content, row.line, job((space, name), times, gpus, servers))

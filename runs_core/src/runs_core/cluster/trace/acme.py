"""The Acme trace of the Shanghai AI Laboratory of 2023 (`trace_seren.csv`, `trace_kalos.csv`) as it is published.

A job's user becomes its namespace. No list of servers was published: the fleet is a file of openb's form.
"""

from __future__ import annotations

from pathlib import Path

from runs_core.cluster.trace.helios import slurm_job
from runs_core.cluster.trace.input import BadRows, TraceInput
from runs_core.cluster.trace.jobs import Job, Left, trace_of
from runs_core.cluster.trace.openb import openb_nodes
from runs_core.cluster.trace.rows import Form, Named, Row, read_rows

_LOG = Form(
    columns=(
        *("job_id", "user", "node_num", "gpu_num", "cpu_num", "type", "state"),
        *("submit_time", "start_time", "end_time", "duration", "queue", "gpu_time"),
    ),
    optional=("mem_per_pod_GB", "shared_mem_per_pod", "fail_time", "stop_time"),
)


def read_acme(nodes: Path, jobs: Path, *, max_bad_rows: int = 100) -> TraceInput:
    """Both files. InvalidInput: one cannot be read, or more than `max_bad_rows` rows are bad."""
    bad = BadRows(max_bad_rows)
    return trace_of(openb_nodes(nodes, bad), read_rows(jobs, _LOG, _job, bad), jobs, bad, max_bad_rows)


def _job(row: Row) -> Named[Job | Left]:
    return slurm_job(row, "user")

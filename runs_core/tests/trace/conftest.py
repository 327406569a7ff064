"""A made-up trace in the published form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from runs_core.cluster.trace.input import TraceInput
from runs_core.cluster.trace.openb import read_openb

NODE_HEADER = "sn,cpu_milli,memory_mib,gpu,model"
TASK_HEADER = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time"
)
NODES = ("n-0,64000,262144,8,A10", "n-1,32000,131072,2,T4")
Read = Callable[..., TraceInput]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads these rows as the two files of a trace; `header` stands for the tasks' own."""

    def _read(
        *tasks: str, nodes: Sequence[str] = NODES, header: str = TASK_HEADER, max_bad_rows: int = 100
    ) -> TraceInput:
        (tmp_path / "nodes.csv").write_text("\n".join([NODE_HEADER, *nodes]), encoding="utf-8")
        (tmp_path / "tasks.csv").write_text("\n".join([header, *tasks]), encoding="utf-8")
        return read_openb(tmp_path / "nodes.csv", tmp_path / "tasks.csv", max_bad_rows=max_bad_rows)

    return _read

"""A made-up trace in the published form: 40 nodes, 300 tasks of all sizes that arrive faster than they end."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

NODE_HEADER = "sn,cpu_milli,memory_mib,gpu,model"
TASK_HEADER = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time"
)
Files = tuple[Path, Path]
Write = Callable[[Sequence[str], Sequence[str]], Files]


@pytest.fixture
def node_rows() -> list[str]:
    kinds = ("64000,262144,8,A10", "32000,131072,4,V100", "16000,65536,2,T4")
    return [f"node-{n:02},{kinds[n % 3]}" for n in range(40)]


@pytest.fixture
def task_rows() -> list[str]:
    draw = random.Random(20)
    return [_task(n, draw) for n in range(300)]


def _task(n: int, draw: random.Random) -> str:
    gpus = draw.choices((0, 1, 2, 4, 8), (5, 60, 15, 10, 10))[0]
    part = 0 if not gpus else 500 if gpus == 1 and n % 2 else 1000
    spec = "A10|V100" if gpus == 4 and n % 3 == 0 else ""
    begin = draw.randrange(4000)
    end = begin + draw.randrange(600, 6000)
    scheduled = begin if n % 7 else ""
    return f"task-{n:03},4000,8192,{gpus},{part},{spec},LS,Running,{begin},{end},{scheduled}"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes these rows as the two files of a trace."""

    def _write(nodes: Sequence[str], tasks: Sequence[str]) -> Files:
        (tmp_path / "nodes.csv").write_text("\n".join([NODE_HEADER, *nodes]), encoding="utf-8")
        (tmp_path / "tasks.csv").write_text("\n".join([TASK_HEADER, *tasks]), encoding="utf-8")
        return tmp_path / "nodes.csv", tmp_path / "tasks.csv"

    return _write


@pytest.fixture
def files(write: Write, node_rows: list[str], task_rows: list[str]) -> Files:
    return write(node_rows, task_rows)

"""The Alibaba GPU trace of 2023 (`openb_node_list_*.csv`, `openb_pod_list_*.csv`) as it is published.

Each task is one pod, so each becomes a run of one pod. The model is a label of the node, and the alternatives of
`gpu_spec` (`V100M16|V100M32`) are required node affinity. The trace says nothing of ephemeral storage, so nodes have
none and tasks ask for none.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

from runs_core.cluster.trace.input import (
    EPOCH,
    FLAVOR,
    PODS_PER_NODE,
    Arrival,
    BadRow,
    BadRows,
    TraceInput,
    in_order,
    refuse_if_too_bad,
    simulated_meta,
    uid_of,
)
from runs_core.cluster.trace.rows import BadCell, Form, Named, Row, read_rows, unique
from runs_core.values.meta import DNS_NAME, LABEL_VALUE, pairs
from runs_core.values.node import MOST_NODE_GPUS, Node
from runs_core.values.run import MOST_NAME, Resources, Run, RunSpec
from runs_core.values.template import Operator, PodTemplate, Requests, Requirement

NAMESPACE = "openb"
MODEL_LABEL = "runs.dev/gpu-model"

NODES = Form(columns=("sn", "cpu_milli", "memory_mib", "gpu", "model"))
_TASKS = Form(
    columns=(
        *("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec", "qos", "pod_phase"),
        *("creation_time", "deletion_time", "scheduled_time"),
    )
)
_MIB = 2**20
_WHOLE = 1000
_MOST_NODE_NAME = 253
_MOST_LABEL = 63


class _Task(NamedTuple):
    """arrival None: asks for no GPU. rounded: asks for part of one."""

    arrival: Arrival | None
    rounded: bool


def read_openb(nodes: Path, tasks: Path, *, max_bad_rows: int = 100) -> TraceInput:
    """Both files; bad rows are left out and named.

    InvalidInput: a file cannot be read, its header lacks a column, or more than `max_bad_rows` rows are bad.
    """
    bad = BadRows(max_bad_rows)
    machines = openb_nodes(nodes, bad)
    read = [n.value for n in unique(tasks, read_rows(tasks, _TASKS, _task, bad), bad)]
    refuse_if_too_bad(bad, max_bad_rows)
    return TraceInput(
        nodes=tuple(node for node in machines if node.gpus),
        arrivals=in_order(task.arrival for task in read if task.arrival is not None),
        skipped=sum(task.arrival is None for task in read),
        rounded=sum(task.rounded for task in read),
        skipped_nodes=sum(not node.gpus for node in machines),
        bad_rows=tuple(sorted(bad, key=lambda row: (row.source != str(nodes), row.source, row.line))),
    )


def openb_nodes(path: Path, bad: list[BadRow]) -> list[Node]:
    """The list of nodes, with those that have no GPU; bad rows are added to `bad`."""
    return [row.value for row in unique(path, read_rows(path, NODES, machine, bad), bad)]


def machine(row: Row) -> Named[Node]:
    """A row of the list of nodes."""
    name = _name(row, "sn", _MOST_NODE_NAME)
    gpus = row.whole("gpu", MOST_NODE_GPUS)
    if gpus and not row["model"]:
        raise BadCell("model: is missing, want the GPU model of a node with GPUs")
    node = Node(
        name=name,
        uid=uid_of("Node", "", name),
        flavor=FLAVOR,
        gpus=gpus,
        cpu_milli=row.whole("cpu_milli"),
        memory_bytes=row.whole("memory_mib") * _MIB,
        pods=PODS_PER_NODE,
        labels=pairs({MODEL_LABEL: _model("model", row["model"]), "runs.dev/gpu-flavor": FLAVOR}),
    )
    return Named(name, row.content, row.line, node)


def _task(row: Row) -> Named[_Task]:
    name = _name(row, "name", MOST_NAME)
    requests = Requests(cpu_milli=row.whole("cpu_milli"), memory_bytes=row.whole("memory_mib") * _MIB)
    gpus, part = row.whole("num_gpu", MOST_NODE_GPUS), row.whole("gpu_milli")
    created, duration = _times(row)
    models = tuple(sorted({_model("gpu_spec", model) for model in row["gpu_spec"].split("|") if model}))
    if not gpus:
        if part:
            raise BadCell(f"gpu_milli: got {part} with num_gpu 0, want 0")
        return Named(name, row.content, row.line, _Task(arrival=None, rounded=False))
    if not 0 < part <= _WHOLE:
        raise BadCell(f"gpu_milli: got {part}, want 1 to {_WHOLE} for a task with GPUs")
    at = EPOCH + created
    run = Run(meta=simulated_meta(NAMESPACE, name, at=at, duration=duration), spec=_spec(gpus, requests, models))
    task = _Task(arrival=Arrival(at=at, run=run, duration=duration), rounded=part < _WHOLE)
    return Named(name, row.content, row.line, task)


def _times(row: Row) -> tuple[timedelta, timedelta]:
    """Creation, and how long the task ran: to its deletion, from its scheduling or, never scheduled, its creation."""
    created, deleted = row.seconds("creation_time"), row.seconds("deletion_time")
    begin = "scheduled_time" if row["scheduled_time"].strip() else "creation_time"
    duration = deleted - row.seconds(begin)
    if duration <= timedelta():
        raise BadCell(f"deletion_time: is not after {begin}, so the task takes no time")
    return created, duration


def _name(row: Row, column: str, most: int) -> str:
    name = row[column]
    if len(name) > most:
        raise BadCell(f"{column}: got {len(name)} characters, want at most {most}")
    if re.fullmatch(DNS_NAME, name) is None:
        raise BadCell(f"{column}: got {name[:40]!r}, want a name of small letters, digits, '-' and '.'")
    return name


def _model(column: str, text: str) -> str:
    if len(text) > _MOST_LABEL or re.fullmatch(LABEL_VALUE, text) is None:
        raise BadCell(f"{column}: got {text[:40]!r}, want a GPU model that can be a label's value")
    return text


@cache
def _spec(gpus: int, requests: Requests, models: tuple[str, ...]) -> RunSpec:
    """One value for all tasks of one shape, so that long traces stay small in memory."""
    terms = ((Requirement(key=MODEL_LABEL, operator=Operator.IN, values=models),),) if models else ()
    template = PodTemplate(text=_text(requests, models), requests=requests, terms=terms)
    return RunSpec(resources=Resources(flavor=FLAVOR, gpus=gpus, gpus_per_pod=gpus), template=template)


def _text(requests: Requests, models: tuple[str, ...]) -> str:
    """The same template as a PodTemplateSpec, in canonical JSON."""
    amounts = {"cpu": f"{requests.cpu_milli}m", "memory": f"{requests.memory_bytes // _MIB}Mi"}
    spec: dict[str, object] = {"containers": [{"name": "task", "resources": {"requests": amounts}}]}
    if models:
        expression = {"key": MODEL_LABEL, "operator": "In", "values": list(models)}
        terms = [{"matchExpressions": [expression]}]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        spec["affinity"] = {"nodeAffinity": required}
    return json.dumps({"spec": spec}, sort_keys=True, separators=(",", ":"))

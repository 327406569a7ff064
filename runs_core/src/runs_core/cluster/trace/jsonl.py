"""Traces as JSON lines: one manifest a line, as for Kubernetes, with two annotations on each Run.

`runs.dev/simulated-arrival`: when it is submitted, as a duration from the trace's start. `runs.dev/simulated-duration`:
how long its pods run, read from the pod template's annotations, else from the Run's. Nodes, Runs, Budgets and
Namespaces may stand in either file, in any order. A node of which no conditions are told is ready.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import attrs

from runs_core.cluster.trace.input import (
    DURATION,
    EPOCH,
    Arrival,
    BadRow,
    BadRows,
    TraceInput,
    in_order,
    refuse_if_too_bad,
    uid_of,
)
from runs_core.cluster.trace.lines import lines
from runs_core.errors import InvalidInput, Problem
from runs_core.schema.convert import Object, budget_from_object, canonical, namespace_from_object, run_from_object
from runs_core.schema.manifest import validate
from runs_core.schema.nodes import node_from_object
from runs_core.settings import FleetSettings
from runs_core.values.budget import Budget, Namespace
from runs_core.values.meta import SIMULATED
from runs_core.values.node import MalformedNode, Node
from runs_core.values.quantity import parse_duration
from runs_core.values.run import Run
from runs_core.values.section import Section

ARRIVAL = f"{SIMULATED}arrival"
KINDS = ("Node", "Run", "Budget", "Namespace")
_DEFAULT_NAMESPACE = "default"
_LONGEST = timedelta(days=100 * 366)
Value = Node | Arrival | Budget | Namespace
T = TypeVar("T", bound=Value)


class _Read(NamedTuple):
    """content orders two objects of one name, so that the order of lines does not."""

    kind: str
    name: str
    content: str
    source: str
    line: int
    value: Value


class _BadLine(ValueError):
    """Says which field holds what, and what it should hold."""


def read_jsonl(
    nodes: Path,
    runs: Path,
    *,
    max_bad_rows: int = 100,
    fleet: FleetSettings | None = None,
    sections: Sequence[Section] = (),
) -> TraceInput:
    """Both files; bad lines are left out and named. fleet: what nodes' labels mean; sections: plugins' fields.

    InvalidInput: a file cannot be read, or more than `max_bad_rows` lines are bad.
    """
    bad = BadRows(max_bad_rows)
    files = dict.fromkeys((nodes, runs))
    read = [row for path in files for row in _read(path, fleet or FleetSettings(), sections, bad)]
    kept = _unique(read, bad)
    refuse_if_too_bad(bad, max_bad_rows)
    machines = _of(Node, kept)
    return TraceInput(
        nodes=tuple(node for node in machines if node.gpus),
        arrivals=in_order(_of(Arrival, kept)),
        namespaces=tuple(_of(Namespace, kept)),
        budgets=tuple(_of(Budget, kept)),
        skipped_nodes=sum(not node.gpus for node in machines),
        bad_rows=tuple(sorted(bad, key=lambda row: (row.source, row.line))),
    )


def _of(cls: type[T], kept: Sequence[_Read]) -> list[T]:
    return [row.value for row in kept if isinstance(row.value, cls)]


def _unique(read: Sequence[_Read], bad: list[BadRow]) -> list[_Read]:
    """By kind and name; of each name the first in order of content."""
    kept: list[_Read] = []
    for row in sorted(read, key=lambda row: row[:5]):
        if kept and kept[-1][:2] == row[:2]:
            why = f"{row.kind} {row.name} is a duplicate; {kept[-1].source}:{kept[-1].line} is kept"
            bad.append(BadRow(source=row.source, line=row.line, why=why))
        else:
            kept.append(row)
    return kept


def _read(path: Path, fleet: FleetSettings, sections: Sequence[Section], bad: list[BadRow]) -> Iterator[_Read]:
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            for line, text in lines(file, path):
                if not text.strip():
                    continue
                try:
                    obj = _object(text)
                    value = _value(obj, fleet, sections)
                except ValueError as error:
                    bad.append(BadRow(source=str(path), line=line, why=str(error)))
                else:
                    yield _Read(obj["kind"], _name(value), canonical(obj), str(path), line, value)
    except OSError as error:
        raise InvalidInput([Problem(str(path), f"cannot be read: {error.strerror or error}")]) from error


def _name(value: Value) -> str:
    return str(value.run.key) if isinstance(value, Arrival) else value.name


def _object(text: str) -> Object:
    try:
        obj = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _BadLine(f"is no JSON: {error}") from error
    if not isinstance(obj, dict):
        raise _BadLine("is no object, want a manifest")
    return obj


def _value(obj: Object, fleet: FleetSettings, sections: Sequence[Section]) -> Value:
    """What one manifest says, without the status of a Run or Budget: a trace begins before anything is done."""
    match obj.get("kind"):
        case "Node":
            return _node(obj, fleet)
        case "Run" | "Budget":
            return _ours(obj, sections)
        case "Namespace":
            try:
                return namespace_from_object(obj)
            except InvalidInput as error:
                raise _BadLine(str(error)) from error
        case kind:
            raise _BadLine(f"kind: got {kind!r}, want one of {', '.join(KINDS)}")


def _node(obj: Object, fleet: FleetSettings) -> Node:
    node = node_from_object(obj, fleet)
    if isinstance(node, MalformedNode):
        raise _BadLine(node.why)
    said = (obj.get("status") or {}).get("conditions")
    return attrs.evolve(node, uid=uid_of("Node", "", node.name), ready=node.ready or not said)


def _ours(obj: Object, sections: Sequence[Section]) -> Arrival | Budget:
    fresh = {name: part for name, part in obj.items() if name != "status"}
    if problems := validate(fresh, sections):
        raise _BadLine("; ".join(map(str, problems)))
    if fresh["kind"] == "Budget":
        return budget_from_object(fresh, sections)
    return _arrival(run_from_object(fresh, sections))


def _arrival(run: Run) -> Arrival:
    template = dict(run.spec.template.annotations) if run.spec.template else {}
    said = {**dict(run.meta.annotations), **{name: text for name, text in template.items() if name == DURATION}}
    at, duration = EPOCH + _span(said, ARRIVAL), _span(said, DURATION)
    if not duration:
        raise _BadLine(f"annotation {DURATION}: got 0, want a duration above 0")
    namespace = run.meta.namespace or _DEFAULT_NAMESPACE
    uid = uid_of("Run", namespace, run.meta.name)
    meta = attrs.evolve(run.meta, namespace=namespace, uid=uid, created=at)
    return Arrival(at=at, run=attrs.evolve(run, meta=meta), duration=duration)


def _span(annotations: Mapping[str, Any], name: str) -> timedelta:
    text = annotations.get(name)
    if text is None:
        raise _BadLine(f"annotation {name}: is missing, want a duration such as 90s or 1h30m")
    try:
        found = parse_duration(text)
    except ValueError as error:
        raise _BadLine(f"annotation {name}: {error}") from error
    if found > _LONGEST:
        raise _BadLine(f"annotation {name}: got {text!r}, want a duration of at most a century")
    return found

"""The trace of Microsoft's Philly clusters of 2017 (`cluster_job_log`, `cluster_machine_list`) as it is published.

The log is one JSON array. A job's virtual cluster becomes its namespace. It has the GPUs of its last attempt that has
any, a pod a server, and takes as long as its attempts took together; attempts without a start or an end do not count.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from runs_core.cluster.trace.input import BadRow, BadRows, TraceInput
from runs_core.cluster.trace.jobs import Job, Left, job, name_of, node, trace_of
from runs_core.cluster.trace.lines import no_text
from runs_core.cluster.trace.rows import BadCell, Form, Named, Row, moment_of, read_rows, unique
from runs_core.errors import InvalidInput, Problem
from runs_core.values.node import MOST_NODE_GPUS, Node

_MACHINES = Form(columns=("machineId", "number of GPUs", "single GPU mem"))
_BLANK = " \t\r\n,"
_MOST_NODE_NAME = 253
_BEGIN = 1000
MOST_CHARACTERS = 1024 * 1024 * 1024
"""Of a log, which is one array and held in memory as a whole: the published one has a tenth."""


def read_philly(nodes: Path, jobs: Path, *, max_bad_rows: int = 100) -> TraceInput:
    """The list of machines and the log. InvalidInput: one cannot be read, or more than `max_bad_rows` rows are bad."""
    bad = BadRows(max_bad_rows)
    return trace_of(philly_nodes(nodes, bad), _jobs(jobs, bad), jobs, bad, max_bad_rows)


def philly_nodes(path: Path, bad: list[BadRow]) -> list[Node]:
    """The list of machines; bad rows are added to `bad`."""
    return [row.value for row in unique(path, read_rows(path, _MACHINES, _machine, bad), bad)]


def _machine(row: Row) -> Named[Node]:
    name = name_of("machineId", row["machineId"], _MOST_NODE_NAME)
    return Named(name, row.content, row.line, node(name, row.whole("number of GPUs", MOST_NODE_GPUS)))


def _jobs(path: Path, bad: list[BadRow]) -> Iterator[Named[Job | Left]]:
    for line, body in _entries(path):
        try:
            if not isinstance(body, dict):
                raise BadCell("is no object, want a job")
            name = name_of("jobid", _text(body, "jobid"))
            yield Named(name, json.dumps(body, sort_keys=True), line, _job(name, body))
        except ValueError as error:
            bad.append(BadRow(source=str(path), line=line, why=str(error)))


def _entries(path: Path) -> Iterator[tuple[int, Any]]:
    """Each element of the array, with the line that it begins on. InvalidInput: it is no array."""
    text, at = _array(path)
    decoder, line, told = json.JSONDecoder(), 1, 0
    at = _past(text, at + 1)
    while text[at : at + 1] != "]":
        line += text.count("\n", told, at)
        told = at
        try:
            body, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise InvalidInput([Problem(f"{path}:{line}", f"is no JSON from here on: {error}")]) from error
        yield line, body
        at = _past(text, at)
    if text[at + 1 :].strip():
        line = text.count("\n", 0, at) + 1
        raise InvalidInput([Problem(f"{path}:{line}", "goes on after the list of jobs has ended; want one list")])


def _array(path: Path) -> tuple[str, int]:
    """The text, and where its array begins; what does not begin as one is not read on."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            text = file.read(_BEGIN)
            at = _past(text, 0)
            if text[at : at + 1] != "[":
                what = no_text(text) or "is no JSON array, want the list of jobs that cluster_job_log is"
                raise InvalidInput([Problem(f"{path}:1", what)])
            text += file.read(MOST_CHARACTERS + 1)
    except OSError as error:
        raise InvalidInput([Problem(str(path), f"cannot be read: {error.strerror or error}")]) from error
    if len(text) > MOST_CHARACTERS:
        what = f"got more than {MOST_CHARACTERS} characters, want the list of jobs that cluster_job_log is"
        raise InvalidInput([Problem(str(path), f"{what}; name another file")])
    return text, at


def _past(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _job(name: str, body: Mapping[str, Any]) -> Job | Left:
    attempts = body.get("attempts")
    if not isinstance(attempts, list) or not all(isinstance(one, dict) for one in attempts):
        raise BadCell("attempts: is no list of objects")
    servers = [gpus for one in attempts if (gpus := _servers(one))]
    widths = servers[-1] if servers else []
    begun, ended = _span(attempts)
    submitted = moment_of(_text(body, "submitted_time"), "submitted_time")
    namespace = name_of("vc", _text(body, "vc"))
    if not attempts:
        return Left(gpus=True)
    found = job((namespace, name), (submitted, begun, ended), sum(widths), len(widths))
    return found._replace(pod=math.gcd(*widths)) if isinstance(found, Job) else found


def _servers(attempt: Mapping[str, Any]) -> list[int]:
    """GPUs on each server of an attempt."""
    detail = attempt.get("detail")
    if not isinstance(detail, list) or not all(
        isinstance(one, dict) and isinstance(one.get("gpus"), list) for one in detail
    ):
        raise BadCell("attempts: detail: is no list of servers with their gpus")
    return [len(one["gpus"]) for one in detail if one["gpus"]]


def _span(attempts: Sequence[Mapping[str, Any]]) -> tuple[datetime | None, datetime | None]:
    """From the first start on, as long as all attempts took together; none, if the last one had not ended."""
    spans: list[tuple[datetime, timedelta]] = []
    for at, one in enumerate(attempts):
        begun, ended = (moment_of(_text(one, name), f"attempts: {name}") for name in ("start_time", "end_time"))
        if ended is None and at == len(attempts) - 1:
            return None, None
        if begun is not None and ended is not None:
            if ended < begun:
                raise BadCell(f"attempts: attempt {at} ended before it began")
            spans.append((begun, ended - begun))
    if not spans:
        return None, None
    first = min(begun for begun, _ in spans)
    return first, first + sum((span for _, span in spans), timedelta())


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BadCell(f"{name}: got {str(value)[:40]}, want text")
    return value or ""

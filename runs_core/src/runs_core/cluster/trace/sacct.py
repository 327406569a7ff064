"""Jobs as Slurm's `sacct` tells of them, and nodes as `sinfo` does.

    sinfo -N -o '%N|%G'
    sacct -a -P -o JobID,Account,Submit,Start,End,NNodes,AllocTRES

Steps of a job (`123.batch`) are not jobs. An account becomes a namespace. Further columns may be there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from runs_core.cluster.trace.input import BadRow, BadRows, TraceInput
from runs_core.cluster.trace.jobs import MOST_GPUS, Job, Left, job, name_of, node, trace_of
from runs_core.cluster.trace.rows import BadCell, Form, Named, Row, read_rows, unique
from runs_core.values.node import MOST_NODE_GPUS, Node

_NODES = Form(columns=("NODELIST", "GRES"), others=True, delimiter="|")
_JOBS = Form(columns=("JobID", "Account", "Submit", "Start", "End", "NNodes", "AllocTRES"), others=True, delimiter="|")
_GRES = re.compile(r"gpu(?::(?:[^:,()]*[^:,()\d][^:,()]*|\d+(?=:)))?(?::(\d{1,6}))?(?:\([^)]*\))?")
_TRES = re.compile(r"gres/gpu(:[^=]+)?=(\d{1,9})")
_MOST_NODES = 100_000
_MOST_NODE_NAME = 253


def read_sacct(nodes: Path, jobs: Path, *, max_bad_rows: int = 100) -> TraceInput:
    """Both files. InvalidInput: one cannot be read, or more than `max_bad_rows` rows are bad."""
    bad = BadRows(max_bad_rows)
    machines = sacct_nodes(nodes, bad)
    read = (row for row in read_rows(jobs, _JOBS, _job, bad) if row is not None)
    return trace_of(machines, read, jobs, bad, max_bad_rows)


def sacct_nodes(path: Path, bad: list[BadRow]) -> list[Node]:
    """What `sinfo` prints, each node once; bad rows are added to `bad`."""
    return [row.value for row in unique(path, _once(read_rows(path, _NODES, _machine, bad)), bad)]


def _once(rows: Iterable[Named[Node]]) -> Iterator[Named[Node]]:
    """Sinfo repeats a node for each of its partitions."""
    seen: set[tuple[str, str]] = set()
    for row in rows:
        if row[:2] not in seen:
            seen.add(row[:2])
            yield row


def _machine(row: Row) -> Named[Node]:
    name = name_of("NODELIST", row["NODELIST"], _MOST_NODE_NAME)
    gpus = _gres(row["GRES"])
    if gpus > MOST_NODE_GPUS:
        raise BadCell(f"GRES: got {gpus} GPUs, want at most {MOST_NODE_GPUS}")
    return Named(name, row["GRES"], row.line, node(name, gpus))


def _gres(text: str) -> int:
    """GPUs of `gpu:a100:8(S:0-1),gpu:t4:1`; other resources do not count."""
    found = 0
    for part in re.split(r",(?![^(]*\))", text.strip()):
        if part.split(":")[0].split("(")[0] == "gpu":
            said = _GRES.fullmatch(part)
            if said is None:
                raise BadCell(f"GRES: got {part[:40]!r}, want something such as gpu:a100:8")
            found += int(said[1] or 1)
    return found


def _job(row: Row) -> Named[Job | Left] | None:
    """None: a step of a job."""
    if "." in row["JobID"]:
        return None
    gpus = _tres(row["AllocTRES"])
    if not gpus:  # it asked for none, or never ran: nothing was allocated
        return Named(row["JobID"], row.content, row.line, Left(gpus=row.moment("Start") is None))
    name = name_of("JobID", row["JobID"])
    times = row.moment("Submit"), row.moment("Start"), row.moment("End")
    servers = row.whole("NNodes", _MOST_NODES)
    where = name_of("Account", row["Account"]), name
    return Named(name, row.content, row.line, job(where, times, gpus, servers))


def _tres(text: str) -> int:
    """GPUs of `billing=64,cpu=64,gres/gpu=8,gres/gpu:a100=8`: the sum of the kinds where no total is told."""
    found: dict[str, int] = {}
    for part in text.strip().split(","):
        if re.match(r"gres/gpu\b", part):
            said = _TRES.fullmatch(part)
            if said is None:
                raise BadCell(f"AllocTRES: got {part[:40]!r}, want something such as gres/gpu=8")
            found[said[1] or ""] = int(said[2])
    gpus = found.get("", sum(found.values()))
    if gpus > MOST_GPUS:
        raise BadCell(f"AllocTRES: got {gpus} GPUs, want at most {MOST_GPUS}")
    return gpus

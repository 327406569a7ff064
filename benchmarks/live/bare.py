"""What a bare client can write: the requests of a start, sent by `apibench` as fast as the API server takes them."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import attrs

from benchmarks.live.plane import Plane
from benchmarks.live.submit import FLAVOR, run_body
from runs_core.cluster.kube.api import Api, Object
from runs_core.cluster.kube.statuses import Basis
from runs_core.cluster.kube.writes import Writes
from runs_core.decide.advice import Silent
from runs_core.decide.cycle import cycle
from runs_core.schema.convert import run_from_object
from runs_core.testing.builders import a_node, a_world
from runs_core.values.effect import Emit

CLIENTS = 8
SEEN = Basis(version=1)
"""As if the run had been seen: without, no status is written."""
NAME = "NAME"
PREFIX = "b"


@attrs.frozen(kw_only=True)
class Asked:
    """One request of a start, with `NAME` for the names of its run, lease and pod."""

    method: str
    path: str
    body: Object


class Recording(Api):
    """Notes what it is asked, and goes nowhere."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def call(self, method: str, path: str, body: Object | None = None, **_: Any) -> tuple[int, Object]:  # noqa: ANN401  # as the real one
        self.asked.append(Asked(method=method, path=path, body=body or {}))
        stored = dict(body or {})
        stored["metadata"] = {**stored.get("metadata", {}), "resourceVersion": str(len(self.asked))}
        return 201, {**stored, "status": {}}


def requests_of_a_start(namespace: str, gpus: int) -> Sequence[Asked]:
    """What the scheduler writes when a run of one pod starts, events and the journal aside."""
    body = run_body(namespace, NAME, gpus)
    body["metadata"] |= {"uid": str(UUID(int=0)), "creationTimestamp": "2026-01-05T12:00:00Z"}
    run, node = run_from_object(body), a_node("n1", gpus=gpus, flavor=FLAVOR)
    world = a_world(node, run)
    api = Recording()
    writes = Writes(api, lambda _: run, lambda _: node, ())
    for decision in cycle(world, Silent(), lambda: 0.0).decisions:
        for effect in decision.effects:
            if not isinstance(effect, Emit):
                writes.write(effect, SEEN)
    return [_as_anybody(asked) for asked in api.asked]


def _as_anybody(asked: Asked) -> Asked:
    """Without what only the scheduler knows of the very run: a status by a merge patch, which needs no version."""
    if asked.method == "PUT":
        return Asked(method="PATCH", path=asked.path, body={"status": asked.body["status"]})
    return asked


def starts_a_second(there: Plane, asked: Sequence[Asked], count: int) -> float:
    """Whole starts, each with all of these requests."""
    rates = [send(there, one, count) for one in asked]
    return 1 / sum(1 / rate for rate in rates)


def send(there: Plane, one: Asked, count: int, *, prefix: str = PREFIX) -> float:
    """The request so many times, prefix-0, prefix-1 … for `NAME`; requests a second. A PATCH merges."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(one.body, file)
        file.flush()
        command = [str(there.programs / "apibench"), "-dir", str(there.folder), "-path", one.path, "-body", file.name]
        done = subprocess.run(
            [*command, "-n", str(count), "-c", str(CLIENTS), "-name", prefix, "-method", one.method],
            check=True,
            capture_output=True,
            text=True,
        )
    told = json.loads(done.stdout)
    if told["failed"]:
        raise SystemExit(f"{told['failed']} of {count} requests failed: {done.stderr}")
    return float(told["perSecond"])

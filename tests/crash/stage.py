"""A process that kills itself with SIGKILL before its n-th write to the state file, for every n.

Run as `python stage.py FOLDER STEP [broken]`; prints one JSON line: how many kills, and every difference to the life
without a kill.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runs_core.cluster.local import LocalCluster, Objects, Store
from runs_core.errors import RunsError
from runs_core.schema.requests import RESOLVE, annotation_of
from runs_core.serve.drive import advance
from runs_core.serve.loop import Loop
from runs_core.settings import ResolverSettings, Settings
from runs_core.values.meta import Key
from runs_core.values.quantity import format_time
from runs_core.values.request import Request

WRITES = ("INSERT", "UPDATE", "DELETE", "COMMIT")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = Settings(resolver=ResolverSettings(quantum=timedelta()))
"""Lots may be drawn among all that run."""
Act = Callable[[Objects], None]


def node(number: int) -> dict[str, Any]:
    """8 GPUs, two nodes to a domain."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"n{number}", "labels": {"runs.dev/fabric-domain": f"d{number // 2}"}},
        "status": {
            "allocatable": {"cpu": "64", "memory": "1Ti", "pods": "110", "nvidia.com/gpu": "8"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def run(name: str, gpus: int, **spec: object) -> dict[str, Any]:
    """Runs for an hour, as it says, in pods of 4 GPUs, which need 5 s to go; a failed rank restarts the gang once."""
    said = {"runs.dev/simulated-duration": "1h", "runs.dev/simulated-shutdown": "5s"}
    runtime = {"expectedDuration": "1h", "minRuntime": "0s", "checkpointGrace": "30s"}
    return {
        "apiVersion": "runs.dev/v1alpha1",
        "kind": "Run",
        "metadata": {"name": name, "namespace": "default", "annotations": said},
        "spec": {"resources": {"gpus": gpus, "gpusPerPod": 4}, "runtime": runtime, **spec},
    }


def submit(objects: Objects) -> None:
    """Five runs; four fit."""
    for name, gpus in (("a", 8), ("b", 16), ("c", 4), ("d", 32), ("e", 4)):
        retry = {"policy": "Retry", "limit": 1, "backoff": "5s"}
        objects.create(run(name, gpus, onPodFailure=retry))


def lose(objects: Objects) -> None:
    """A node with work on it goes out of service."""

    def taint(body: dict[str, Any]) -> None:
        body["spec"] = {"taints": [{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]}

    objects.edit("Node", Key("", "n0"), taint)


def take_back(objects: Objects) -> None:
    """An administrator wants eight GPUs of a domain, whoever has them."""
    wish = Request(uid="by-hand-1", flavor="default", gpus=8, domain="default/default/d1", at=BEGIN)
    said = {RESOLVE: annotation_of(wish)}
    objects.edit("Node", Key("", "n2"), lambda body: body["metadata"].update(annotations=said))


def cancel(objects: Objects) -> None:
    """Somebody cancels a running run, suspends another and deletes a third."""
    objects.edit("Run", Key("default", "b"), lambda body: body["spec"].update(canceled=True))
    objects.edit("Run", Key("default", "c"), lambda body: body["spec"].update(suspend=True))
    objects.delete("Run", Key("default", "e"))


def nothing(_: Objects) -> None:
    """Time passes: pods end, what waits starts."""


LIFE: Sequence[tuple[Act, timedelta]] = (
    (submit, timedelta(seconds=10)),
    (lose, timedelta(seconds=40)),
    (take_back, timedelta(seconds=40)),
    (cancel, timedelta(seconds=40)),
    (nothing, timedelta(hours=3)),
)


def opened(path: Path) -> tuple[LocalCluster, Loop]:
    """As every command opens it."""
    cluster = LocalCluster(Store.open(path), SETTINGS)
    return cluster, Loop(cluster, SETTINGS, clock=lambda: 0.0)


def whole(path: Path) -> list[tuple[object, ...]]:
    """Everything in the file."""
    with sqlite3.connect(path) as sql:
        tables = ("meta", "objects", "records", "events")
        found = [(table, *row) for table in tables for row in sql.execute(f"SELECT * FROM {table}")]  # noqa: S608  # constants
    sql.close()
    return found


def go_on(path: Path, until: datetime, *, broken: bool) -> None:
    """The scheduler's part, in a process of its own."""
    cluster, loop = opened(path)
    if broken:
        cluster.store.writing = lambda: _separately(cluster.store)  # type: ignore[method-assign]  # the defect to be found
    advance(loop, cluster, until, lambda _: None)
    cluster.store.close()


@contextmanager
def _separately(store: Store) -> Iterator[None]:
    """The deliberately broken variant: each write is committed by itself."""
    yield


def killed_at(path: Path, until: datetime, write: int, *, broken: bool) -> bool:
    """Go on in a child that dies before that write. False: it had fewer writes and lived."""
    child = os.fork()
    if not child:
        left = write
        real = Store.execute

        def counted(store: Store, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
            nonlocal left
            if statement.startswith(WRITES):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return real(store, statement, values)

        Store.execute = counted  # type: ignore[method-assign, assignment]  # the kill has to sit where every write passes
        go_on(path, until, broken=broken)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status):
        raise SystemExit("the child failed")
    return os.WIFSIGNALED(status)


def copied(path: Path, to: Path) -> Path:
    """The state file as it is on disk, without the processes that had it open."""
    for suffix in ("", "-wal", "-shm"):
        source = path.with_name(path.name + suffix)
        target = to.with_name(to.name + suffix)
        target.unlink(missing_ok=True)
        if source.exists():
            shutil.copyfile(source, target)
    return to


def double_starts(path: Path) -> list[str]:
    """Slots with two open leases, straight from the file."""
    seen: set[tuple[str, int]] = set()
    found: list[str] = []
    with closing(Store.open(path)) as store:
        leases = list(store.find("GPULease"))
    for lease in leases:
        if not lease.get("status", {}).get("closed"):
            for name, ordinals in lease["spec"]["slots"].items():
                found += [f"{name}/{ordinal}" for ordinal in ordinals if (name, ordinal) in seen]
                seen.update((name, ordinal) for ordinal in ordinals)
    return found


def life(folder: Path, *, broken: bool, step: int) -> dict[str, object]:
    """Each part killed before every `step`-th write, then taken up by a new process; against the life without."""
    before = folder / "before.db"
    store = Store.create(before, format_time(BEGIN))
    cluster = LocalCluster(store, SETTINGS)
    for number in range(4):
        Objects(cluster).create(node(number))
    kills = 0
    differences: list[str] = []
    waited: set[str] = set()
    promised: set[tuple[str, str]] = set()
    cut: set[str] = set()
    for act, length in LIFE:
        act(Objects(cluster))
        until = cluster.now + length
        cluster.store.close()
        good = copied(before, folder / "good.db")
        go_on(good, until, broken=False)
        write = 0
        while killed_at(trial := copied(before, folder / "trial.db"), until, write, broken=broken):
            kills += 1
            differences += [f"{act.__name__}/{write}: two leases on {slot}" for slot in double_starts(trial)]
            try:
                go_on(trial, until, broken=False)
            except RunsError as error:
                differences.append(f"{act.__name__}/{write}: {error}")
            if whole(trial) != whole(good):
                differences.append(f"{act.__name__}/{write}: ends differently")
            write += step
        copied(good, before)
        cluster, _ = opened(before)
        waited |= {run["metadata"]["name"] for run in cluster.store.find("Run") if run["status"]["phase"] == "Queued"}
        promised |= {
            (one["spec"]["runRef"]["name"], one["status"]["phase"]) for one in cluster.store.find("Reservation")
        }
        cut |= {cut["name"] for one in cluster.store.find("Resolution") for cut in one["spec"]["cuts"]}
    told = {"waited": sorted(waited), "promised": sorted(promised), "cut": sorted(cut)}
    return {"kills": kills, "differences": differences, **told}


if __name__ == "__main__":
    print(json.dumps(life(Path(sys.argv[1]), broken="broken" in sys.argv, step=int(sys.argv[2]))))  # noqa: T201  # its result

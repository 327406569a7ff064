"""`python -m benchmarks live-queue`: 15,000 runs with their pods through a real API server.

30 owners submit side by side for a minute on 600 GPUs; the pods are played by kwok. Reports the time until all have
Succeeded, CPU and memory of each process, the time to start by size, and how much of the GPUs was held meanwhile.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

from benchmarks.live.load import GPUS, OWNERS, Class, namespace_of
from benchmarks.live.plane import Plane, Usage, guard, plane, requests, settle, usage
from benchmarks.live.scheduler import SERVE, Scheduler, scheduler
from benchmarks.result import Goal, Result, Side
from runs_core.cluster.kube.api import Api
from runs_core.cluster.kube.paths import LISTS

NAME = "live-queue"
LONGEST_SECONDS = 1200.0
QUICK_SHARE = 0.02


def run(*, quick: bool) -> Result:
    """quick: a fiftieth of the runs, which proves only that they end."""
    return play(QUICK_SHARE if quick else 1.0, quick=quick)


def play(share: float, *, quick: bool, module: str = SERVE, longest: float = 300.0, limit: float = 20.0) -> Result:
    """share: of the runs of each class. module: the scheduler's.

    longest: seconds that all may take. limit: ms of the API server's CPU a run.
    """
    with tempfile.TemporaryDirectory() as folder, plane(Path(folder) / "plane", "--kwok") as there:
        guard(there)
        there.nodes(GPUS // 20, 20)
        there.apply("\n---\n".join(_namespace(owner) for owner in range(OWNERS)))
        return attrs.evolve(measure(there, share, module=module, longest=longest, limit=limit), quick=quick)


def _namespace(owner: int) -> str:
    """Without a controller manager nobody makes its service account."""
    name = namespace_of(owner)
    return (
        f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}\n---\n"
        f"{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: default, namespace: {name}}}}}"
    )


def measure(there: Plane, share: float, *, module: str, longest: float, limit: float) -> Result:
    """On a plane that has nothing else to do."""
    wanted = OWNERS * sum(cls.count for cls in Class.of(share))
    settle(there)
    with scheduler(there, module) as process:
        api = there.api
        pids = {**there.pids(), "scheduler": process.pid}
        before, asked = {name: usage(pid) for name, pid in pids.items()}, requests(api)
        began = time.monotonic()
        submitter = [sys.executable, "-m", "benchmarks.live.submit", str(there.kubeconfig), str(OWNERS), str(share)]
        made = json.loads(subprocess.run(submitter, check=True, capture_output=True, text=True).stdout)
        _decided(process, wanted, began)
        seconds = settle(there) - began  # what was decided is written once the API server comes to rest
        after, asked = {name: usage(pid) for name, pid in pids.items()}, requests(api) - asked
        runs = _all_done(api, wanted, began)
    used = {
        name: attrs.evolve(usage, cpu_seconds=usage.cpu_seconds - before[name].cpu_seconds)
        for name, usage in after.items()
    }
    result = _result(api, runs=runs, made=dict(made), seconds=seconds, used=used, limits=(longest, limit))
    each = {what: round(count / wanted, 3) for what, count in sorted(asked.items())}
    told = {f"requests a run, {what}": count for what, count in each.items() if count >= 0.01}
    return attrs.evolve(result, facts={**result.facts, **told})


def _decided(process: Scheduler, wanted: int, began: float) -> None:
    """Until the scheduler's log says of as many runs that they have succeeded: to look at the runs would cost more."""
    with process.log.open(encoding="utf-8") as lines:
        done = 0
        while done < wanted:
            if time.monotonic() - began > LONGEST_SECONDS or process.ended:
                raise SystemExit(f"{done} of {wanted} runs are done after {time.monotonic() - began:.0f} s")
            done += sum('"phase": "Succeeded"' in line for line in lines)
            time.sleep(0.1)


def _all_done(api: Api, wanted: int, began: float) -> list[dict[str, Any]]:
    """Until what is stored says so."""
    phases: Counter[str] = Counter()
    while time.monotonic() - began < LONGEST_SECONDS:
        items: list[dict[str, Any]] = api.call("GET", LISTS["Run"], query={"resourceVersion": "0"})[1]["items"]
        phases = Counter(item.get("status", {}).get("phase") for item in items)
        if phases["Succeeded"] == wanted:
            return items
        if phases["Failed"]:
            raise SystemExit("a run failed")
        time.sleep(1.0)
    raise SystemExit(f"not done after {LONGEST_SECONDS:.0f} s: {phases}")


def _result(
    api: Api,
    *,
    runs: Sequence[dict[str, Any]],
    made: dict[str, float],
    seconds: float,
    used: dict[str, Usage],
    limits: tuple[float, float],
) -> Result:
    leases = api.call("GET", LISTS["GPULease"], query={"resourceVersion": "0"})[1]["items"]
    held = sum(_held_gpu_seconds(lease) for lease in leases)
    facts = {f"CPU of {name}, s": round(used[name].cpu_seconds, 1) for name in sorted(used)}
    facts |= {f"memory of {name}, MiB": round(used[name].rss_mib) for name in sorted(used)}
    for cls in Class.of(1.0):
        waits = [_start_wait(run, made) for run in runs if run["spec"]["resources"]["gpus"] == cls.gpus]
        facts[f"time to start, {cls.name}, mean, s"] = round(statistics.fmean(waits), 2)
    facts["GPU utilisation until done"] = round(held / (GPUS * seconds), 3)
    facts["runs that waited over 1 s"] = sum(_start_wait(run, made) > 1.0 for run in runs)
    goals = (
        Goal(
            name="all Succeeded with their pods",
            side=Side.AT_MOST,
            measured=round(seconds, 1),
            limit=limits[0],
            aim=180.0,
            unit="s",
        ),
        Goal(
            name="API server CPU a run",
            side=Side.AT_MOST,
            measured=round(1000 * used["kube-apiserver"].cpu_seconds / len(runs), 2),
            limit=limits[1],
            aim=14.0,
            unit="ms",
        ),
    )
    return Result(
        name=NAME,
        title=f"{len(runs):,} runs of 30 owners through a real API server",
        quick=False,
        goals=goals,
        facts=facts,
    )


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _start_wait(run: dict[str, Any], made: dict[str, float]) -> float:
    return _time(run["status"]["startedAt"]) - made[f"{run['metadata']['namespace']}/{run['metadata']['name']}"]


def _held_gpu_seconds(lease: dict[str, Any]) -> float:
    gpus = sum(len(ordinals) for ordinals in lease["spec"]["slots"].values())
    return gpus * (_time(lease["status"]["end"]) - _time(lease["spec"]["start"]))

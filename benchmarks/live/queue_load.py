"""`python -m benchmarks.live.queue_load [--share X]`: 15,000 runs with their pods through a real API server.

30 owners submit side by side for a minute on 600 GPUs; the pods are played by kwok. Reports the time until all have
Succeeded, CPU and memory of each process, the time to start by size, and how much of the GPUs was held meanwhile.
"""

from __future__ import annotations

import argparse
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
from benchmarks.live.plane import Plane, Usage, plane, requests, settle, usage
from benchmarks.live.scheduler import Scheduler, scheduler
from benchmarks.result import RESULTS, Goal, Result, Side, write
from runs_core.cluster.kube.api import Api
from runs_core.cluster.kube.paths import LISTS

NAME = "queue_load"
LONGEST_SECONDS = 1200.0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live.queue_load", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the runs of each class; 1: all 15,000")
    parser.add_argument("--owners", type=int, default=OWNERS)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, plane(Path(folder) / "plane", "--kwok") as there:
        there.nodes(GPUS // 20, 20)
        there.apply("\n---\n".join(_namespace(owner) for owner in range(asked.owners)))
        result = measure(there, asked.owners, asked.share)
    print(json.dumps(attrs.asdict(result), indent=1, default=str))
    if asked.share == 1.0 and asked.owners == OWNERS:
        write(result, RESULTS)
    return 0 if result.met else 1


def _namespace(owner: int) -> str:
    """Without a controller manager nobody makes its service account."""
    name = namespace_of(owner)
    return (
        f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}\n---\n"
        f"{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: default, namespace: {name}}}}}"
    )


def measure(there: Plane, owners: int, share: float) -> Result:
    wanted = owners * sum(cls.count for cls in Class.of(share))
    settle(there)
    with scheduler(there) as process:
        api = there.api
        pids = {**there.pids(), "scheduler": process.pid}
        before, asked = {name: usage(pid) for name, pid in pids.items()}, requests(api)
        began = time.monotonic()
        submitter = [sys.executable, "-m", "benchmarks.live.submit", str(there.kubeconfig), str(owners), str(share)]
        made = json.loads(subprocess.run(submitter, check=True, capture_output=True, text=True).stdout)
        _decided(process, wanted, began)
        after, asked = {name: usage(pid) for name, pid in pids.items()}, requests(api) - asked
        runs = _all_done(api, wanted, began)
        seconds = time.monotonic() - began
    used = {
        name: attrs.evolve(usage, cpu_seconds=usage.cpu_seconds - before[name].cpu_seconds)
        for name, usage in after.items()
    }
    result = _result(api, runs, dict(made), seconds, used)
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
    runs: Sequence[dict[str, Any]],
    made: dict[str, float],
    seconds: float,
    used: dict[str, Usage],
) -> Result:
    leases = api.call("GET", LISTS["GPULease"], query={"resourceVersion": "0"})[1]["items"]
    held = sum(_held_gpu_seconds(lease) for lease in leases)
    facts = {f"CPU of {name}, s": used[name].cpu_seconds for name in sorted(used)}
    facts |= {f"memory of {name}, MiB": used[name].rss_mib for name in sorted(used)}
    for cls in Class.of(1.0):
        waits = [_start_wait(run, made) for run in runs if run["spec"]["resources"]["gpus"] == cls.gpus]
        facts[f"time to start, {cls.name}, mean, s"] = statistics.fmean(waits)
    facts["GPU utilisation until done"] = held / (GPUS * seconds)
    facts["runs that waited over 1 s"] = sum(_start_wait(run, made) > 1.0 for run in runs)
    goals = (
        Goal(
            name="all Succeeded with their pods", side=Side.AT_MOST, measured=seconds, limit=300.0, aim=180.0, unit="s"
        ),
        Goal(
            name="API server CPU a run",
            side=Side.AT_MOST,
            measured=1000 * used["kube-apiserver"].cpu_seconds / len(runs),
            limit=20.0,
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

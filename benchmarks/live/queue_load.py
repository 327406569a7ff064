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
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

from benchmarks.live.load import GPUS, OWNERS, Class, namespace_of
from benchmarks.live.plane import Plane, Usage, plane, usage
from benchmarks.result import RESULTS, Goal, Result, Side, write
from runs_core.cluster.kube.api import Api
from runs_core.cluster.kube.paths import LISTS

NAME = "queue_load"
LONGEST_SECONDS = 1200.0
HOME = "{apiVersion: v1, kind: Namespace, metadata: {name: runs-system}}"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live.queue_load", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the runs of each class; 1: all 15,000")
    parser.add_argument("--owners", type=int, default=OWNERS)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, plane(Path(folder) / "plane", "--kwok") as there:
        subprocess.run(
            [there.script, "nodes", there.folder, str(GPUS // 20), "20", "1", "H100-80GB"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        # without a controller manager nobody takes this away once a node is Ready
        subprocess.run(
            [*there.kubectl, "taint", "nodes", "--all", "node.kubernetes.io/not-ready-"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        there.apply("\n---\n".join([HOME, *(_namespace(owner) for owner in range(asked.owners))]))
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
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "runs_cli.main", "serve", "--kubeconfig", there.kubeconfig, "--http-address", "none"],
        stdout=subprocess.DEVNULL,
    )
    try:
        wanted = owners * sum(cls.count for cls in Class.of(share))
        pids = {**there.pids(), "scheduler": scheduler.pid}
        before = {name: usage(pid) for name, pid in pids.items()}
        began = time.monotonic()
        submitter = [sys.executable, "-m", "benchmarks.live.submit", str(there.kubeconfig), str(owners), str(share)]
        made = json.loads(subprocess.run(submitter, check=True, capture_output=True, text=True).stdout)
        api = Api.connect(str(there.kubeconfig))
        runs = _all_done(api, wanted, began)
        seconds = time.monotonic() - began
        after = {name: usage(pid) for name, pid in pids.items()}
    finally:
        scheduler.terminate()
        scheduler.wait(30)
    used = {
        name: attrs.evolve(usage, cpu_seconds=usage.cpu_seconds - before[name].cpu_seconds)
        for name, usage in after.items()
    }
    return _result(api, runs, dict(made), seconds, used)


def _all_done(api: Api, wanted: int, began: float) -> list[dict[str, Any]]:
    """Looked at every two seconds, one small page at a time, so that looking costs little."""
    while time.monotonic() - began < LONGEST_SECONDS:
        items = api.call("GET", LISTS["Run"], query={"resourceVersion": "0"})[1]["items"]
        phases = [item.get("status", {}).get("phase") for item in items]
        if phases.count("Succeeded") == wanted:
            return items
        if "Failed" in phases:
            raise SystemExit("a run failed")
        time.sleep(5.0)
    raise SystemExit(
        f"not done after {LONGEST_SECONDS:.0f} s: {[(p, phases.count(p)) for p in sorted(set(map(str, phases)))]}"
    )


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

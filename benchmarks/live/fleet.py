"""`python -m benchmarks live-fleet`: a fleet of 10,000 nodes and 20,000 leases on a real API server.

Starts in a row against what a bare client can write, start-ups, memory, idle load, and how soon a change is answered.
No pod runs: nobody plays the nodes.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from benchmarks.live.bare import NAME as PLACEHOLDER
from benchmarks.live.bare import Asked, requests_of_a_start, send, starts_a_second
from benchmarks.live.plane import Plane, guard, plane, settle, usage
from benchmarks.live.scheduler import SERVE, Scheduler, scheduler
from benchmarks.live.submit import FLAVOR, run_body
from benchmarks.result import Goal, Result, Side
from runs_core.cluster.kube.api import Api, Object
from runs_core.cluster.kube.paths import LISTS, collection

NAME = "live-fleet"
NAMESPACE, BARE = "fleet", "bare"
PATIENCE_SECONDS = 600.0


@attrs.frozen(kw_only=True)
class Stage:
    """Nodes of ten GPUs, and runs of one pod of so many GPUs, all of which have a place. name: begins theirs."""

    name: str
    nodes: int
    runs: int
    gpus: int


@attrs.frozen(kw_only=True)
class Size:
    """first: there before the scheduler is. then: comes while it works. bare: of each request. changes: answered."""

    first: Stage
    then: Stage
    bare: int
    changes: int
    idle_seconds: float


FULL = Size(
    first=Stage(name="first", nodes=1000, runs=5000, gpus=2),
    then=Stage(name="then", nodes=9000, runs=15_000, gpus=5),
    bare=1500,
    changes=20,
    idle_seconds=30.0,
)
QUICK = Size(
    first=Stage(name="first", nodes=100, runs=300, gpus=2),
    then=Stage(name="then", nodes=100, runs=150, gpus=5),
    bare=200,
    changes=5,
    idle_seconds=10.0,
)


@attrs.frozen(kw_only=True)
class Measured:
    """Seconds, but starts and bare: starts a second. idle: share of a core. answers: from a run's creation."""

    starts: float
    bare: float
    first_decision: float
    restart: float
    restart_gpus: int
    restart_leases: int
    memory_mib: float
    idle: float
    answers: Sequence[float]


def run(*, quick: bool) -> Result:
    size = QUICK if quick else FULL
    with tempfile.TemporaryDirectory() as folder, plane(Path(folder) / "plane") as there:
        return judge(measure(there, size), size, quick=quick)


def judge(found: Measured, size: Size, *, quick: bool) -> Result:
    """Against the limits."""
    leases = size.first.runs + size.then.runs
    goals = (
        Goal(
            name="starts in a row / a bare client's",
            side=Side.AT_LEAST,
            limit=0.5,
            aim=0.7,
            measured=round(found.starts / found.bare, 3),
        ),
        Goal(
            name=f"first decision, {size.first.nodes:,} nodes and {size.first.runs:,} runs",
            side=Side.AT_MOST,
            limit=15.0,
            measured=round(found.first_decision, 2),
            unit="s",
        ),
        Goal(
            name=f"first decision, {found.restart_gpus:,} GPUs and {found.restart_leases:,} leases",
            side=Side.AT_MOST,
            limit=15.0,
            measured=round(found.restart, 2),
            unit="s",
        ),
        Goal(name="memory", side=Side.AT_MOST, limit=600.0, measured=round(found.memory_mib, 1), unit="MiB"),
        Goal(name="idle load, of a core", side=Side.AT_MOST, limit=0.02, measured=round(found.idle, 4)),
        Goal(
            name="a change to its first write, median",
            side=Side.AT_MOST,
            limit=100.0,
            measured=round(1000 * statistics.median(found.answers), 1),
            unit="ms",
        ),
    )
    facts = {
        "starts a second": round(found.starts, 1),
        "starts a second, bare client": round(found.bare, 1),
        "a change to its first write, slowest, ms": round(1000 * max(found.answers), 1),
    }
    title = f"A fleet of {size.first.nodes + size.then.nodes:,} nodes and {leases:,} leases on a real API server"
    return Result(name=NAME, title=title, quick=quick, goals=goals, facts=facts)


def measure(there: Plane, size: Size, module: str = SERVE) -> Measured:
    """Everything on one plane, which grows meanwhile. module: the scheduler's."""
    api = there.api
    for name in (NAMESPACE, BARE):
        there.apply(_namespace(name))
    settle(there)
    bare = bare_rate(there, api, size.bare)
    guard(there)
    add_nodes(there, size.first)
    add_runs(there, size.first)
    settle(there)
    with scheduler(there, module) as process:
        first_decision, began = process.seconds, time.monotonic()
        all_started(api, process, size.first.runs)
        starts = size.first.runs / (time.monotonic() - began)
        add_nodes(there, size.then)
        add_runs(there, size.then)
        all_started(api, process, size.first.runs + size.then.runs)
        grown = usage(process.pid).rss_mib
    settle(there)
    with scheduler(there, module) as process:
        memory = max(grown, usage(process.pid).rss_mib)
        settle(there)
        idle = idle_share(process, size.idle_seconds)
        answers = [answered(api, number) for number in range(size.changes)]
        memory = max(memory, usage(process.pid).rss_mib)
        return Measured(
            starts=starts,
            bare=bare,
            first_decision=first_decision,
            restart=process.seconds,
            restart_gpus=10 * int(process.leads["nodes"]),
            restart_leases=int(process.leads["leases"]),
            memory_mib=memory,
            idle=idle,
            answers=answers,
        )


def bare_rate(there: Plane, api: Api, count: int) -> float:
    """Starts a second. What it left is taken away again."""
    send(there, Asked(method="POST", path=collection("Run", BARE), body=run_body(BARE, PLACEHOLDER, 2)), count)
    asked = requests_of_a_start(BARE, 2)
    found = starts_a_second(there, asked, count)
    lease = next(f"{one.path}/{one.body['metadata']['name']}" for one in asked if one.path.endswith("/gpuleases"))
    send(there, Asked(method="PATCH", path=lease, body={"metadata": {"finalizers": None}}), count)
    for kind in ("Run", "GPULease", "Pod"):
        options: Object = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
        api.call("DELETE", collection(kind, BARE), options, seconds=120)
    return found


def add_nodes(there: Plane, stage: Stage) -> None:
    """Ready, though nobody plays them."""
    resources = {"cpu": "192", "memory": "2Ti", "pods": "110", "nvidia.com/gpu": "10"}
    labels = {"runs.dev/gpu-flavor": FLAVOR, "runs.dev/cluster": "c1", "topology.kubernetes.io/region": "r1"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    body: Object = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": PLACEHOLDER, "labels": {**labels, "runs.dev/fabric-domain": stage.name}},
        "status": {"allocatable": resources, "capacity": resources, "conditions": [ready]},
    }
    prefix = f"node-{stage.name}"
    send(there, Asked(method="POST", path=LISTS["Node"], body=body), stage.nodes, prefix=prefix)
    # without a controller manager nobody takes away what the API server puts on each new node
    open_to_all = Asked(method="PATCH", path=f"{LISTS['Node']}/{PLACEHOLDER}", body={"spec": {"taints": None}})
    send(there, open_to_all, stage.nodes, prefix=prefix)


def add_runs(there: Plane, stage: Stage) -> None:
    body = run_body(NAMESPACE, PLACEHOLDER, stage.gpus)
    send(there, Asked(method="POST", path=collection("Run", NAMESPACE), body=body), stage.runs, prefix=stage.name)


def all_started(api: Api, process: Scheduler, wanted: int) -> None:
    """Until as many pods are there, and as many statuses were written."""

    def there() -> bool:
        answer = api.call("GET", collection("Pod", NAMESPACE), query={"limit": "1"})[1]
        return bool(len(answer["items"]) + answer["metadata"].get("remainingItemCount", 0) >= wanted)

    def told() -> bool:
        items = api.call("GET", collection("Run", NAMESPACE), query={"resourceVersion": "0"}, seconds=60)[1]["items"]
        return sum(1 for item in items if item["status"]["phase"] == "Starting") >= wanted

    _wait(there, process, every=0.25)
    _wait(told, process, every=2.0)  # each look costs the API server as much as some hundred writes


def _wait(so: Callable[[], bool], process: Scheduler, *, every: float) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not so():
        if process.ended or time.monotonic() > end:
            raise SystemExit("not all runs have started")
        time.sleep(every)


def idle_share(process: Scheduler, seconds: float) -> float:
    """Of a core, while nothing happens."""
    before = usage(process.pid).cpu_seconds
    time.sleep(seconds)
    return (usage(process.pid).cpu_seconds - before) / seconds


def answered(api: Api, number: int) -> float:
    """Seconds from the creation of a run until its lease can be seen, which is the first that is written of a start."""
    seen = threading.Event()
    version = api.call("GET", collection("GPULease", NAMESPACE), query={"limit": "1"})[1]["metadata"]["resourceVersion"]

    def watch() -> None:
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "30"}
        for line in api.text(collection("GPULease", NAMESPACE), query):
            if f'"change-{number}-'.encode() in line:
                seen.set()
                return

    threading.Thread(target=watch, daemon=True).start()
    time.sleep(1.0)
    began = time.monotonic()
    api.call("POST", collection("Run", NAMESPACE), run_body(NAMESPACE, f"change-{number}", 1))
    if not seen.wait(30):
        raise SystemExit("a change was not answered within 30 s")
    return time.monotonic() - began


def _namespace(name: str) -> str:
    """Without a controller manager nobody makes its service account."""
    return (
        f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}\n---\n"
        f"{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: default, namespace: {name}}}}}"
    )

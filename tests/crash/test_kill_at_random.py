"""kill -9 of `serve --local` and of commands at random moments: nothing committed is lost, and nothing starts twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from runs_core.cluster.local import LocalCluster, Store
from runs_core.schema.convert import lease_from_object
from runs_core.serve.loop import Loop
from runs_core.settings import Settings
from runs_core.values.lease import Lease
from runs_core.world.invariants import breaches

KEPT = {name: value for name, value in os.environ.items() if not name.startswith("RUNS_")}
SEED = 20260105
FLEET = ("--nodes", "4", "--gpus", "8", "--domains", "2", "--flavor", "H100", "--at", "2026-01-05T08:00:00Z")


def begin(state: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "runs_cli.main", "--local", str(state), *words],
        env={**KEPT, "RUNS_PLUGINS": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def done(state: Path, *words: str) -> float:
    """Seconds that it took."""
    since = time.monotonic()
    assert begin(state, *words).wait(60) == 0
    return time.monotonic() - since


def killed(state: Path, after: float, *words: str) -> bool:
    """Whether it was still at work when it was killed."""
    process = begin(state, *words)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
        return True
    return False


def leases(state: Path) -> list[Lease]:
    store = Store.open(state)
    try:
        return [lease_from_object(body) for body in store.find("GPULease")]
    finally:
        store.close()


def sound(state: Path, closed: dict[str, Lease]) -> list[str]:
    """Whatever is wrong with what the file says now. closed: leases that were closed before, and may never change."""
    now = {lease.meta.name: lease for lease in leases(state)}
    found = [name for name, lease in closed.items() if now.get(name) != lease]
    closed.update({name: lease for name, lease in now.items() if lease.status.closed})
    store = Store.open(state)
    try:
        loop = Loop(LocalCluster(store, Settings()), Settings())
        loop.settle()
        return found + [str(breach) for breach in breaches(loop.world)]
    finally:
        store.close()


def submitted(name: str, gpus: int) -> Sequence[str]:
    size = ("--gpus", str(gpus), "--gpus-per-pod", str(min(8, gpus)))
    return ("submit", name, "--flavor", "H100", *size, "--simulated-duration", "20m")


def test_commands_killed_at_random_lose_nothing_and_start_nothing_twice(tmp_path: Path) -> None:
    draw, state = random.Random(SEED), tmp_path / "fleet.db"
    closed: dict[str, Lease] = {}
    done(state, "cluster", "init", *FLEET)
    kills = 0
    for number in range(14):
        usual = done(state, *submitted(f"run-{number}", draw.choice((4, 8, 16, 24))))
        words = draw.choice(
            (("cluster", "advance", "7m"), submitted(f"more-{number}", 8), ("cluster", "lose", "node-000"))
        )
        kills += killed(state, draw.uniform(0.4, 0.95) * usual, *words)  # within its work, however fast the machine
        assert sound(state, closed) == []
    done(state, "cluster", "restore", "node-000")
    done(state, "cluster", "advance", "48h")
    with closing(Store.open(state)) as store:
        phases = {body["metadata"]["name"]: body["status"]["phase"] for body in store.find("Run")}
    assert kills >= 3
    assert {f"run-{number}" for number in range(14)} <= set(phases)
    assert set(phases.values()) == {"Succeeded"}
    assert all(lease.status.closed for lease in leases(state))


def test_serve_killed_at_random_loses_nothing_and_starts_nothing_twice(tmp_path: Path) -> None:
    draw, state = random.Random(SEED), tmp_path / "fleet.db"
    closed: dict[str, Lease] = {}
    done(state, "cluster", "init", *FLEET)
    for number in range(8):
        done(state, *submitted(f"run-{number}", draw.choice((8, 16, 24))))
        serving = begin(state, "serve", "--http-address", "none")
        time.sleep(draw.uniform(0.4, 1.6))
        assert serving.poll() is None
        serving.kill()
        serving.wait(10)
        assert sound(state, closed) == []
    done(state, "cluster", "advance", "24h")
    with closing(Store.open(state)) as store:
        ended = [body["status"]["phase"] for body in store.find("Run")]
    assert ended == ["Succeeded"] * 8
    assert all(lease.status.closed for lease in leases(state))

"""A cluster of four nodes that run nothing, and scheduler processes on it with exactly the rights that we generate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml
from tests.kube.conftest import Plane, four_nodes

Object = dict[str, Any]
HOME = "runs-system"
LEASE_SECONDS = 4
LONGEST_SECONDS = 40.0
TIMES = {
    "RUNS_ELECTION_LEASE_DURATION": f"{LEASE_SECONDS}s",
    "RUNS_ELECTION_RENEW_DEADLINE": "3s",
    "RUNS_ELECTION_RETRY_PERIOD": "500ms",
    "RUNS_AUDIT_PERIOD": "3s",
    "RUNS_AUDIT_GRACE": "3s",
}


def eventually(what: str, come: Callable[[], Any], seconds: float = LONGEST_SECONDS) -> Any:  # noqa: ANN401 - whatever it is
    """What `come` answers once that is anything."""
    end = time.monotonic() + seconds
    while not (found := come()):
        assert time.monotonic() < end, f"{what} has not come about in {seconds} s"
        time.sleep(0.05)
    return found


@attrs.define(kw_only=True, eq=False)
class Scheduler:
    """One process. log: where it writes to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def told(self, message: str) -> list[Object]:
        """The lines of its log that say this."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["message"].startswith(message)]

    def leads(self) -> Object:
        """Its line, once it does."""
        found: Object = eventually(f"{self.name} leads", lambda: self.told("leads"))[-1]
        return found

    def stands_by(self, times: int = 1) -> None:
        eventually(f"{self.name} stands by", lambda: len(self.told("stands by")) >= times)

    def answer(self, path: str) -> tuple[int, str]:
        (line,) = eventually("it listens", lambda: self.told("answers /healthz"))
        try:
            with urllib.request.urlopen(f"http://{line['address']}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@attrs.define(kw_only=True)
class Site:
    """The cluster. kubeconfig: of the scheduler's service account."""

    plane: Plane
    kubeconfig: Path
    folder: Path
    schedulers: list[Scheduler] = attrs.field(factory=list)

    def serve(self, name: str, *options: str) -> Scheduler:
        log = self.folder / f"{name}-{len(list(self.folder.glob('*.log')))}.log"
        words = ["serve", "--kubeconfig", str(self.kubeconfig), "-n", HOME, "--identity", name, "--http-address"]
        kept = {key: value for key, value in os.environ.items() if not key.startswith("RUNS_")}
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "runs_cli.main", *words, "127.0.0.1:0", *options],
                env={**kept, **TIMES, "RUNS_PLUGINS": ""},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        self.schedulers.append(Scheduler(name=name, process=process, log=log))
        return self.schedulers[-1]

    def namespace(self, name: str) -> str:
        self.kubectl("create", "namespace", name)
        eventually("its service account", lambda: self.kubectl("get", "sa", "default", "-n", name, check=False))
        return name

    def submit(self, namespace: str, sizes: Sequence[int], *, seconds: int) -> None:
        """Runs of as many GPUs, in pods of up to 8, that last so long."""
        items = [_run(f"r{number}", namespace, gpus, seconds) for number, gpus in enumerate(sizes)]
        self.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    def all(self, kind: str, namespace: str) -> list[Object]:
        items: list[Object] = json.loads(self.kubectl("get", kind, "-n", namespace, "-o", "json"))["items"]
        return items

    def phases(self, namespace: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for run in self.all("runs.runs.dev", namespace):
            phase = (run.get("status") or {}).get("phase", "")
            found[phase] = found.get(phase, 0) + 1
        return found

    def succeeded(self, namespace: str, count: int, seconds: float = LONGEST_SECONDS) -> None:
        eventually(f"{count} runs succeeded", lambda: self.phases(namespace) == {"Succeeded": count}, seconds)

    def as_scheduler(self, *words: str, stdin: str | None = None) -> str:
        return self.kubectl("--kubeconfig", str(self.kubeconfig), *words, stdin=stdin)

    def kubectl(self, *words: str, stdin: str | None = None, check: bool = True) -> str:
        done = self.plane.kubectl(*words, stdin=stdin)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout


def _run(name: str, namespace: str, gpus: int, seconds: int) -> Object:
    metadata = {"annotations": {"runs.dev/simulated-duration": f"{seconds}s"}}
    template = {"metadata": metadata, "spec": {"containers": [{"name": "main", "image": "busybox"}]}}
    resources = {"flavor": "H100-80GB", "gpus": gpus, "gpusPerPod": min(8, gpus)}
    return {
        "apiVersion": "runs.dev/v1alpha1",
        "kind": "Run",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"resources": resources, "template": template},
    }


@pytest.fixture(scope="module")
def plane(component: Callable[[str, Sequence[str]], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with four_nodes(component, tmp_path_factory.mktemp("serve")) as made:
        yield made


@pytest.fixture(scope="module")
def installed(plane: Plane) -> Path:
    return install(plane)


def install(plane: Plane) -> Path:
    """Everything is installed; the kubeconfig of the scheduler's service account, which has our rights and no other."""
    words = [sys.executable, "-m", "runs_cli.main", "manifests", "all"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RUNS_")}
    manifests = subprocess.run(
        words, env={**kept, "RUNS_PLUGINS": ""}, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    plane.kubectl("create", "namespace", HOME)
    plane.kubectl("apply", "--server-side", "-f", "-", stdin=manifests)
    done = plane.kubectl("apply", "--server-side", "-f", "-", stdin=manifests)  # what is of a kind only just declared
    assert done.returncode == 0, done.stderr
    probe = json.dumps(_run("probe", "default", 1, 1))
    words = ["create", "--dry-run=server", "-f", "-"]  # the policies know a new kind some seconds after it is served
    eventually("Runs are admitted", lambda: plane.kubectl(*words, stdin=probe).returncode == 0)
    token = plane.kubectl("create", "token", "runs", "-n", HOME).stdout
    return _kubeconfig(plane, token)


def _kubeconfig(plane: Plane, token: str) -> Path:
    config: Object = yaml.safe_load(plane.kubeconfig.read_text())
    config["users"] = [{"name": "runs", "user": {"token": token}}]
    config["contexts"] = [{"name": "runs", "context": {**config["contexts"][0]["context"], "user": "runs"}}]
    config["current-context"] = "runs"
    path = plane.dir / "runs.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def site(plane: Plane, installed: Path, tmp_path: Path) -> Iterator[Site]:
    made = Site(plane=plane, kubeconfig=installed, folder=tmp_path)
    try:
        yield made
    finally:
        for scheduler in made.schedulers:
            scheduler.process.terminate()  # not killed: the next test need not wait for the Lease to run out
        for scheduler in made.schedulers:
            try:
                scheduler.process.wait(10)
            except subprocess.TimeoutExpired:
                scheduler.process.kill()
                scheduler.process.wait(10)


def overlaps(leases: Sequence[Mapping[str, Any]]) -> list[str]:
    """Places that two leases held at one time."""
    held: dict[tuple[str, int], list[tuple[str, str, str]]] = {}
    for lease in leases:
        status, spec = lease.get("status") or {}, lease["spec"]
        span = (spec["start"], status.get("end") or "9999", lease["metadata"]["name"])
        for node, ordinals in spec["slots"].items():
            for ordinal in ordinals:
                held.setdefault((node, ordinal), []).append(span)
    return [
        f"{place}: {first[2]} and {second[2]}"
        for place, spans in held.items()
        for first, second in zip(sorted(spans), sorted(spans)[1:], strict=False)
        if first[1] > second[0]
    ]

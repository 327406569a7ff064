"""A real API server to do harm to, its controllers, nodes that kwok plays, and the scheduler's own account."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import yaml
from tests.faults.history import Etcd

from runs_borrowing import plugin as borrowing
from runs_budgets import plugin as budgets
from runs_core.cluster.kube.api import Api, Refused
from runs_core.errors import Unavailable
from runs_core.hooks.registry import of
from runs_core.schema.crd import crds
from runs_core.serve.manifests.installation import NAME, NAMESPACE, Installation
from runs_core.serve.manifests.policies import PolicyMode, policies
from runs_core.serve.manifests.rbac import rbac
from runs_core.settings import FleetSettings

Object = dict[str, Any]
START_SECONDS = 180  # the first start on a machine unpacks the programs
ARGUMENTS = "--storage-media-type=application/json --etcd-compaction-interval=0"  # history.py reads what etcd stores
CONTROLLERS = "--node-monitor-grace-period=5m --terminated-pod-gc-threshold=12500"  # no node falls silent by itself
NODES, GPUS_PER_NODE = 4, 4
PATIENCE = 20.0
PLUGINS = of(budgets=budgets, borrowing=borrowing)


@attrs.frozen(kw_only=True)
class Plane:
    """dir: its state, keys and logs. token: the scheduler's.

    admin: for the tests, and never for a scheduler. eager: the same, and takes the first answer. scheduler: as the
    scheduler, past every proxy.
    """

    script: Path
    dir: Path
    server: str
    token: str
    admin: Api
    eager: Api
    scheduler: Api
    etcd: Etcd

    @property
    def ca(self) -> Path:
        return self.dir / "pki" / "ca.crt"

    def kubectl(self, *words: str, stdin: object = None) -> str:
        """As admin. Its output; a failure raises."""
        command = [str(self.dir / "kubectl"), "--kubeconfig", str(self.dir / "kubeconfig"), *words]
        return _run(command, stdin=None if stdin is None else json.dumps(stdin))

    def kill(self, program: str) -> None:
        """SIGKILL, and it stays away."""
        _run([str(self.script), "stop", str(self.dir), program])

    def restart(self, program: str) -> None:
        """As it was started first."""
        _run([str(self.script), "restart", str(self.dir), program])

    @contextmanager
    def paused(self, program: str) -> Iterator[None]:
        """It stands still, its connections open."""
        pid = int((self.dir / "run" / f"{program}.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def rm(self) -> None:
        """Nothing of it is needed any more."""
        for file in sorted((self.dir / "run").glob("*.pid")):
            with suppress(ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGKILL)

    def ready(self, seconds: float = 60) -> None:
        """Wait until the API server answers again."""
        until(lambda: _answers(self.eager), seconds, "the API server is not ready")


class Patient(Api):
    """Asks again while the server is busy: what a test does is not what is tested."""

    def call(self, method: str, path: str, body: Object | None = None, **more: Any) -> tuple[int, Object]:  # noqa: ANN401  # as the real one
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return super().call(method, path, body, **more)
            except Refused as error:
                if not error.passing or time.monotonic() > end:
                    raise
            time.sleep(0.2)


def until(what: Callable[[], bool], seconds: float, failing: str) -> float:
    """Wait until it is so; how many seconds that took."""
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"{failing} after {seconds:g} s")
        time.sleep(0.05)
    return time.monotonic() - began


def start(script: Path, folder: Path) -> Plane:
    """With the CRDs, the scheduler's account and four nodes of four GPUs in two domains."""
    environ = {**os.environ, "KP_APISERVER_ARGS": ARGUMENTS, "KP_KCM_ARGS": CONTROLLERS}
    told = _run([str(script), "start", str(folder), "--kcm", "--kwok"], environ=environ, seconds=START_SECONDS)
    exports = dict(line.removeprefix("export ").split("=", 1) for line in told.splitlines() if "=" in line)
    (folder / "kubectl").symlink_to(Path(exports["PATH"].split(":", 1)[0]) / "kubectl")
    etcd = (folder / "run" / "etcd.cmd").read_text().split()
    kubeconfig = folder / "kubeconfig"
    server = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    admin, eager = Patient.connect(str(kubeconfig)), Api.connect(str(kubeconfig))
    address = etcd[etcd.index("--listen-client-urls") + 1].replace("\\", "")
    plane = Plane(
        script=script,
        dir=folder,
        server=server,
        token="",
        admin=admin,
        eager=eager,
        scheduler=admin,
        etcd=Etcd(address),
    )
    installation = Installation()
    judged = policies(installation, FleetSettings(), PolicyMode.DENY)
    plane.kubectl(
        "apply", "--server-side", "-f", "-", stdin=listed([*kinds(), *rbac(installation, PLUGINS.permissions), *judged])
    )
    names = ("runs", "gpuleases", "budgets", "reservations", "resolutions")
    plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", *(f"crd/{name}.runs.dev" for name in names))
    _run([str(script), "nodes", str(folder), str(NODES), str(GPUS_PER_NODE), "2"])
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 36_000}}
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{NAME}/token"
    until(lambda: _there(admin, path.removesuffix("/token")), 20, "the scheduler's account is not there")
    _, answer = admin.call("POST", path, asked)
    token = answer["status"]["token"]
    return attrs.evolve(plane, token=token, scheduler=Patient.connect(_with_token(folder, server, token)))


def _with_token(folder: Path, server: str, token: str) -> str:
    """A kubeconfig of the scheduler's own, past every proxy."""
    cluster = {"server": server, "certificate-authority": str(folder / "pki" / "ca.crt")}
    context = {"name": "runs", "context": {"cluster": "runs", "user": "runs"}}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "runs", "cluster": cluster}],
        "users": [{"name": "runs", "user": {"token": token}}],
        "contexts": [context],
        "current-context": "runs",
    }
    path = folder / "scheduler.kubeconfig"
    path.write_text(json.dumps(config))
    return str(path)


def kinds() -> list[Object]:
    """The CRDs, with what the plugins add to them."""
    return list(crds(PLUGINS.sections))


def listed(items: Sequence[Object]) -> Object:
    return {"apiVersion": "v1", "kind": "List", "items": list(items)}


def _there(api: Api, path: str) -> bool:
    try:
        api.call("GET", path)
    except Refused:
        return False
    return True


def _answers(api: Api) -> bool:
    try:
        api.call("GET", "/apis/runs.dev/v1alpha1/runs", seconds=2)
    except (Refused, Unavailable):
        return False
    return True


def _run(
    command: Sequence[str], *, stdin: str | None = None, environ: dict[str, str] | None = None, seconds: float = 60
) -> str:
    done = subprocess.run(
        command, input=stdin or "", capture_output=True, text=True, timeout=seconds, check=False, env=environ
    )
    assert done.returncode == 0, f"{' '.join(command[:4])}: {done.stderr}"
    return done.stdout

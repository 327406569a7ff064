"""An API server with everything that `runs manifests all` prints, and somebody for each role.

It is one of its own: policies that deny would be in the way of the other tests of the folder.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml
from click.testing import CliRunner
from tests.kube.conftest import Plane, start

from runs_cli.main import root
from runs_core.cluster.kube.api import Api, Refused
from runs_core.cluster.kube.client import learnt
from runs_core.errors import Unavailable
from runs_core.schema.names import API_VERSION, GROUP, VERSION
from runs_core.serve.webhook.keeper import CertificateKeeper
from runs_core.serve.webhook.review import Admission
from runs_core.serve.webhook.server import WebhookServer

Object = dict[str, Any]
HOME, TEAM = "runs-system", "team-a"
HOST = "127.0.0.1"
CONNECTION_SECONDS = 5.0
LONGEST_SECONDS = 20.0
MEDDLER = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "meddler"},
    "rules": [
        {"apiGroups": [GROUP], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["pods", "pods/binding", "pods/status"], "verbs": ["*"]},
    ],
}
"""Who has been given too much: what the policies are for."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class Patient(Api):
    """Tries again while the API server learns of a kind: it may take a run, and for a moment after that none."""

    def call(self, method: str, path: str, body: Object | None = None, **more: Any) -> tuple[int, Object]:  # noqa: ANN401  # as `Api.call`
        return learnt(partial(super().call, method, path, body, **more))


@attrs.define(kw_only=True)
class Guarded:
    """scheduler: the rights of the service account. alice: of the group that has runs-user. meddler: too many.

    flavors: what the webhook takes the fleet to offer. told: what the webhook complained of.
    """

    plane: Plane
    scheduler: Api
    alice: Api
    meddler: Api
    keeper: CertificateKeeper
    flavors: list[str]
    told: list[str]
    server: WebhookServer | None = None

    def serve(self, port: int) -> None:
        """Start the webhook server anew."""
        self.server = _server(port, self.flavors, self.shown, self.told)
        self.server.start()

    def shown(self) -> ssl.SSLContext:
        """What the keeper of the moment shows."""
        return self.keeper.context()

    def down(self) -> None:
        assert self.server is not None
        assert self.server.stop(CONNECTION_SECONDS)
        self.server = None

    def apply(self, *objects: Object) -> None:
        done = self.plane.kubectl("apply", "--server-side", "-f", "-", stdin=listed(objects))
        assert (done.returncode, done.stderr) == (0, ""), done.stderr


@pytest.fixture(scope="session")
def guarded(
    component: Callable[[str, Sequence[str]], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    script = component("RUNS_TEST_KUBE", ("kubeplane", "kubenode")) / "kubeplane"
    folder = tmp_path_factory.mktemp("guarded")
    made: list[Guarded] = []
    try:
        plane = start(script, folder)
        made.append(_guarded(plane, script))
        yield made[0]
    finally:
        for one in made:
            if one.server is not None:
                one.down()
        subprocess.run([script, "rm", folder], check=True, capture_output=True, timeout=60)


def _guarded(plane: Plane, script: Path) -> Guarded:
    flavors: list[str] = ["H100"]
    told: list[str] = []
    alice, meddler = (_user(plane, script, *who) for who in (("alice", "researchers"), ("meddler", "meddlers")))
    made: list[Guarded] = []

    def shown() -> ssl.SSLContext:
        return made[0].shown()

    server = _server(0, flavors, shown, told)
    manifests = printed("all", "--webhook-url", f"https://{HOST}:{server.port}", "--policy-mode", "deny")
    # the kinds first, as `kubectl apply` would need them twice otherwise
    kinds = [one for one in manifests if one["kind"] == "CustomResourceDefinition"]
    _applied(plane, kinds)
    names = [f"crd/{one['metadata']['name']}" for one in kinds]
    assert plane.kubectl("wait", "--for=condition=Established", "--timeout=20s", *names).returncode == 0
    _applied(plane, [*manifests, MEDDLER, namespace(TEAM), namespace("operator", {"runs.dev/gpu-pods": "unmanaged"})])
    for space in (TEAM, "operator"):
        assert plane.kubectl("create", "serviceaccount", "default", "-n", space).returncode == 0
    for role, group in (("runs-user", "researchers"), ("meddler", "meddlers")):
        bound = plane.kubectl("create", "clusterrolebinding", group, "--clusterrole", role, "--group", group)
        assert bound.returncode == 0, bound.stderr
    scheduler = _service_account(plane)
    keeper = CertificateKeeper(scheduler, HOME, (HOST,), utc_now)
    found = Guarded(
        plane=plane,
        scheduler=scheduler,
        alice=alice,
        meddler=meddler,
        keeper=keeper,
        flavors=flavors,
        told=told,
        server=server,
    )
    made.append(found)
    server.start()
    keeper.look()
    _in_force(found)
    return found


def _server(port: int, flavors: list[str], shown: Callable[[], ssl.SSLContext], told: list[str]) -> WebhookServer:
    admission = Admission(flavors=lambda: tuple(flavors))
    return WebhookServer((HOST, port), admission.answer, shown, told.append)


def _in_force(found: Guarded) -> None:
    """What is applied takes a moment until the API server goes by it; a policy also has to know a new kind."""
    until(lambda: _takes(found, a_run("probe", flavor="H100")))
    pod = a_pod(labels={"runs.dev/run-uid": "1"})
    until(lambda: refusal(found.meddler, pods(), pod) is not None)
    until(lambda: refusal(found.meddler, pods(), a_pod(gpus=1)) is not None)
    lease = {"apiVersion": API_VERSION, "kind": "GPULease", "metadata": {"name": "probe"}, "spec": a_lease()}
    until(lambda: "the scheduler only" in (refusal(found.meddler, ours("gpuleases"), lease) or ""))
    until(lambda: dry(found.alice, ours("runs"), a_run("probe"))["spec"]["resources"].get("flavor") == "H100")


def _takes(found: Guarded, run: Object) -> bool:
    """A policy that changes Runs answers 503 to every new one until the API server has learnt of their kind."""
    try:
        return refusal(found.alice, ours("runs"), run) is None
    except Refused as error:
        if error.passing:
            return False
        raise


def until(holds: Callable[[], bool]) -> None:
    """Ask again and again; each question takes the API server some milliseconds."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail("it never came to hold")


def printed(*words: str) -> list[Object]:
    """What `runs manifests` prints."""
    answer = CliRunner().invoke(root, ["manifests", *words])
    assert answer.exit_code == 0, answer.output
    return list(yaml.safe_load_all(answer.stdout))


def listed(objects: Sequence[Object]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})


def _applied(plane: Plane, objects: Sequence[Object]) -> None:
    done = plane.kubectl("apply", "--server-side", "-f", "-", stdin=listed(objects))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def _user(plane: Plane, script: Path, name: str, group: str) -> Api:
    done = subprocess.run([script, "user", plane.dir, name, group], capture_output=True, text=True, check=True)
    return Patient.connect(done.stdout.strip())


def _service_account(plane: Plane) -> Api:
    token = plane.kubectl("create", "token", "runs", "-n", HOME, "--duration", "1h").stdout.strip()
    assert token
    config = yaml.safe_load(plane.kubeconfig.read_text())
    config["users"] = [{"name": "u", "user": {"token": token}}]
    path = plane.dir / "scheduler.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return Patient.connect(str(path))


# -- requests ---------------------------------------------------------------------------------------------------------


def ours(plural: str, name: str = "", tail: str = "", namespace: str | None = TEAM) -> str:
    scope = f"/namespaces/{namespace}" if namespace else ""
    return "/".join(part for part in (f"/apis/{GROUP}/{VERSION}{scope}/{plural}", name, tail) if part)


def pods(name: str = "", tail: str = "", *, namespace: str = TEAM) -> str:
    return "/".join(part for part in (f"/api/v1/namespaces/{namespace}/pods", name, tail) if part)


def dry(api: Api, path: str, body: Object) -> Object:
    return api.call("POST", path, body, query={"dryRun": "All", "fieldValidation": "Strict"})[1]


def refusal(api: Api, path: str, body: Object) -> str | None:
    """Why this cannot be made; None: it could."""
    try:
        dry(api, path, body)
    except Refused as error:
        return error.message
    except Unavailable as error:
        pytest.fail(str(error))
    return None


def namespace(name: str, labels: Mapping[str, str] | None = None) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels or {})}}


def a_run(name: str, *, gpus: int = 8, **resources: object) -> Object:
    spec = {"resources": {"gpus": gpus, **resources}}
    return {"apiVersion": API_VERSION, "kind": "Run", "metadata": {"name": name}, "spec": spec}


def a_lease() -> Object:
    return {
        "runRef": {"name": "train", "uid": "3f1c"},
        "group": 0,
        "slots": {"node-1": [0, 1]},
        "attempt": 1,
        "start": "2026-01-31T08:00:00Z",
        "reason": "Start",
    }


def a_pod(
    name: str = "a",
    *,
    gpus: int | None = None,
    labels: Mapping[str, str] | None = None,
    **spec: object,
) -> Object:
    asked = {"resources": {"limits": {"nvidia.com/gpu": str(gpus)}}} if gpus is not None else {}
    container = {"name": "main", "image": "busybox", **asked}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels or {})},
        "spec": {"containers": [container], **spec},
    }

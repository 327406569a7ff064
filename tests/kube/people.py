"""Who acts on the API server of these tests: the scheduler's account, and people with the rights of a role."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml
from click.testing import CliRunner, Result
from tests.kube.conftest import Plane

from runs_cli.main import root
from runs_core.cluster.kube.api import Api, Refused
from runs_core.schema.crd import crds
from runs_core.serve.manifests.installation import NAME, NAMESPACE, Installation
from runs_core.serve.manifests.rbac import rbac

Object = dict[str, Any]
LONGEST_SECONDS = 20.0
NOT_FOUND = 404
MERGE = "application/merge-patch+json"
GPU = "nvidia.com/gpu"


def installed(plane: Plane) -> None:
    """Kinds and roles, and everything of them served."""
    applied(plane, crds())
    names = [f"crd/{one['metadata']['name']}" for one in crds()]
    done = plane.kubectl("wait", "--for=condition=Established", "--timeout=20s", *names)
    assert done.returncode == 0, done.stderr
    applied(plane, rbac(Installation()))
    until(lambda: plane.kubectl("get", "runs,budgets,gpuleases", "-A").returncode == 0)


@cache
def admin(plane: Plane) -> Api:
    """Whoever sets the stage; nothing that is tested acts as this one."""
    return Api.connect(str(plane.kubeconfig))


def place(one: Object) -> str:
    """Where the API server keeps it."""
    kind, meta = one["kind"].lower(), one["metadata"]
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    group = "/api/v1" if one["apiVersion"] == "v1" else f"/apis/{one['apiVersion']}"
    scope = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
    return f"{group}{scope}/{plural}/{meta['name']}"


def applied(plane: Plane, objects: Iterable[Object]) -> None:
    """As kubectl apply does it."""
    for one in objects:
        admin(plane).apply(place(one), one, query={"fieldValidation": "Strict"})


def gone(plane: Plane, *objects: Object) -> None:
    """They may be there, and are asked to go at once: no kubelet would end a pod."""
    for one in objects:
        try:
            admin(plane).call("DELETE", place(one), {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
        except Refused as refusal:
            if refusal.status != NOT_FOUND:
                raise


def named(kind: str, name: str, namespace: str | None = None, api: str = "v1") -> Object:
    """Enough of an object to find it."""
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
    }


def until(holds: Callable[[], bool]) -> None:
    """Ask again and again; each question takes the API server some milliseconds."""
    end = time.monotonic() + LONGEST_SECONDS
    while not holds():
        if time.monotonic() > end:
            pytest.fail("it never came to hold")


@attrs.frozen(kw_only=True)
class Person:
    """Somebody with a kubeconfig."""

    kubeconfig: Path

    def runs(self, *words: str, input: str | None = None) -> Result:  # noqa: A002 - the runner's own name
        """A command line in this process."""
        return CliRunner().invoke(root, ["--kubeconfig", str(self.kubeconfig), *words], input=input)

    def told(self, *words: str, input: str | None = None) -> str:  # noqa: A002 - likewise
        """Its output, where it did what it was asked."""
        answer = self.runs(*words, input=input)
        assert answer.exit_code == 0, answer.stderr
        return answer.stdout

    def read(self, *words: str) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.told(*words, "-o", "json"))


def person(plane: Plane, name: str, role: str | None = None, namespace: str | None = None) -> Person:
    """A user of that name. role: a ClusterRole; namespace: where, else everywhere."""
    script = Path(os.environ["RUNS_TEST_KUBE"]) / "kubeplane"
    done = subprocess.run([script, "user", plane.dir, name], capture_output=True, text=True, check=True)
    if role is not None:
        kind, where = ("rolebinding", ["-n", namespace]) if namespace else ("clusterrolebinding", [])
        bound = plane.kubectl("create", kind, f"{name}-{role}", "--clusterrole", role, "--user", name, *where)
        assert bound.returncode == 0, bound.stderr
    return Person(kubeconfig=Path(done.stdout.strip()))


def scheduler_kubeconfig(plane: Plane) -> Path:
    """The service account's: exactly its rights."""
    token = plane.kubectl("create", "token", NAME, "-n", NAMESPACE, "--duration", "1h").stdout.strip()
    assert token
    return changed(plane.kubeconfig, plane.dir / "scheduler.kubeconfig", user={"token": token})


def changed(
    source: Path,
    target: Path,
    *,
    user: Object | None = None,
    cluster: Object | None = None,
    context: Object | None = None,
) -> Path:
    """A copy of a kubeconfig with other credentials, another server, or another context."""
    config = yaml.safe_load(source.read_text())
    if user is not None:
        config["users"] = [{"name": one["name"], "user": user} for one in config["users"]]
    for part, wanted in (("cluster", cluster), ("context", context)):
        for one in config[f"{part}s"]:
            one[part] |= wanted or {}
    target.write_text(yaml.safe_dump(config))
    return target


def space(name: str, labels: Mapping[str, str] | None = None) -> list[Object]:
    """A namespace in which pods can be made: somebody has to make its service account, where no controllers run."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels or {})}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}},
    ]


def join(plane: Plane, name: str, labels: Mapping[str, str], *, gpus: object = 8, port: int = 10250) -> None:
    """A Ready node, as a kubelet would report it. port: where its kubelet answers on this machine."""
    meta = {"name": name, "labels": dict(labels)}
    amounts = {
        "cpu": "64",
        "memory": "1Ti",
        "pods": "110",
        "ephemeral-storage": "1Ti",
        **({GPU: str(gpus)} if gpus else {}),
    }
    status = {
        "allocatable": amounts,
        "capacity": amounts,
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        "addresses": [{"type": "Hostname", "address": "localhost"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    node = {"apiVersion": "v1", "kind": "Node", "metadata": meta}
    applied(plane, [node])
    admin(plane).call("PATCH", f"{place(node)}/status", {"status": status}, content=MERGE)
    admin(plane).call("PATCH", place(node), {"spec": {"taints": []}}, content=MERGE)


def reports(plane: Plane, namespace: str, pods: Sequence[str], phase: str) -> None:
    """What a kubelet would say of these pods."""
    for pod in pods:
        path = f"{place(named('Pod', pod, namespace))}/status"
        admin(plane).call("PATCH", path, {"status": {"phase": phase}}, content=MERGE)

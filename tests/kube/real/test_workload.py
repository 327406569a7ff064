"""Pods that really run: a kubelet, containerd and eight fake GPUs, under exactly the rights that we generate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.kube.conftest import start
from tests.kube.serve.conftest import Object, Site, eventually, install

SHELL = ["sh", "-c"]
REAL = "REAL"


@pytest.fixture(scope="module")
def real(component: Callable[[str, Sequence[str]], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    scripts = component("RUNS_TEST_KUBE", ("kubeplane", "kubenode"))
    folder = tmp_path_factory.mktemp("real")
    labels = {"KP_GPUS": "8", "KP_LABELS": f"runs.dev/gpu-flavor={REAL}"}
    try:
        plane = start(scripts / "kubeplane", folder, "--kcm")
        subprocess.run(
            [scripts / "kubenode", "start", folder],
            env={**os.environ, **labels},
            check=True,
            capture_output=True,
            timeout=120,
        )
        site = Site(plane=plane, kubeconfig=install(plane), folder=tmp_path_factory.mktemp("logs"))
        eventually("the node's GPUs", lambda: '"nvidia.com/gpu": "8"' in site.kubectl("get", "nodes", "-o", "json"), 60)
        site.serve("alone")
        yield site
        for scheduler in site.schedulers:
            scheduler.process.terminate()
            scheduler.process.wait(20)
    finally:
        subprocess.run([scripts / "kubenode", "stop", folder], check=False, capture_output=True, timeout=60)
        subprocess.run([scripts / "kubeplane", "rm", folder], check=True, capture_output=True, timeout=60)


def container(command: str, gpus: int = 0) -> Object:
    made: Object = {
        "name": "main",
        "image": "localhost/busybox:1",
        "imagePullPolicy": "Never",
        "command": [*SHELL, command],
    }
    return {**made, "resources": {"limits": {"nvidia.com/gpu": gpus}}} if gpus else made


def run(name: str, gpus: int, command: str, **spec: object) -> Object:
    return {
        "apiVersion": "runs.dev/v1alpha1",
        "kind": "Run",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "resources": {"flavor": REAL, "gpus": gpus},
            "template": {"spec": {"containers": [container(command)], "terminationGracePeriodSeconds": 5}},
            **spec,
        },
    }


def create(site: Site, *objects: Object) -> None:
    site.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


def phase(site: Site, name: str) -> str:
    return site.kubectl("get", "run", name, "-o", "jsonpath={.status.phase}")


def comes_to(site: Site, name: str, wanted: str) -> None:
    eventually(f"{name} {wanted}", lambda: phase(site, name) == wanted, 60)


def logs(site: Site, name: str, rank: int) -> str:
    """As a person asks for them."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RUNS_")}
    return subprocess.run(
        [sys.executable, "-m", "runs_cli.main", "logs", name, "--rank", str(rank)],
        env={**kept, "KUBECONFIG": str(site.plane.kubeconfig), "RUNS_PLUGINS": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def open_leases(site: Site, name: str) -> list[Object]:
    return [
        lease
        for lease in site.all("gpuleases.runs.dev", "default")
        if lease["spec"]["runRef"]["name"] == name and not (lease.get("status") or {}).get("closed")
    ]


def test_a_gang_of_four_runs_its_own_command_and_its_logs_come_back(real: Site) -> None:
    told = 'echo "rank $RANK of $WORLD_SIZE at $MASTER_ADDR:$MASTER_PORT group $RUNS_GROUP"'
    create(real, run("train", 4, told))
    comes_to(real, "train", "Succeeded")
    for rank in range(4):
        said = logs(real, "train", rank)
        assert f"rank {rank} of 4 at train-1-0." in said
        assert ":29500 group 0" in said
    assert open_leases(real, "train") == []


def test_each_rank_has_the_devices_that_its_lease_counts(real: Site) -> None:
    create(real, run("devices", 2, "ls /dev | grep -i -c fake || true; env | sort"))
    comes_to(real, "devices", "Succeeded")
    pods = [pod for pod in real.all("pods", "default") if pod["metadata"]["labels"].get("runs.dev/run") == "devices"]
    asked = [pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] for pod in pods]
    assert asked == ["1", "1"]


def test_a_failing_rank_restarts_the_gang_on_the_same_places(real: Site) -> None:
    command = '[ "$RANK" = 1 ] && [ "$HOSTNAME" = again-1-1 ] && exit 3; sleep 2; echo done'
    create(real, run("again", 2, command, onPodFailure={"policy": "Retry", "limit": 2, "backoff": "1s"}))
    comes_to(real, "again", "Succeeded")
    status = json.loads(real.kubectl("get", "run", "again", "-o", "json"))["status"]
    leases = [one for one in real.all("gpuleases.runs.dev", "default") if one["spec"]["runRef"]["name"] == "again"]
    assert status["attempt"] == 1
    assert len(leases) == 1
    names = sorted(pod["metadata"]["name"] for pod in real.all("pods", "default"))
    assert {"again-1r1-0", "again-1r1-1"} <= set(names)


def test_a_canceled_run_saves_on_sigterm_and_holds_its_gpus_until_then(real: Site) -> None:
    command = 'trap "sleep 2; echo saved; exit 0" TERM; echo up; while true; do sleep 0.2; done'
    create(real, run("saves", 1, command, runtime={"checkpointGrace": "20s"}))
    comes_to(real, "saves", "Running")
    eventually("its first line", lambda: "up" in logs(real, "saves", 0), 20)
    follow = subprocess.Popen(
        [real.plane.programs / "kubectl", "--kubeconfig", real.plane.kubeconfig, "logs", "-f", "saves-1-0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    real.kubectl("patch", "run", "saves", "--type=merge", "-p", '{"spec":{"canceled":true}}')
    said, _ = follow.communicate(timeout=40)
    assert "saved" in said
    comes_to(real, "saves", "Failed")
    assert open_leases(real, "saves") == []


def job(name: str, completions: int, gpus: int) -> Object:
    """An indexed Job of the real Job controller, whose pods say which run they are ranks of."""
    pod = {"schedulerName": "runs", "restartPolicy": "Never", "containers": [container("sleep 1; echo done", gpus)]}
    spec = {
        "completions": completions,
        "parallelism": completions,
        "completionMode": "Indexed",
        "template": {"metadata": {"labels": {"runs.dev/run": name.partition(".")[0]}}, "spec": pod},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name.replace(".", "-"), "namespace": "default"},
        "spec": spec,
    }


def without_template(name: str, gpus: int, per_pod: int) -> Object:
    resources = {"flavor": REAL, "gpus": gpus, "gpusPerPod": per_pod}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "runs.dev/v1alpha1", "kind": "Run", "metadata": metadata, "spec": {"resources": resources}}


def test_the_pods_of_an_indexed_job_become_the_ranks_of_a_run(real: Site) -> None:
    create(real, job("joined", 2, 2), without_template("joined", 4, 2))
    comes_to(real, "joined", "Succeeded")
    labels = [pod["metadata"]["labels"] for pod in real.all("pods", "default")]
    ranks = {
        one["batch.kubernetes.io/job-completion-index"]: one["runs.dev/rank"]
        for one in labels
        if one.get("runs.dev/run") == "joined"
    }
    assert ranks == {"0": "0", "1": "1"}


def test_two_jobs_form_one_run_and_nothing_starts_before_all_pods_are_there(real: Site) -> None:
    create(real, job("pair.a", 1, 1), without_template("pair", 2, 1))
    eventually(
        "it waits",
        lambda: "WaitingForPods" in real.kubectl("get", "run", "pair", "-o", "jsonpath={.status.reason}"),
        30,
    )
    assert "1 of 2 pods" in real.kubectl("get", "run", "pair", "-o", "jsonpath={.status.message}")
    create(real, job("pair.b", 1, 1))
    comes_to(real, "pair", "Succeeded")

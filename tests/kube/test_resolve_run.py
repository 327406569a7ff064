"""A taking-back by hand on a real API server: who may ask for it, and what the scheduler makes of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.kube.people import (
    MERGE,
    Person,
    applied,
    changed,
    gone,
    installed,
    join,
    named,
    person,
    place,
    scheduler_kubeconfig,
    space,
    until,
)
from tests.kube.people import admin as api

from runs_core.cluster.kube.rights import JOURNAL
from runs_core.serve.manifests.installation import Installation
from runs_core.serve.manifests.rbac import rbac

if TYPE_CHECKING:
    from tests.kube.conftest import Plane

SPACE, FLAVOR = "by-hand", "HAND-80GB"
SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "verify_draw.py"
SETTINGS = """
reclaim: {minRuntime: 0s, mostMinRuntime: 0s}
resolver: {quantum: 0s}
election: {leaseDuration: 3s, renewDeadline: 2s, retryPeriod: 500ms}
"""
ASKED = ("resolve", "run", "--flavor", FLAVOR, "--gpus", "4", "--domain", "hand")
RUN = f"""apiVersion: runs.dev/v1alpha1
kind: Run
metadata: {{name: NAME, namespace: {SPACE}}}
spec:
  resources: {{gpus: 4, gpusPerPod: 4, flavor: {FLAVOR}}}
  template:
    spec:
      containers: [{{name: main, image: busybox, command: [train]}}]
"""


@pytest.fixture
def admin(kubeplane: Plane, tmp_path: Path) -> Iterator[Person]:
    """Who may do everything; a node of 8, two runs of 4 on it."""
    installed(kubeplane)
    kubeplane.kubectl("delete", "resolutions", "--all")  # the chains of other tests are of other nonces
    kubeplane.kubectl("delete", "configmap", JOURNAL, "-n", Installation().namespace)
    applied(kubeplane, space(SPACE))
    join(kubeplane, "hand-0", {"runs.dev/gpu-flavor": FLAVOR, "runs.dev/fabric-domain": "hand"}, gpus=8)
    config = tmp_path / "settings.yaml"
    config.write_text(SETTINGS, encoding="utf-8")
    made = Person(kubeconfig=changed(kubeplane.kubeconfig, tmp_path / "admin", context={"namespace": SPACE}))
    with a_scheduler(kubeplane, tmp_path):
        for name in ("one", "two"):
            made.told("submit", "-f", "-", input=RUN.replace("NAME", name))
        until(lambda: kubeplane.kubectl("-n", SPACE, "get", "pods", "-o", "name").stdout.count("pod/") == 2)
    try:
        yield made
    finally:
        with a_scheduler(kubeplane, tmp_path):  # whoever deletes a run waits for it to let go
            kubeplane.kubectl("-n", SPACE, "delete", "runs,pods", "--all", "--force", "--wait=false")
            until(lambda: not kubeplane.kubectl("-n", SPACE, "get", "runs", "-o", "name").stdout)
        gone(kubeplane, named("Node", "hand-0"))


@contextmanager
def a_scheduler(plane: Plane, folder: Path) -> Iterator[None]:
    """At work until it is killed."""
    words = ["--kubeconfig", str(scheduler_kubeconfig(plane)), "--config", str(folder / "settings.yaml")]
    with (folder / "log").open("a") as log:
        serve = [sys.executable, "-m", "runs_cli.main", *words, "serve", "--http-address", "none"]
        scheduler = subprocess.Popen(serve, stdout=log, stderr=log)
        try:
            yield
        finally:
            scheduler.kill()
            scheduler.wait(30)


@pytest.fixture
def at_work(kubeplane: Plane, admin: Person, tmp_path: Path) -> Iterator[Person]:
    with a_scheduler(kubeplane, tmp_path):
        yield admin


def test_who_may_patch_nodes_takes_back_by_hand_and_kubectl_is_enough_to_check_it(
    kubeplane: Plane, at_work: Person, tmp_path: Path
) -> None:
    admin = at_work
    config = ("--config", str(tmp_path / "settings.yaml"))
    bob = person(kubeplane, "bob", "runs-admin")
    until(lambda: admin.runs(*ASKED, *config).exit_code == 0)  # both runs hold what can be taken back
    refused = bob.runs(*ASKED, "--apply", *config)
    assert refused.exit_code != 0
    assert "patch" in refused.stderr, refused.output
    assert admin.read(*ASKED, *config)["missing"] == 4
    assert "Manual" not in kubeplane.kubectl("get", "rsl").stdout

    done = admin.read(*ASKED, "--apply", *config)
    assert done["resolution"]
    printed = kubeplane.kubectl("get", "rsl", done["resolution"], "-o", "json").stdout
    checked = subprocess.run(
        [sys.executable, "-I", str(SCRIPT)], input=printed, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout) == (0, "the draw follows from its seed\n")
    assert "runs.dev/resolve" not in kubeplane.kubectl("get", "node", "hand-0", "-o", "json").stdout

    kubeplane.kubectl("cordon", "hand-0")
    kubeplane.kubectl("-n", SPACE, "delete", "pods", "--all", "--force", "--wait=false")  # no kubelet would end them
    phase = ["get", "rsl", done["resolution"], "-o", "jsonpath={.status.phase}/{.status.reason}"]
    until(lambda: kubeplane.kubectl(*phase).stdout == "Released/Freed")
    kubeplane.kubectl("delete", "clusterrolebinding", "bob-runs-admin")


def going(plane: Plane) -> int:
    """Pods that were told to go."""
    path = "jsonpath={.items[*].metadata.deletionTimestamp}"
    return len(plane.kubectl("-n", SPACE, "get", "pods", "-o", path).stdout.split())


def test_a_scheduler_that_is_killed_before_it_told_anybody_is_followed_by_one_that_does(
    kubeplane: Plane, admin: Person, tmp_path: Path
) -> None:
    """It keeps the Resolution, may not delete pods, and is killed; the next one may."""
    (role,) = [
        one for one in rbac(Installation()) if one["kind"] == "ClusterRole" and "-scheduler" in one["metadata"]["name"]
    ]
    rules = [
        {**rule, "verbs": [verb for verb in rule["verbs"] if rule["resources"] != ["pods"] or verb != "delete"]}
        for rule in role["rules"]
    ]
    api(kubeplane).call("PATCH", place(role), {"rules": rules}, content=MERGE)
    try:
        with a_scheduler(kubeplane, tmp_path):
            done = admin.read(*ASKED, "--apply", "--config", str(tmp_path / "settings.yaml"))
            assert done["resolution"]
            assert going(kubeplane) == 0
    finally:
        api(kubeplane).call("PATCH", place(role), {"rules": role["rules"]}, content=MERGE)
    with a_scheduler(kubeplane, tmp_path):
        until(lambda: going(kubeplane) == 1)

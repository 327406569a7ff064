"""A taking-back by hand on a real API server: who may ask for it, and what the scheduler makes of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest
from tests.kube.people import (
    Person,
    applied,
    changed,
    gone,
    installed,
    join,
    named,
    person,
    scheduler_kubeconfig,
    space,
    until,
)

if TYPE_CHECKING:
    from tests.kube.conftest import Plane

SPACE, FLAVOR = "by-hand", "HAND-80GB"
SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "verify_draw.py"
SETTINGS = "reclaim: {minRuntime: 0s, mostMinRuntime: 0s}\nresolver: {quantum: 0s}\n"
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
    """A scheduler at work, a node of 8, two runs of 4 on it, and who may do everything."""
    installed(kubeplane)
    applied(kubeplane, space(SPACE))
    join(kubeplane, "hand-0", {"runs.dev/gpu-flavor": FLAVOR, "runs.dev/fabric-domain": "hand"}, gpus=8)
    config = tmp_path / "settings.yaml"
    config.write_text(SETTINGS, encoding="utf-8")
    words = ["--kubeconfig", str(scheduler_kubeconfig(kubeplane)), "--config", str(config)]
    made = Person(kubeconfig=changed(kubeplane.kubeconfig, tmp_path / "admin", context={"namespace": SPACE}))
    with (tmp_path / "log").open("w") as log:
        serve = [sys.executable, "-m", "runs_cli.main", *words, "serve", "--http-address", "none"]
        scheduler = subprocess.Popen(serve, stdout=log, stderr=log)
        try:
            for name in ("one", "two"):
                made.told("submit", "-f", "-", input=RUN.replace("NAME", name))
            until(lambda: kubeplane.kubectl("-n", SPACE, "get", "pods", "-o", "name").stdout.count("pod/") == 2)
            yield attrs.evolve(made)
        finally:
            scheduler.terminate()
            scheduler.wait(30)
            kubeplane.kubectl("-n", SPACE, "delete", "runs,pods", "--all", "--force", "--wait=false")
            gone(kubeplane, named("Node", "hand-0"))


def test_who_may_patch_nodes_takes_back_by_hand_and_kubectl_is_enough_to_check_it(
    kubeplane: Plane, admin: Person, tmp_path: Path
) -> None:
    config = ("--config", str(tmp_path / "settings.yaml"))
    bob = person(kubeplane, "bob", "runs-admin")
    refused = bob.runs(*ASKED, "--apply", *config)
    assert refused.exit_code != 0
    assert "patch" in refused.stderr
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

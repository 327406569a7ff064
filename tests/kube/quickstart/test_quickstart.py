"""The page on a live cluster is executed as it stands: every shell block, in order, on a real API server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.kube.conftest import Plane, start

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "live-cluster.md"
FENCE = re.compile(r"^```(\w+)(?: ([\w.]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 120


@pytest.fixture(scope="module")
def cluster(
    component: Callable[[str, Sequence[str]], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plane]:
    """Four nodes of 8 GPUs in two domains, played by kwok."""
    script = component("RUNS_TEST_KUBE", ("kubeplane", "kubenode")) / "kubeplane"
    folder = tmp_path_factory.mktemp("quickstart")
    try:
        made = start(script, folder, "--kcm", "--kwok")
        subprocess.run([script, "nodes", folder, "4", "8", "2"], check=True, capture_output=True, timeout=60)
        yield made
    finally:
        subprocess.run([script, "rm", folder], check=True, capture_output=True, timeout=60)


def script_of(page: str, folder: Path) -> str:
    """The shell blocks as one script; files that the page shows are put into the folder."""
    commands = []
    for kind, name, body in FENCE.findall(page):
        if name:
            (folder / name).write_text(body)
        elif kind == "sh":
            commands.append(body)
    return "\n".join(commands)


def played(script: str, folder: Path, cluster: Plane) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNS_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), str(cluster.programs), kept["PATH"]])
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env={**kept, "PATH": path, "KUBECONFIG": str(cluster.kubeconfig), "RUNS_PLUGINS": "", "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_the_page_on_a_live_cluster_works_from_install_to_explain(cluster: Plane, tmp_path: Path) -> None:
    done = played(script_of(PAGE.read_text(), tmp_path), tmp_path, cluster)
    log = (tmp_path / "scheduler.log").read_text() if (tmp_path / "scheduler.log").exists() else ""
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{log[-3000:]}"
    assert re.search(r"train +Running +16/16", done.stdout)
    assert "default/wide" in done.stdout
    assert "NotEnoughGPUs: wants 24" in done.stdout


def test_a_page_with_a_command_that_fails_is_found_out(cluster: Plane, tmp_path: Path) -> None:
    page = "```sh\nkubectl version\nruns submit -f nothing.yaml\nkubectl version\n```\n"
    assert played(script_of(page, tmp_path), tmp_path, cluster).returncode != 0

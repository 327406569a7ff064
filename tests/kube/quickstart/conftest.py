"""Pages whose shell blocks are executed as they stand, on a real API server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.kube.conftest import Plane, four_nodes

HOWTO = Path(__file__).parents[3] / "docs" / "howto"
FENCE = re.compile(r"^```(\w+)(?: ([\w.]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 120


@pytest.fixture(scope="module")
def cluster(
    component: Callable[[str, Sequence[str]], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plane]:
    """Four nodes of 8 GPUs in two domains, played by kwok."""
    with four_nodes(component, tmp_path_factory.mktemp("quickstart")) as made:
        yield made


def shown(page: str, folder: Path) -> list[str]:
    """The shell blocks; files that the page shows are put into the folder."""
    commands = []
    for kind, name, body in FENCE.findall(page):
        if name:
            (folder / name).write_text(body)
        elif kind == "sh":
            commands.append(body)
    return commands


def below(page: str, heading: str) -> str:
    """What the page says below this heading, up to the next."""
    return page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def played(script: str, folder: Path, cluster: Plane) -> subprocess.CompletedProcess[str]:
    """What it shows is that of a person with an administrator's kubeconfig, in this folder."""
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

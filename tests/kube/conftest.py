"""A real API server on loopback for the tests of this folder, one for all of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
import yaml

HERE = Path(__file__).parent
START_SECONDS = 180  # the first start on a machine unpacks the programs


@attrs.frozen(kw_only=True)
class Plane:
    """One running API server. dir: its state, keys and logs; programs: where its kubectl is; token: an admin's."""

    dir: Path
    kubeconfig: Path
    programs: Path
    server: str
    token: str

    @property
    def ca(self) -> Path:
        """The certificate that signed the server's, for clients without the kubeconfig."""
        return self.dir / "pki" / "ca.crt"

    def kubectl(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl as admin. A failure is in `returncode` and `stderr`, it does not raise."""
        return subprocess.run(
            [str(self.programs / "kubectl"), "--kubeconfig", str(self.kubeconfig), *args],
            env={**os.environ, "KUBECACHEDIR": str(self.dir / "cache")},
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.kube)
            item.add_marker(pytest.mark.xdist_group("kube"))  # one worker, and so one API server


@pytest.fixture(scope="session")
def kubeplane(
    component: Callable[[str, Sequence[str]], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plane]:
    script = component("RUNS_TEST_KUBE", ("kubeplane", "kubenode")) / "kubeplane"
    folder = tmp_path_factory.mktemp("kubeplane")
    try:
        yield start(script, folder)
    finally:
        subprocess.run([script, "rm", folder], check=True, capture_output=True, timeout=60)


@contextmanager
def four_nodes(component: Callable[[str, Sequence[str]], Path], folder: Path) -> Iterator[Plane]:
    """A plane in this folder with controllers, and four nodes of 8 GPUs in two domains, played by kwok."""
    script = component("RUNS_TEST_KUBE", ("kubeplane", "kubenode")) / "kubeplane"
    try:
        made = start(script, folder, "--kcm", "--kwok")
        subprocess.run([script, "nodes", folder, "4", "8", "2"], check=True, capture_output=True, timeout=60)
        yield made
    finally:
        subprocess.run([script, "rm", folder], check=True, capture_output=True, timeout=60)


def start(script: Path, folder: Path, *options: str) -> Plane:
    """Start a plane in this folder; what it prints are lines `export NAME=VALUE`. options: as `kubeplane start` has."""
    done = subprocess.run(
        [script, "start", folder, *options], capture_output=True, text=True, timeout=START_SECONDS, check=False
    )
    if done.returncode:
        pytest.fail(f"{script} start: {done.stderr}", pytrace=False)
    exports = [line.removeprefix("export ") for line in done.stdout.splitlines() if line.startswith("export ")]
    named = dict(line.split("=", 1) for line in exports)
    home, kubeconfig = Path(named["KUBEPLANE_DIR"]), Path(named["KUBECONFIG"])
    return Plane(
        dir=home,
        kubeconfig=kubeconfig,
        programs=Path(named["PATH"].split(":", 1)[0]),
        server=yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"],
        token=(home / "pki" / "tokens.csv").read_text().split(",", 1)[0],
    )

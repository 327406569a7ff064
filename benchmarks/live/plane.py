"""A real API server with simulated nodes for a benchmark, and what each of its processes uses."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs
import yaml

from runs_core.schema.crd import crds

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@attrs.frozen(kw_only=True)
class Plane:
    """folder: of the plane; kubectl: the program with its kubeconfig."""

    script: Path
    folder: Path
    kubectl: tuple[str, ...]
    kubeconfig: Path
    programs: Path

    def apply(self, text: str) -> None:
        subprocess.run(
            [*self.kubectl, "apply", "-f", "-"], input=text, text=True, check=True, stdout=subprocess.DEVNULL
        )

    def pids(self) -> Mapping[str, int]:
        """By program."""
        return {path.stem: int(path.read_text()) for path in sorted((self.folder / "run").glob("*.pid"))}


@contextmanager
def plane(folder: Path, *options: str) -> Iterator[Plane]:
    """Started from the folder that RUNS_TEST_KUBE names, with our CRDs; removed at the end."""
    home = os.environ.get("RUNS_TEST_KUBE")
    if home is None:
        raise SystemExit("RUNS_TEST_KUBE must name the folder with kubeplane, see CONTRIBUTING.md")
    script = Path(home) / "kubeplane"
    told = subprocess.run([script, "start", folder, *options], check=True, capture_output=True, text=True).stdout
    named = dict(line.removeprefix("export ").split("=", 1) for line in told.splitlines() if line.startswith("export "))
    programs, kubeconfig = Path(named["PATH"].split(":", 1)[0]), Path(named["KUBECONFIG"])
    made = Plane(
        script=script,
        folder=folder,
        kubectl=(str(programs / "kubectl"), "--kubeconfig", str(kubeconfig)),
        kubeconfig=kubeconfig,
        programs=programs,
    )
    try:
        made.apply(yaml.safe_dump_all(crds()))
        subprocess.run(
            [*made.kubectl, "wait", "--for=condition=Established", "crd", "--all"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        yield made
    finally:
        subprocess.run([script, "rm", folder], check=True, capture_output=True)


@attrs.frozen(kw_only=True)
class Usage:
    """cpu_seconds: user and system, of the process and its threads. rss_mib: now."""

    cpu_seconds: float
    rss_mib: float


def usage(pid: int) -> Usage:
    """From /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return Usage(cpu_seconds=(int(fields[11]) + int(fields[12])) / TICKS, rss_mib=int(fields[21]) * PAGE / 2**20)

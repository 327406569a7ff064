"""A real API server with simulated nodes for a benchmark, what it is asked, and what each of its processes uses."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs
import yaml

from runs_core.cluster.kube.api import Api
from runs_core.schema.crd import crds
from runs_core.serve.manifests.installation import NAME, NAMESPACE, Installation
from runs_core.serve.manifests.policies import PolicyMode, policies
from runs_core.serve.manifests.rbac import rbac
from runs_core.settings import FleetSettings

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@attrs.frozen(kw_only=True)
class Plane:
    """folder: of the plane; kubectl: the program with its kubeconfig. scheduler: a kubeconfig of its own account."""

    script: Path
    folder: Path
    kubectl: tuple[str, ...]
    kubeconfig: Path
    programs: Path

    @property
    def scheduler(self) -> Path:
        return self.folder / "scheduler.kubeconfig"

    @property
    def api(self) -> Api:
        """As the admin."""
        return Api.connect(str(self.kubeconfig))

    def nodes(self, count: int, gpus: int, domains: int = 1) -> None:
        """Ready, played by kwok if it runs."""
        subprocess.run(
            [self.script, "nodes", self.folder, str(count), str(gpus), str(domains), "H100-80GB"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        # without a controller manager nobody takes this away once a node is Ready
        subprocess.run(
            [*self.kubectl, "taint", "nodes", "--all", "node.kubernetes.io/not-ready-"],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def apply(self, text: str) -> None:
        subprocess.run(
            [*self.kubectl, "apply", "-f", "-"], input=text, text=True, check=True, stdout=subprocess.DEVNULL
        )

    def pids(self) -> Mapping[str, int]:
        """By program."""
        return {path.stem: int(path.read_text()) for path in sorted((self.folder / "run").glob("*.pid"))}


@contextmanager
def plane(folder: Path, *options: str) -> Iterator[Plane]:
    """Started from the folder that RUNS_TEST_KUBE names, with our CRDs and rights; removed at the end."""
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
        made.apply(yaml.safe_dump_all([*crds(), *rbac(Installation())]))
        subprocess.run(
            [*made.kubectl, "wait", "--for=condition=Established", "crd", "--all"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        _make_account(made)
        yield made
    finally:
        subprocess.run([script, "rm", folder], check=True, capture_output=True)


def guard(there: Plane) -> None:
    """With our policies from now on: nobody but the scheduler writes what is its."""
    there.apply(yaml.safe_dump_all(policies(Installation(), FleetSettings(), PolicyMode.DENY)))


def _make_account(there: Plane) -> None:
    """A kubeconfig with the scheduler's own token and rights, as it has them where it is installed."""
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 36_000}}
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{NAME}/token"
    token = there.api.call("POST", path, asked)[1]["status"]["token"]
    config = yaml.safe_load(there.kubeconfig.read_text())
    (user,) = config["users"]
    user["user"] = {"token": token}
    there.scheduler.write_text(yaml.safe_dump(config))
    there.scheduler.chmod(0o600)


@attrs.frozen(kw_only=True)
class Usage:
    """cpu_seconds: user and system, of the process and its threads. rss_mib: now."""

    cpu_seconds: float
    rss_mib: float


IDLE_SECONDS, IDLE_SHARE, LONGEST_SETTLING = 2.0, 0.1, 90.0


def settle(there: Plane) -> float:
    """Until the API server has nothing to do, as after a start and for each new kind; since when, monotonic."""
    pid = there.pids()["kube-apiserver"]
    end = time.monotonic() + LONGEST_SETTLING
    since, before = time.monotonic(), usage(pid).cpu_seconds
    while time.monotonic() < end:
        time.sleep(IDLE_SECONDS)
        now = usage(pid).cpu_seconds
        if now - before < IDLE_SHARE * IDLE_SECONDS:
            return since
        since, before = time.monotonic(), now
    raise SystemExit(f"the API server does not come to rest within {LONGEST_SETTLING:.0f} s of its start")


def usage(pid: int) -> Usage:
    """From /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return Usage(cpu_seconds=(int(fields[11]) + int(fields[12])) / TICKS, rss_mib=int(fields[21]) * PAGE / 2**20)


REQUESTS = re.compile(r"^apiserver_request_total{(.*)} (\S+)$")
LABEL = re.compile(r'(\w+)="([^"]*)"')


def requests(api: Api) -> Counter[str]:
    """How often the API server was asked what since it started, such as `PATCH runs/status`."""
    counts: Counter[str] = Counter()
    for line in api.text("/metrics"):
        if found := REQUESTS.match(line.decode()):
            label = dict(LABEL.findall(found[1]))
            resource = "/".join(part for part in (label["resource"], label["subresource"]) if part)
            counts[f"{label['verb']} {resource}"] += round(float(found[2]))
    return counts

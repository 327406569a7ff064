"""One scenario: a namespace of its own, a proxy, schedulers that come and go, and the verdict on what they left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
from tests.faults.history import Breaches
from tests.faults.plane import Object, Plane, until
from tests.faults.proxy import Proxy, Request

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Api, Refused
from runs_core.cluster.seen import as_change, read
from runs_core.errors import Unavailable
from runs_core.settings import FleetSettings
from runs_core.values.change import TimePassed
from runs_core.values.meta import Key
from runs_core.world.invariants import breaches
from runs_core.world.world import World

ROOT = Path(__file__).resolve().parents[2]
SOON = {"leaseDuration": "2s", "renewDeadline": "1500ms", "retryPeriod": "300ms"}
"""So that the leader's replacement is not what a test waits for."""
MERGE = "application/merge-patch+json"
RUNS = "/apis/runs.dev/v1alpha1/namespaces/{}/runs"


class Launcher:
    """The process that schedulers are forked from. log: what they say."""

    def __init__(self, log: Path) -> None:
        self.log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.scheduler"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def ask(self, order: Mapping[str, Any]) -> Any:  # noqa: ANN401  # whatever it answers
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """All that it forked end with it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class Scheduler:
    """One process."""

    def __init__(self, launcher: Launcher, holder: str, **order: object) -> None:
        self._launcher = launcher
        self.holder = holder
        self.order = order
        self.since = launcher.log.stat().st_size  # others had its name before
        self.pid: int = launcher.ask(order)
        self.ended: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative: by that signal. None: it lives."""
        if self.ended is None:
            self.ended = self._launcher.ask({"ended": self.pid})
        return self.ended

    def signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def stop(self) -> None:
        """In good order, so that the next one leads at once."""
        self.signal(signal.SIGTERM)
        until(lambda: self.poll() is not None, 30, f"process {self.pid} does not stop")

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        until(lambda: self.poll() is not None, 10, f"process {self.pid} outlives SIGKILL")


@attrs.frozen(kw_only=True)
class Verdict:
    """What is wrong. world: invariants, of a fresh world. Else as in `Breaches`; late, leases and pods counted."""

    world: Sequence[str]
    double: Sequence[str]
    lost: Sequence[str]
    unheld: Sequence[str]
    promises: Sequence[str]
    late: int
    leases: int
    pods: int

    def wrong(self) -> list[str]:
        return [*self.world, *self.double, *self.lost, *self.unheld, *self.promises]


class Stage:
    """settings: of the schedulers. restarts: those that gave up and were started again.

    pace: since when their clocks run so many times as fast.
    """

    def __init__(self, plane: Plane, launcher: Launcher, folder: Path, namespace: str) -> None:
        self.plane = plane
        self.namespace = namespace
        self.restarts = 0
        self.settings: dict[str, object] = {"election": SOON}
        self.pace: tuple[str, float] | None = None
        self.schedulers: list[Scheduler] = []
        self.proxies: list[Proxy] = []
        self._launcher = launcher
        self._folder = folder
        self.proxy = self.another_proxy()
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        plane.admin.call("POST", "/api/v1/namespaces", body)
        account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        # controllers that have lost their API server ask again after longer and longer pauses
        until(lambda: self._there(account), 120, f"namespace {namespace} has no service account")
        until(lambda: len(_ready(plane.admin)) == len(self.items("Node")), 30, "not all nodes are Ready")
        self.revision = plane.etcd.revision()

    # -- schedulers ---------------------------------------------------------------------------------------------------

    def another_proxy(self) -> Proxy:
        made = Proxy(self.plane.server, self.plane.ca, self.plane.token)
        self.proxies.append(made)
        return made

    def scheduler(
        self, holder: str = "a", *more: str, skew: float = 0, variant: str = "", proxy: Proxy | None = None
    ) -> Scheduler:
        """A process that stands for election at once. more: options of `runs serve`."""
        url = (proxy or self.proxy).url
        cluster = {"name": "faults", "cluster": {"server": url}}
        context = {"name": "faults", "context": {"cluster": "faults", "user": "faults"}}
        users = [{"name": "faults", "user": {}}]
        config = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context], "users": users}
        path = self._folder / f"{holder}-{len(self.schedulers)}.kubeconfig"
        path.write_text(json.dumps({**config, "current-context": "faults"}))
        settings = self._folder / "settings.yaml"
        settings.write_text(json.dumps(self.settings))
        said = ["--kubeconfig", str(path), "--config", str(settings), "serve", "--http-address", "none"]
        words = [*said, "--identity", holder, "--log-format", "json", *more]
        made = Scheduler(self._launcher, holder, words=words, skew=skew, variant=variant, pace=self.pace)
        self.schedulers.append(made)
        return made

    def tend(self) -> None:
        """Start again whoever gave up, as a Deployment would."""
        last = self.schedulers[-1]
        code = last.poll()
        if code is not None and code > 0:
            self.restarts += 1
            self.schedulers.append(Scheduler(self._launcher, last.holder, **last.order))

    def said(self, scheduler: Scheduler, what: str, *, times: int = 1) -> None:
        """Wait until it has logged that so often."""
        failing = f"{scheduler.holder} does not say {what!r} {times} times"
        until(lambda: self.heard(scheduler, what) >= times, 40, failing)

    def heard(self, scheduler: Scheduler, what: str) -> int:
        """How often it has logged that."""
        word, me = json.dumps(what)[:-1], f"{scheduler.holder}_"
        lines = self._launcher.log.read_bytes()[scheduler.since :].decode().splitlines()
        return sum(word in line and me in line for line in lines)

    def reach_leader(self, holder: str) -> None:
        """Wait until that one leads."""
        self.said(next(one for one in self.schedulers if one.holder == holder), "leads")

    def kill_before(self, write: int, victim: Scheduler, *, landed: bool) -> list[Request]:
        """SIGKILL just before its n-th write from now on. landed: it arrives all the same. Returns what it was."""
        first = self.proxy.writes
        return self.kill_at(lambda request: request.number - first >= write, victim, landed=landed)

    def kill_at(self, wanted: Callable[[Request], bool], victim: Scheduler, *, landed: bool) -> list[Request]:
        """SIGKILL just before the first such write. landed: it arrives all the same. Returns what it was."""
        found: list[Request] = []

        def kill(request: Request) -> bool:
            if found:
                return False
            if not wanted(request):
                return True
            found.append(request)
            os.kill(victim.pid, signal.SIGKILL)
            return landed

        self.proxy.before_write = kill
        return found

    # -- what people do -----------------------------------------------------------------------------------------------

    def submit(self, name: str, gpus: int, seconds: float | None, *, namespace: str = "", **spec: object) -> None:
        """A gang of pods of 2 GPUs, in groups of 4, that runs so long; None: until somebody ends it."""
        path = RUNS.format(namespace or self.namespace)
        self.plane.admin.call("POST", path, self.body(name, gpus, seconds, **spec))

    @property
    def path(self) -> str:
        """Of its runs."""
        return RUNS.format(self.namespace)

    def body(self, name: str, gpus: int, seconds: float | None, **spec: object) -> Object:
        """As a person would write it."""
        annotations = {} if seconds is None else {"runs.dev/simulated-duration": f"{int(seconds * 1000)}ms"}
        template = {
            "metadata": {"annotations": annotations},
            "spec": {"containers": [{"name": "main", "image": "none"}], "terminationGracePeriodSeconds": 1},
        }
        resources = {"flavor": "H100-80GB", "gpus": gpus, "gpusPerPod": 2}
        wish = {"resources": resources, "topology": {"groupGPUs": 4}, "template": template, **spec}
        wish = {key: value for key, value in wish.items() if value is not None}
        return {"apiVersion": "runs.dev/v1alpha1", "kind": "Run", "metadata": {"name": name}, "spec": wish}

    def edit(self, name: str, **spec: object) -> None:
        """Whoever does it tries again until the server takes it."""
        path = f"{RUNS.format(self.namespace)}/{name}"
        self.plane.admin.call("PATCH", path, {"spec": spec}, content=MERGE)

    def taint(self, node: str, *, lost: bool) -> None:
        """Declare it out of service, or take that back."""
        word = "node.kubernetes.io/out-of-service"
        taints = [{"key": word, "value": "nodeshutdown", "effect": "NoExecute"}] if lost else None
        path = f"{paths.LISTS['Node']}/{node}"
        self.plane.admin.call("PATCH", path, {"spec": {"taints": taints}}, content=MERGE)

    # -- looking ------------------------------------------------------------------------------------------------------

    def items(self, kind: str) -> list[Object]:
        found: list[Object] = self.plane.admin.call("GET", paths.LISTS[kind])[1]["items"]
        return found

    def runs(self) -> dict[str, Object]:
        """The scenario's, by name."""
        _, answer = self.plane.admin.call("GET", RUNS.format(self.namespace))
        return {item["metadata"]["name"]: item for item in answer["items"]}

    def phase(self, name: str) -> str:
        """Empty: it is not there."""
        return str(self.runs().get(name, {}).get("status", {}).get("phase", ""))

    def await_(self, what: Callable[[], bool], failing: str, within: float = 30) -> float:
        """Wait until it is so, and look after the schedulers meanwhile."""

        def so() -> bool:
            self.tend()
            return what()

        try:
            return until(so, within, failing)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.state()}") from None

    def state(self) -> str:
        """Where the runs stand, and what the schedulers said last."""
        runs = json.dumps({name: run["status"] for name, run in self.runs().items()}, indent=1)
        return f"{runs}\n{self._launcher.log.read_text()[-3000:]}"

    def attempt(self, name: str) -> int:
        return int(self.runs()[name]["status"].get("attempt", 0))

    def living(self, name: str) -> list[Object]:
        """The pods of a run that have not ended and are not about to go."""
        _, answer = self.plane.admin.call("GET", f"/api/v1/namespaces/{self.namespace}/pods")
        mine = [item for item in answer["items"] if item["metadata"]["labels"].get("runs.dev/run") == name]
        there = [item for item in mine if "deletionTimestamp" not in item["metadata"]]
        return [item for item in there if item["status"].get("phase") in ("Pending", "Running")]

    def held(self, name: str) -> list[Object]:
        """The open leases of a run."""
        items = self.items("GPULease")
        mine = [item for item in items if item["metadata"]["namespace"] == self.namespace]
        mine = [item for item in mine if item["spec"]["runRef"]["name"] == name]
        return [item for item in mine if not item.get("status", {}).get("closed")]

    def reach(self, name: str, phase: str, within: float = 30) -> float:
        """Wait until the run is there."""
        return self.await_(lambda: self.phase(name) == phase, f"run {name} is not {phase}", within)

    def settle(self, expected: Mapping[str, str], within: float, *, each: Callable[[], None] | None = None) -> float:
        """Wait until these runs stand so, nothing is ending, and all invariants hold; how many seconds that took."""
        seen: list[object] = []

        def settled() -> bool:
            self.tend()
            if each is not None:
                each()
            try:
                seen[:] = self.unsettled(expected)
            except (Refused, Unavailable) as error:
                seen[:] = [error]
            return not seen

        try:
            return until(settled, within, "not settled")
        except AssertionError as error:
            raise AssertionError(f"{error}: {seen}\n{self.state()}") from None

    def unsettled(self, expected: Mapping[str, str]) -> list[object]:
        """What is not yet as it should be."""
        runs = self.runs()
        phases = {name: runs[name]["status"].get("phase") for name in expected if name in runs}
        if phases != dict(expected):
            return [phases]
        ending = [name for name in sorted(runs) if "ending" in runs[name]["status"]]
        return [*ending, *self.breaches()]

    def breaches(self) -> list[str]:
        """Of the invariants, in a world that is built from nothing but what the API server has now."""
        world = World()
        world.apply(TimePassed(datetime.now(UTC)))
        for kind in paths.LISTS:
            for item in self.items(kind):
                value = read(kind, item, FleetSettings(), ())
                change = as_change((kind, _key(item)), value)
                if change is not None:
                    world.apply(change)
        found = [f"invariant {breach.invariant}: {breach.what}" for breach in breaches(world, opened=())]
        holders = {lease.spec.run_ref.uid for lease in world.ledger.open.values()}
        known = {run.uid for run in world.runs()}
        return [*found, *(f"run {uid} is gone and holds a lease" for uid in sorted(holders - known))]

    def verdict(self) -> Verdict:
        """On all that happened since the scenario began."""
        past = Breaches(self.plane.etcd.since(self.revision))
        return Verdict(
            world=self.breaches(),
            double=past.double,
            lost=past.lost,
            unheld=past.unheld,
            promises=past.promises,
            late=len(past.late),
            leases=len(past.leases),
            pods=len(past.pods),
        )

    def close(self) -> None:
        """Nothing of it is left: what no scheduler ended goes by force."""
        for scheduler in self.schedulers:
            scheduler.signal(signal.SIGCONT)
            scheduler.signal(signal.SIGTERM)
        for scheduler in self.schedulers:
            with suppress(AssertionError):
                until(lambda scheduler=scheduler: scheduler.poll() is not None, 5, "")  # type: ignore[misc]  # bound now
            scheduler.kill()
        for proxy in self.proxies:
            proxy.close()
        self.plane.ready()
        self._delete(f"/api/v1/namespaces/{self.namespace}/pods", gracePeriodSeconds=0)
        leases = f"/apis/runs.dev/v1alpha1/namespaces/{self.namespace}/gpuleases"
        for collection in (self.path, leases):
            self._delete(collection)
            for item in self.plane.admin.call("GET", collection)[1]["items"]:
                self._let_go(f"{collection}/{item['metadata']['name']}")
        self._delete(f"/api/v1/namespaces/{self.namespace}")

    def _let_go(self, path: str) -> None:
        try:
            self.plane.scheduler.call("PATCH", path, {"metadata": {"finalizers": None}}, content=MERGE)
        except Refused as error:
            if error.status != 404:
                raise

    def _delete(self, path: str, **options: object) -> None:
        try:
            self.plane.admin.call("DELETE", path, {"propagationPolicy": "Background", **options}, seconds=60)
        except Refused as error:
            if error.status not in (404, 409):
                raise

    def _there(self, path: str) -> bool:
        try:
            self.plane.admin.call("GET", path)
        except Refused:
            return False
        return True


def _ready(api: Api) -> list[str]:
    found = []
    for item in api.call("GET", paths.LISTS["Node"])[1]["items"]:
        conditions = {one["type"]: one["status"] for one in item["status"].get("conditions", ())}
        if conditions.get("Ready") == "True" and not item["spec"].get("taints"):
            found.append(item["metadata"]["name"])
    return found


def _key(item: Object) -> Key:
    return Key(item["metadata"].get("namespace", ""), item["metadata"]["name"])

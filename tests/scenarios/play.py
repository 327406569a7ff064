"""The words in which scenarios are written, over any stage."""

from __future__ import annotations

import copy
import itertools
from typing import NamedTuple, Unpack

from tests.scenarios import manifests
from tests.scenarios.manifests import NAMESPACE, NodeWords
from tests.scenarios.stage import Object, Stage

from runs_core.values.quantity import parse_time

OUT_OF_SERVICE = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}


class Held(NamedTuple):
    """One lease: why and when it opened, why and when it closed. Seconds since the beginning; None: still open."""

    opened: str
    start: float
    closed: str | None
    end: float | None

    @property
    def length(self) -> float:
        """Seconds, of a lease that is closed."""
        assert self.end is not None
        return self.end - self.start


class Promised(NamedTuple):
    """A reservation: how far it is, the second at which its run is to start, and what that rests on."""

    phase: str
    start: float | None
    basis: str | None


class Play:
    """A run is named by its name, in the namespace `research`. Times are seconds since the scenario began."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.begin = stage.now
        self._declared: dict[tuple[str, str], Object] = {}

    # -- what happens -----------------------------------------------------------------------------------------------

    def wait(self, seconds: float = 0) -> None:
        self.stage.wait(seconds)

    def until(self, second: float) -> None:
        """Wait for that moment of the scenario."""
        self.stage.wait(second - self.now)

    def fleet(self, **gpus: int) -> None:
        """Nodes with so many GPUs; the first letter of a node's name is its domain."""
        for name, count in gpus.items():
            self.node(name, count)

    def node(self, name: str, gpus: object = 8, **said: Unpack[NodeWords]) -> None:
        self._apply(manifests.node(name, gpus, **said))

    def submit(self, name: str, **said: object) -> None:
        self._apply(manifests.run(name, **said))

    def budget(self, owner: str, *names: str, **labels: str) -> None:
        """Spent by these namespaces, and by those with the labels."""
        by_label = {"matchLabels": labels} if labels else {}
        self._apply(manifests.budget(owner, {"names": list(names), **by_label}))

    def namespace(self, name: str = NAMESPACE, **labels: str) -> None:
        self._apply(manifests.namespace(name, **labels))

    def volume(self, name: str, label: str, *values: str) -> None:
        self._apply(manifests.volume(name, label, *values))

    def claim(self, name: str, volume: str | None = None, storage_class: str = "") -> None:
        self._apply(manifests.claim(name, volume, storage_class))

    def storage_class(self, name: str, mode: str) -> None:
        self._apply(manifests.storage_class(name, mode))

    def foreign(self, name: str, node: str, gpus: int = 0, **requests: str) -> None:
        self._apply(manifests.foreign(name, node, gpus, **requests))

    def foreign_ends(self, name: str) -> None:
        self.stage.delete("Pod", "elsewhere", name)

    def edit(self, name: str, **spec: object) -> None:
        """These fields of the run's spec are now so."""
        self._change("Run", name, spec)

    def suspend(self, name: str) -> None:
        self.edit(name, suspend=True)

    def resume(self, name: str) -> None:
        self.edit(name, suspend=False)

    def cancel(self, name: str) -> None:
        self.edit(name, canceled=True)

    def delete(self, name: str) -> None:
        self.stage.delete("Run", NAMESPACE, name)

    def delete_budget(self, owner: str) -> None:
        self.stage.delete("Budget", "", owner)

    def lose(self, name: str) -> None:
        """The Node object is deleted, and its pods with it."""
        self.stage.delete("Node", "", name)

    def out_of_service(self, name: str) -> None:
        self._change("Node", name, {"taints": [OUT_OF_SERVICE]})

    def restore(self, name: str) -> None:
        self.stage.apply(self._declared["Node", name])

    def cordon(self, name: str) -> None:
        self._change("Node", name, {"unschedulable": True})

    def uncordon(self, name: str) -> None:
        self._change("Node", name, {"unschedulable": False})

    def evict(self, run: str, rank: int) -> None:
        """Somebody else deletes that rank's pod."""
        pod = next(pod for pod in self._pods(run) if _rank(pod) == rank)
        self.stage.delete("Pod", NAMESPACE, pod["metadata"]["name"])

    def _apply(self, body: Object) -> None:
        self._declared[body["kind"], body["metadata"]["name"]] = body
        self.stage.apply(body)

    def _change(self, kind: str, name: str, spec: Object) -> None:
        body = copy.deepcopy(self._declared[kind, name])
        body["spec"].update(spec)
        if kind == "Run":
            self._declared[kind, name] = body
        self.stage.apply(body)

    # -- what is to be seen -------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        return (self.stage.now - self.begin).total_seconds()

    def names(self) -> list[str]:
        """Runs that are there, sorted."""
        return sorted(run["metadata"]["name"] for run in self.stage.objects("Run"))

    def status(self, name: str) -> Object:
        runs = self.stage.objects("Run")
        found: Object = next(run["status"] for run in runs if run["metadata"]["name"] == name)
        return found

    def phase(self, name: str) -> str:
        return str(self.status(name)["phase"])

    def reason(self, name: str) -> str:
        return str(self.status(name)["reason"])

    def message(self, name: str) -> str:
        return str(self.status(name).get("message", ""))

    def at(self, name: str, moment: str) -> float | None:
        """admittedAt, queuedSince, startedAt or finishedAt."""
        return self._seconds(self.status(name).get(moment))

    def phases(self) -> dict[str, str]:
        """Of every run."""
        return {name: self.phase(name) for name in self.names()}

    def codes(self, name: str) -> list[str]:
        """All reasons of the last decision on the run."""
        return [str(reason["code"]) for reason in self._outcomes(name)[-1].get("reasons", ())]

    def decided(self, name: str) -> list[tuple[float | None, str]]:
        """When, and what: Held, Waits, Starts, Moves, Ends, Released or Removed."""
        return [
            (self._seconds(record["at"]), str(record["outcome"]["is"]))
            for record in self.stage.records()
            if record["run"] == f"{NAMESPACE}/{name}"
        ]

    def match(self, name: str) -> list[tuple[int, int]]:
        """Nodes (or domains, at last) and GPUs left after each step of the last match."""
        return [(step["nodes"], step["gpus"]) for step in self._outcomes(name)[-1]["match"]]

    def promised(self, name: str) -> Promised | None:
        """The last reservation of the run; None: it never had one."""
        found = [one for one in self.stage.objects("Reservation") if one["spec"]["runRef"]["name"] == name]
        if not found:
            return None
        status = max(found, key=lambda one: str(one["spec"]["at"]))["status"]
        return Promised(status["phase"], self._seconds(status.get("earliestStart")), status.get("basis"))

    def promises(self, name: str) -> list[tuple[float | None, str, int | None]]:
        """All that the run was promised: when it was to start, why not as before, and how far off that was."""
        found = [one for one in self.stage.objects("Reservation") if one["spec"]["runRef"]["name"] == name]
        return [
            (self._seconds(one["earliestStart"]), one.get("cause", ""), one.get("errorSeconds"))
            for reservation in sorted(found, key=lambda one: str(one["spec"]["at"]))
            for one in reservation["status"]["promises"]
        ]

    def reservation(self, name: str) -> Object:
        """The status of the run's only reservation."""
        (found,) = [one for one in self.stage.objects("Reservation") if one["spec"]["runRef"]["name"] == name]
        status: Object = found["status"]
        return status

    def remedies(self, name: str) -> list[tuple[float | None, str]]:
        """What would have started it when it was promised something last, and when."""
        found = self.reservation(name).get("remedies", [])
        return [(self._seconds(one["startsAt"]), str(one["change"])) for one in found]

    def places(self, name: str) -> dict[str, list[int]]:
        """Places that the run's open leases hold, by node."""
        found: dict[str, list[int]] = {}
        for lease in self._leases(name):
            if not lease["status"]["closed"]:
                for host, ordinals in lease["spec"]["slots"].items():
                    found[host] = sorted([*found.get(host, ()), *ordinals])
        return found

    def groups(self, name: str) -> list[dict[str, int]]:
        """GPUs by node of each open lease, by group."""
        leases = [lease["spec"] for lease in self._leases(name) if not lease["status"]["closed"]]
        return [{host: len(places) for host, places in spec["slots"].items()} for spec in leases]

    def selected(self, claim: str) -> str | None:
        """The node for which the claim's volume is to be made."""
        found = self.stage.objects("PersistentVolumeClaim")
        (meta,) = [one["metadata"] for one in found if one["metadata"]["name"] == claim]
        node = meta.get("annotations", {}).get("volume.kubernetes.io/selected-node")
        return None if node is None else str(node)

    def ranks(self, name: str) -> list[str]:
        """The node of each rank that has a pod, by rank."""
        return [str(pod["spec"]["nodeName"]) for pod in sorted(self._pods(name), key=_rank)]

    def pods(self, name: str) -> list[str]:
        """Names of the run's pods."""
        return sorted(pod["metadata"]["name"] for pod in self._pods(name))

    def ledger(self, name: str) -> list[Held]:
        """Every lease the run had, by attempt and group."""
        return [
            Held(
                lease["spec"]["reason"],
                self._seconds(lease["spec"]["start"]) or 0.0,
                lease["status"].get("closureReason"),
                self._seconds(lease["status"].get("end")),
            )
            for lease in self._leases(name)
        ]

    def owners(self, name: str) -> list[str | None]:
        """Whom each lease of the run names as its owner."""
        return [lease["spec"].get("owner") for lease in self._leases(name)]

    def held_gpus(self) -> int:
        """GPUs of all open leases."""
        leases = [lease["spec"] for lease in self.stage.objects("GPULease") if not lease["status"]["closed"]]
        return sum(len(places) for spec in leases for places in spec["slots"].values())

    def gpu_seconds(self, *reasons: str) -> float:
        """Of the leases that closed for these reasons; none given: for any."""
        closed = [lease for lease in self.stage.objects("GPULease") if lease["status"]["closed"]]
        return sum(
            _gpus(lease) * (_moment(lease["status"]["end"]) - _moment(lease["spec"]["start"]))
            for lease in closed
            if not reasons or lease["status"]["closureReason"] in reasons
        )

    def _leases(self, name: str) -> list[Object]:
        found = [lease for lease in self.stage.objects("GPULease") if lease["spec"]["runRef"]["name"] == name]
        return sorted(
            found, key=lambda lease: (lease["spec"]["start"], lease["spec"]["attempt"], lease["spec"]["group"])
        )

    def _pods(self, name: str) -> list[Object]:
        return [
            pod for pod in self.stage.objects("Pod") if pod["metadata"].get("labels", {}).get("runs.dev/run") == name
        ]

    def _outcomes(self, name: str) -> list[Object]:
        return [record["outcome"] for record in self.stage.records() if record["run"] == f"{NAMESPACE}/{name}"]

    def _seconds(self, moment: str | None) -> float | None:
        return None if moment is None else (parse_time(moment) - self.begin).total_seconds()


def _rank(pod: Object) -> int:
    return int(pod["metadata"]["labels"]["runs.dev/rank"])


def _moment(text: str) -> float:
    return parse_time(text).timestamp()


def _gpus(lease: Object) -> int:
    return len(list(itertools.chain.from_iterable(lease["spec"]["slots"].values())))

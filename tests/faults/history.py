"""All that ever was, straight from etcd: every version of every lease and pod, in the order in which they were written.

What a scheduler must never do is looked for at each moment, not only in the end, and no fault between us and the API
server can hide it. Needs an etcd that compacts nothing, and an API server that stores JSON.
"""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

Object = dict[str, Any]
LEASES, PODS, NODES = "/registry/runs.dev/gpuleases/", "/registry/pods/", "/registry/minions/"
PROMISES = "/registry/runs.dev/reservations/"
KEPT = (LEASES, PODS, NODES, PROMISES)
_END = "/faults/end"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


class Event(NamedTuple):
    """item None: deleted. revision: grows from write to write over all kinds."""

    revision: int
    key: str
    item: Object | None


class Etcd:
    """Its JSON gateway. url: of a client port."""

    def __init__(self, url: str) -> None:
        self._url = url

    def revision(self) -> int:
        """Of the last write."""
        return int(self._ask("kv/put", {"key": _coded(_END), "value": ""})["header"]["revision"])

    def since(self, revision: int) -> list[Event]:
        """Everything written after that revision."""
        last = self.revision()
        found: list[Event] = []
        wanted = {"key": _coded("/"), "range_end": _coded("0"), "start_revision": str(revision + 1)}
        request = _request(f"{self._url}/v3/watch", {"create_request": wanted})
        with urllib.request.urlopen(request, timeout=30) as answer:
            for line in answer:
                for told in json.loads(line)["result"].get("events", ()):
                    event = _event(told)
                    if event.revision >= last:
                        return found
                    if event.key.startswith(KEPT):
                        found.append(event)
        raise AssertionError(f"etcd ended its watch before revision {last}")

    def _ask(self, what: str, body: Object) -> Object:
        with urllib.request.urlopen(_request(f"{self._url}/v3/{what}", body), timeout=10) as answer:
            found: Object = json.load(answer)
            return found


def _request(url: str, body: Object) -> urllib.request.Request:
    return urllib.request.Request(url, data=json.dumps(body).encode(), method="POST")


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _event(told: Object) -> Event:
    kv = told["kv"]
    gone = told.get("type") == "DELETE"
    key = base64.b64decode(kv["key"]).decode()
    stored = key.startswith(KEPT) and not gone
    return Event(int(kv["mod_revision"]), key, json.loads(base64.b64decode(kv["value"])) if stored else None)


class Breaches:
    """What was written that must never be. double: places that two open leases held, and attempts that overlapped.

    lost: leases that changed once closed, or went while open. unheld: pods that lived without an open lease of theirs,
    and were not told to go. late: pods that began without one, and were. leases, pods: how many of ours there were.
    promises: two that stood for one run at once, and those that went while they stood, or changed once they were over.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self.double: list[str] = []
        self.lost: list[str] = []
        self.unheld: list[str] = []
        self.late: list[str] = []
        self.promises: list[str] = []
        self._bereft: dict[str, str] = {}
        self.leases: set[str] = set()
        self.pods: set[str] = set()
        self._open: dict[str, Object] = {}
        self._closed: dict[str, Object] = {}
        self._living: dict[str, Object] = {}
        self._nodes: dict[str, bool] = {}
        self._standing: dict[str, str] = {}
        self._kept: dict[str, Object] = {}
        for event in events:
            if event.key.startswith(LEASES):
                self._lease(event)
            elif event.key.startswith(PODS):
                self._pod(event)
            elif event.key.startswith(PROMISES):
                self._promise(event)
            else:
                self._node(event)
        self.unheld += self._bereft.values()

    def all(self) -> list[str]:
        return [*self.double, *self.lost, *self.unheld, *self.promises]

    def _lease(self, event: Event) -> None:
        name, item = event.key.removeprefix(LEASES), event.item
        if item is None:
            if self._open.pop(name, None) is not None:
                self.lost.append(f"{event.revision}: lease {name} went while it was open")
            self._closed.pop(name, None)
            return
        status = item.get("status") or {}
        before = self._closed.get(name)
        if before is not None and (before["spec"], before["status"]) != (item["spec"], status):
            self.lost.append(f"{event.revision}: lease {name} changed after it was closed")
        elif status.get("closed") and name in self._open:
            self._close(event.revision, name, item)
        elif before is None and name not in self._open:
            self._opened(event.revision, name, item)
        elif before is None and self._open[name]["spec"] != item["spec"]:
            self.lost.append(f"{event.revision}: lease {name} changed while it was open")

    def _opened(self, revision: int, name: str, item: Object) -> None:
        self.leases.add(name)
        slots = set(_slots(item))
        for other, held in self._open.items():
            shared = slots & set(_slots(held))
            if shared:
                self.double.append(f"{revision}: {name} opened on {sorted(shared)} of {other}")
            elif _run(name, held) == _run(name, item) and held["spec"]["attempt"] != item["spec"]["attempt"]:
                self.double.append(f"{revision}: {name} opened beside {other} of another attempt")
        self._open[name] = item

    def _close(self, revision: int, name: str, item: Object) -> None:
        del self._open[name]
        self._closed[name] = item
        for pod, body in sorted(self._living.items()):
            if _holds(name, item, pod, body) and not self._nodes.get(body["spec"].get("nodeName", "")):
                self.unheld.append(f"{revision}: {name} closed while pod {pod} lived")

    def _pod(self, event: Event) -> None:
        name, item = event.key.removeprefix(PODS), event.item
        labels = {} if item is None else item["metadata"].get("labels") or {}
        ended = item is None or (item.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        told = self._bereft.get(name)
        if told is not None and (item is None or "deletionTimestamp" in item["metadata"]):
            self.late.append(self._bereft.pop(name))
        if item is None or ended or "runs.dev/rank" not in labels:
            self._living.pop(name, None)
            return
        if name not in self._living and not any(_holds(n, held, name, item) for n, held in self._open.items()):
            self._bereft[name] = f"{event.revision}: pod {name} lives without a lease"
        self.pods.add(name)
        self._living[name] = item

    def _promise(self, event: Event) -> None:
        name, item = event.key.removeprefix(PROMISES), event.item
        over = self._kept.get(name)
        if item is None:
            if self._standing.pop(name, None) is not None:
                self.promises.append(f"{event.revision}: promise {name} went while it stood")
            self._kept.pop(name, None)
        elif over is not None and (over["spec"], over["status"]) != (item["spec"], item["status"]):
            self.promises.append(f"{event.revision}: promise {name} changed after it was over")
        elif (item.get("status") or {}).get("phase") in ("Released", "Canceled"):
            self._standing.pop(name, None)
            self._kept[name] = item
        else:
            run = item["spec"]["runRef"]["uid"]
            also = [other for other, whose in self._standing.items() if whose == run and other != name]
            self.promises += [f"{event.revision}: promise {name} stands beside {other}" for other in also]
            self._standing[name] = run

    def _node(self, event: Event) -> None:
        """True: lost, so that nothing on it counts any more."""
        name, item = event.key.removeprefix(NODES), event.item
        taints = () if item is None else item.get("spec", {}).get("taints") or ()
        self._nodes[name] = item is None or any(taint["key"] == OUT_OF_SERVICE for taint in taints)


def _slots(lease: Object) -> Iterator[tuple[str, int]]:
    for node, ordinals in lease["spec"]["slots"].items():
        yield from ((node, ordinal) for ordinal in ordinals)


def _run(name: str, lease: Object) -> tuple[str, str]:
    return name.split("/", 1)[0], lease["spec"]["runRef"]["uid"]


def _holds(lease: str, item: Object, pod: str, body: Object) -> bool:
    """Whether it is the lease of this pod's rank."""
    spec, labels = item["spec"], body["metadata"]["labels"]
    return (
        lease.split("/", 1)[0] == pod.split("/", 1)[0]
        and spec["runRef"]["uid"] == labels["runs.dev/run-uid"]
        and spec["attempt"] == int(labels["runs.dev/attempt"])
        and int(labels["runs.dev/rank"]) in spec["ranks"]
    )

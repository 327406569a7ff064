"""The kubelets of a stage with a real API server: the simulated one, whose deeds are written there.

The API server stamps what it keeps with its own clock. What a kubelet goes by, when a pod was made and when it was
asked to go, is kept here instead, in the scenario's time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs
from tests.scenarios.echoes import Name, NotedApi
from tests.scenarios.plane import MERGE
from tests.scenarios.stage import Object

from runs_core.cluster.kube import paths
from runs_core.cluster.kubelet import Kubelet
from runs_core.schema.pods import pod_from_object
from runs_core.settings import Settings
from runs_core.values.change import PodGone, PodSeen
from runs_core.values.meta import Key
from runs_core.values.node import OUT_OF_SERVICE
from runs_core.values.pod import Pod
from runs_core.values.quantity import format_time


class Kubelets:
    """Those of all nodes. One on a node that is lost says nothing any more."""

    def __init__(self, api: NotedApi, settings: Settings) -> None:
        self._api = api
        self._settings = settings
        self._answering: set[str] = set()
        self._kubelet = Kubelet(settings.local, lambda node: node in self._answering)
        self._pods: dict[Key, Pod] = {}
        self._versions: dict[Key, str] = {}

    def node(self, body: Object) -> None:
        """The node is there, or is now so."""
        name = body["metadata"]["name"]
        lost = any(taint["key"] == OUT_OF_SERVICE for taint in body["spec"]["taints"])
        answered = name in self._answering
        (self._answering.discard if lost else self._answering.add)(name)
        if not lost and not answered:
            self._kubelet.replan(name)

    def lose(self, node: str) -> None:
        """The node goes, and its pods go with it."""
        self._answering.discard(node)
        for key in [key for key, pod in sorted(self._pods.items()) if pod.node == node]:
            self._take_away(key)

    def next_moment(self) -> datetime | None:
        """When the next pod changes by itself."""
        return self._kubelet.next_moment()

    def look(self, items: Mapping[Name, Object], now: datetime) -> None:
        """Take up what others did to pods."""
        pods = {key: item for (kind, key), item in items.items() if kind == "Pod"}
        for key in sorted(self._pods.keys() - pods.keys()):
            self._forget(key)
        for key, item in sorted(pods.items()):
            if self._versions.get(key) != item["metadata"]["resourceVersion"]:
                self._versions[key] = item["metadata"]["resourceVersion"]
                self._pods[key] = self._in_time(pod_from_object(item, self._settings.fleet), now)
                self._kubelet.seen(self._pods[key])

    def _in_time(self, pod: Pod, now: datetime) -> Pod:
        """The pod, with the scenario's times in place of the server's."""
        before = self._pods.get(pod.key)
        known = (
            before if before is not None and before.uid == pod.uid else attrs.evolve(pod, created=now, deleting=None)
        )
        asked = None if pod.deleting is None else now
        return attrs.evolve(pod, created=known.created, deleting=known.deleting or asked)

    def play(self, now: datetime) -> None:
        """What happens to pods by themselves until now."""
        for played in self._kubelet.play(now):
            match played:
                case PodSeen(pod):
                    self._report(pod)
                case PodGone(key):
                    self._take_away(key)

    def _report(self, pod: Pod) -> None:
        self._pods[pod.key] = pod
        started = {} if pod.started is None else {"startTime": format_time(pod.started)}
        message = {"message": pod.message} if pod.message else {}
        status = {"phase": pod.phase.value, **started, **message}
        self._api.call("PATCH", f"{paths.one('Pod', pod.key)}/status", {"status": status}, content=MERGE)

    def _take_away(self, key: Key) -> None:
        self._api.call("DELETE", paths.one("Pod", key), {"gracePeriodSeconds": 0})
        self._forget(key)

    def _forget(self, key: Key) -> None:
        self._kubelet.gone(key)
        self._pods.pop(key, None)
        self._versions.pop(key, None)

"""A real API server that a scenario has to itself, with the scheduler's account and exactly its rights."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

import yaml
from tests.kube.conftest import Plane
from tests.scenarios.echoes import NotedApi
from tests.scenarios.stage import Object

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Refused
from runs_core.schema.crd import crds
from runs_core.schema.names import API_VERSION
from runs_core.serve.manifests.installation import NAME, Installation
from runs_core.serve.manifests.installation import NAMESPACE as HOME
from runs_core.serve.manifests.rbac import rbac
from runs_core.values.meta import Key
from runs_core.values.section import Section

SPACES = ("research", "elsewhere")
MERGE = "application/merge-patch+json"
NOT_FOUND = 404
SERVED_SECONDS = 20.0


class EmptyPlane:
    """people: everybody but the scheduler, as administrator. scheduler: with its rights and no others.

    sections: what plugins add to the CRDs.

    ends: called before the next scenario begins.
    """

    def __init__(self, plane: Plane, sections: Sequence[Section] = ()) -> None:
        self._plane = plane
        _kubectl(plane, "apply", [*crds(sections), *rbac(Installation())])
        names = [f"crd/{one['metadata']['name']}" for one in crds()]
        done = plane.kubectl("wait", "--for=condition=Established", "--timeout=20s", *names)
        assert done.returncode == 0, done.stderr
        _kubectl(plane, "apply", [part for name in SPACES for part in _space(name)])
        self.people = NotedApi.connect(str(plane.kubeconfig))
        self.scheduler = NotedApi.connect(self._account())
        self.ends: list[Callable[[], object]] = []
        self._cleared = 0
        for kind in paths.LISTS:
            self._served(kind)

    def _account(self) -> str:
        """A kubeconfig of the scheduler's service account."""
        token = self._plane.kubectl("create", "token", NAME, "-n", HOME, "--duration", "1h").stdout.strip()
        assert token
        config = yaml.safe_load(self._plane.kubeconfig.read_text())
        config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
        path = self._plane.dir / "scheduler.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return str(path)

    def _served(self, kind: str) -> None:
        """A new kind is established a moment before its objects can be listed."""
        end = time.monotonic() + SERVED_SECONDS
        while True:
            try:
                self.people.call("GET", paths.LISTS[kind])
            except Refused as error:
                if not error.passing or time.monotonic() > end:
                    raise
            else:
                return

    def clear(self) -> None:
        """Nothing is left of the scenario before; every watch hears of it, so that those that were stopped end."""
        self.end()
        self.people.echoes = self.scheduler.echoes = None
        self._cleared += 1
        self._poke()
        for kind in ("Run", "GPULease", "PersistentVolumeClaim", "PersistentVolume"):
            for item in self._all(kind):
                if item["metadata"].get("finalizers"):
                    self.people.call("PATCH", self._path(kind, item), {"metadata": {"finalizers": None}}, content=MERGE)
        for kind in ("Run", "GPULease", "Reservation", "Pod", "Service", "PersistentVolumeClaim"):
            for space in SPACES:
                self._delete(paths.collection(kind, space), gracePeriodSeconds=0, propagationPolicy="Background")
        for kind in ("Node", "Budget", "Resolution", "PersistentVolume", "StorageClass"):
            self._delete(paths.collection(kind))
        self._delete(paths.one("ConfigMap", Key(HOME, "runs-journal")))

    def end(self) -> None:
        """The last scenario's schedulers stop."""
        while self.ends:
            self.ends.pop()()

    def _poke(self) -> None:
        for name in SPACES:
            metadata = {"name": name, "annotations": {"example.com/cleared": str(self._cleared)}}
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
            self.people.replace(paths.one("Namespace", Key("", name)), body)
        spec = {"owner": "nobody", "namespaces": {"names": ["nowhere"]}}
        body = {"apiVersion": API_VERSION, "kind": "Budget", "metadata": {"name": "nobody"}, "spec": spec}
        self.people.replace(paths.one("Budget", Key("", "nobody")), body)

    def _all(self, kind: str) -> Sequence[Object]:
        items: Sequence[Object] = self.people.call("GET", paths.LISTS[kind])[1]["items"]
        return items

    def _path(self, kind: str, item: Object) -> str:
        return paths.one(kind, Key(item["metadata"].get("namespace", ""), item["metadata"]["name"]))

    def _delete(self, path: str, **options: object) -> None:
        try:
            self.people.call("DELETE", path, options)
        except Refused as error:
            if error.status != NOT_FOUND:
                raise


def _space(name: str) -> list[Object]:
    """A namespace in which pods can be made: somebody has to make its service account, where no controllers run."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {}}}, account]


def _kubectl(plane: Plane, verb: str, objects: Sequence[Object]) -> None:
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    done = plane.kubectl(verb, "--server-side", "--force-conflicts", "-f", "-", stdin=listed)
    assert done.returncode == 0, done.stderr

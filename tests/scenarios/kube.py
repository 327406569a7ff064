"""A real API server as a stage: the loop in the test's process under a virtual clock, the kubelets' part scripted."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from tests.scenarios.attached import attached
from tests.scenarios.echoes import Echoes, HeardInbox, NotedApi
from tests.scenarios.kubelets import Kubelets
from tests.scenarios.plane import EmptyPlane
from tests.scenarios.stage import NONE, Object

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.cluster import KubeCluster
from runs_core.cluster.kube.reading import Seen
from runs_core.cluster.kube.reflect import Reflector
from runs_core.hooks.registry import of
from runs_core.schema.convert import from_object, to_object
from runs_core.schema.record import record_to_object
from runs_core.serve.manifests.installation import NAMESPACE as HOME
from runs_core.settings import Settings
from runs_core.testing.builders import A_MONDAY
from runs_core.values.change import Change
from runs_core.values.effect import CloseLease, Effect, OpenLease
from runs_core.values.meta import Key
from runs_core.values.record import Record
from runs_core.world.invariants import Witness, breaches

IMAGE = "registry.invalid/work:1"
FIRST_LISTS_SECONDS = WRITES_SECONDS = 20.0
MOST_ROUNDS = 100


class HeardCluster(KubeCluster):
    """written: what the last cycle wrote. echoes: which writes have come back."""

    written: Sequence[Effect] = ()

    def __init__(self, api: NotedApi, settings: Settings, stage: KubeStage) -> None:
        self.echoes = Echoes()
        super().__init__(
            api,
            settings,
            namespace=HOME,
            told=stage.told,
            sections=stage.sections,
            clock=lambda: stage.now,
            inbox=HeardInbox(self.echoes),
        )
        self.reflectors = [
            Reflector(api, kind, path, self.inbox, partial(self._listed, kind)) for kind, path in paths.LISTS.items()
        ]

    def _listed(self, kind: str, item: Object) -> Seen:
        self.echoes.listed(kind, item)
        return self._reader.seen(kind, item)

    def observe(self) -> tuple[datetime, Sequence[Change]]:
        self.written = ()
        return super().observe()

    def commit(self, effects: Sequence[Effect], records: Sequence[Record]) -> None:
        super().commit(effects, records)
        self.written = effects


class KubeStage:
    """The invariants are checked after every cycle. plugins: by name. scheduler: which one decides.

    What the API server cannot be told in the words of a scenario is added: an image to every container, a template to
    a run without one, limits to requested GPUs.
    """

    def __init__(
        self,
        plane: EmptyPlane,
        settings: Settings,
        plugins: Mapping[str, object] = NONE,
        *,
        scheduler: type[HeardCluster] | None = None,
    ) -> None:
        plane.clear()
        self._plugins = plugins
        self.sections = of(**plugins).sections
        self._scheduler = scheduler or HeardCluster
        self._plane = plane
        self._settings = settings
        self._now = A_MONDAY
        self._records: list[Object] = []
        self._witness = Witness()
        self._kubelets = Kubelets(plane.people, settings)
        self._found: dict[str, Sequence[Object]] = {}
        self._cluster = self._lead()

    def _lead(self) -> HeardCluster:
        """A scheduler begins that knows nothing but what the API server has."""
        cluster = self._scheduler(self._plane.scheduler, self._settings, self)
        self._plane.scheduler.echoes = self._plane.people.echoes = cluster.echoes
        self._plane.ends.append(lambda: cluster.stop(WRITES_SECONDS))
        cluster.start()
        missing = cluster.missing(FIRST_LISTS_SECONDS)
        assert not missing, missing
        cluster.lead("stage")
        self._loop = attached(cluster, self._settings, self._plugins)
        self._loop.check = self._check
        return cluster

    @property
    def now(self) -> datetime:
        return self._now

    def told(self, records: Sequence[Record]) -> None:
        self._records += [record_to_object(record) for record in records]

    # -- what people do ---------------------------------------------------------------------------------------------

    def apply(self, body: Object) -> None:
        self._found.clear()
        kind, meta = body["kind"], body["metadata"]
        path = paths.one(kind, Key(meta.get("namespace", ""), meta["name"]))
        match kind:
            case "Node":
                self._node(path, body)
            case "Run":
                self._plane.people.replace(path, _with_template(body))
            case "Pod":
                self._plane.people.replace(path, _with_limits(body))
            case "PersistentVolumeClaim":
                self._plane.people.replace(path, {**body, "status": {}})
                self._plane.people.replace(f"{path}/status", body)
            case _:
                self._plane.people.replace(path, body)

    def _node(self, path: str, body: Object) -> None:
        """As its kubelet registers it and reports, and as its taints are set: the API server taints a new node."""
        wish = {**body, "spec": {**body["spec"]}}
        stored = self._plane.people.replace(path, wish)
        if stored["spec"].get("taints", []) != body["spec"]["taints"]:
            self._plane.people.replace(path, wish)
        self._plane.people.replace(f"{path}/status", {**wish, "status": body["status"]})
        self._kubelets.node(body)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        self._found.clear()
        if kind == "Node":
            self._kubelets.lose(name)
        self._plane.people.call("DELETE", paths.one(kind, Key(namespace, name)))

    # -- time -------------------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        self._found.clear()
        until = self._now + timedelta(seconds=seconds)
        self._settle()
        while (moment := self._next_moment()) is not None and moment <= until:
            self._now = max(moment, self._now)
            self._settle()
        self._now = until
        self._settle()

    def _next_moment(self) -> datetime | None:
        moments = [when for when in (self._loop.next_moment(), self._kubelets.next_moment()) if when is not None]
        return min(moments, default=None)

    def _settle(self) -> int:
        """Until nobody has anything to do, and everybody knows of all that was done; how many decisions that took."""
        made = 0
        for _ in range(MOST_ROUNDS):
            self._kubelets.play(self._now)
            self._cluster.echoes.wait()
            made += self._loop.settle()
            assert self._cluster.writer.drain(WRITES_SECONDS), "the writer has not come to an end"
            self._cluster.echoes.wait()
            self._kubelets.look(self._cluster.echoes.items, self._now)
            if not self._cluster.inbox.wait(0) and not self._due():
                return made
        raise AssertionError(f"not quiet after {MOST_ROUNDS} rounds, at {self._now}")

    def _due(self) -> bool:
        moment = self._kubelets.next_moment()
        return moment is not None and moment <= self._now

    # -- what is to be seen -----------------------------------------------------------------------------------------

    def objects(self, kind: str) -> Sequence[Object]:
        if kind not in self._found:
            self._found[kind] = self._find(kind)
        return self._found[kind]

    def _find(self, kind: str) -> Sequence[Object]:
        items: list[Object] = self._plane.people.call("GET", paths.LISTS[kind])[1]["items"]
        if kind in ("Pod", "PersistentVolumeClaim"):
            return items
        values = [from_object({**item, "kind": kind}, self.sections) for item in items]
        return [to_object(value, self.sections) for value in values]

    def records(self) -> Sequence[Object]:
        return self._records

    def succeed(self) -> None:
        """Another scheduler goes on."""
        assert self._cluster.stop(WRITES_SECONDS)
        self._cluster = self._lead()

    def close(self) -> None:
        """A new leader must find nothing to do."""
        self.succeed()
        decisions = self._settle()
        assert not decisions, f"after a restart {decisions} decisions were taken that were not due"

    def _check(self) -> None:
        opened: set[Key] = set()
        for effect in self._loop_cluster.written:
            if isinstance(effect, OpenLease | CloseLease):
                self._witness.see(effect.lease)
            if isinstance(effect, OpenLease):
                opened.add(effect.lease.key)
        world = self._loop.world
        found = [*breaches(world, opened), *self._witness.breaches(world)]
        assert not found, f"at {self.now}: {found}"

    @property
    def _loop_cluster(self) -> HeardCluster:
        cluster = self._loop.cluster
        assert isinstance(cluster, HeardCluster)
        return cluster


class RestartedKubeStage(KubeStage):
    """Each stretch of time has another leader, who knows nothing but what the API server has."""

    def wait(self, seconds: float) -> None:
        if not self._plugins:
            self.succeed()
        super().wait(seconds)
        if self._plugins:  # as on the embedded cluster
            self.succeed()
            known = len(self._records)
            assert not self._settle(), f"after a restart there was something to do: {self._records[known:]}"


def _with_template(body: Object) -> Object:
    """What a person has to say on a real cluster: what runs."""
    wish = copy.deepcopy(body)
    spec = wish["spec"].setdefault("template", {"spec": {"containers": [{"name": "main"}]}})["spec"]
    for container in spec["containers"]:
        container.setdefault("image", IMAGE)
    return wish


def _with_limits(body: Object) -> Object:
    """The API server takes no pod without an image, or with GPUs that are not limited to what is requested."""
    wish = copy.deepcopy(body)
    for container in wish["spec"]["containers"]:
        container["image"] = IMAGE
        asked = container["resources"]["requests"]
        container["resources"]["limits"] = {name: amount for name, amount in asked.items() if "/" in name}
    return wish

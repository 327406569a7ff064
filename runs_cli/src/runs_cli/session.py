"""One command's look at the cluster: opens it, drives the loop until nothing is left to do, reads and writes objects.

The only module here that knows which cluster there is.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs

from runs_cli.enabled import known_plugins, loaded_settings
from runs_cli.failures import Code, Stop, nearest
from runs_cli.options import DEFAULT_NAMESPACE, Asked
from runs_cli.words import key_of
from runs_core.cluster.local import LocalCluster, Objects, Store
from runs_core.decide.cycle import consider
from runs_core.errors import InvalidInput, Problem
from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.registry import Registry
from runs_core.schema.changes import changes_refused
from runs_core.schema.convert import Object, budget_from_object, lease_from_object, run_from_object
from runs_core.schema.nodes import node_to_object
from runs_core.serve import drive
from runs_core.serve.loop import Loop
from runs_core.serve.views.plan import Remedy
from runs_core.serve.views.remedies import remedies
from runs_core.settings import Settings
from runs_core.values.decision import Held, Starts, Waits
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.node import Node
from runs_core.values.quantity import format_time
from runs_core.values.run import Run, RunSpec
from runs_core.world.world import World

NO_CLUSTER = (
    "no live cluster is supported yet: name the state file of an embedded cluster with --local FILE or RUNS_LOCAL"
)
CLUSTER_SCOPED = ("Namespace", "Budget", "Node")
READY = [{"type": "Ready", "status": "True"}]


def names(asked: Asked, kind: str) -> list[tuple[str, str]]:
    """(namespace, name) of every object of a kind, as it stands; for completion, which must not drive anything."""
    store = Store.open(_path(asked))
    try:
        found = [body["metadata"] for body in store.find(kind)]
        return [(meta.get("namespace", ""), meta["name"]) for meta in found]
    finally:
        store.close()


def _path(asked: Asked) -> Path:
    if asked.local is None:
        raise Stop(NO_CLUSTER, Code.UNREACHABLE)
    return Path(asked.local)


# -- opening ----------------------------------------------------------------------------------------------------------


@contextmanager
def opened(asked: Asked) -> Iterator[Session]:
    """The cluster that was asked for, with everything done that there is to do at its present time."""
    store = Store.open(_path(asked))
    try:
        session = _session(asked, store)
        session.settle()
        yield session
    finally:
        store.close()


@contextmanager
def create(asked: Asked, start: datetime | None) -> Iterator[Session]:
    """A new embedded cluster, with its default namespace. start: where its clock starts; None: the present time."""
    now = start or datetime.now(UTC).replace(microsecond=0)
    path = _path(asked)
    if path.exists():
        raise Stop(f"{path} exists already: name another file, or remove it with its -wal and -shm beside it")
    store = Store.create(path, format_time(now))
    try:
        session = _session(asked, store)
        session.objects.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": DEFAULT_NAMESPACE}})
        session.settle()
        yield session
    finally:
        store.close()


def _session(asked: Asked, store: Store) -> Session:
    plugins = known_plugins(asked).sound()
    settings = loaded_settings(asked, plugins)
    advice = PluginAdvice(plugins, settings)
    cluster = LocalCluster(store, settings, plugins.sections)
    loop = Loop(cluster, settings, advice, told=advice.recorded)
    advice.attach(loop.world, loop.world)
    return Session(asked=asked, settings=settings, plugins=plugins, advice=advice, cluster=cluster, loop=loop)


@attrs.frozen(kw_only=True)
class Session:
    """What commands need of the cluster."""

    asked: Asked
    settings: Settings
    plugins: Registry
    advice: PluginAdvice
    cluster: LocalCluster
    loop: Loop
    objects: Objects = attrs.field(
        init=False, default=attrs.Factory(lambda self: Objects(self.cluster), takes_self=True)
    )

    @property
    def world(self) -> World:
        return self.loop.world

    @property
    def now(self) -> datetime:
        return self.world.now

    def settle(self) -> None:
        """Do all that there is to do at the present time."""
        self.loop.settle()

    def advance(self, length: timedelta, passed: Callable[[datetime], None]) -> None:
        """Move the virtual clock, stopping wherever something happens. passed: told where it is."""
        drive.advance(self.loop, self.cluster, self.cluster.now + length, passed)

    # -- reading ------------------------------------------------------------------------------------------------------

    def runs_in(self, namespace: str | None) -> list[Run]:
        """By key. None: every namespace."""
        return [run for run in self.world.runs() if namespace is None or run.key.namespace == namespace]

    def run_named(self, text: str) -> Run:
        """Stop names what is near to a name that is not there."""
        key = key_of(text, self.asked.home)
        run = self.world.run(key)
        if run is None:
            raise self._no_run(key)
        return run

    def runs_named(self, texts: Sequence[str]) -> list[Run]:
        """In the order given, each once."""
        return list({(run := self.run_named(text)).key: run for text in texts}.values())

    def _no_run(self, key: Key) -> Stop:
        here = [run.key.name for run in self.runs_in(key.namespace)]
        elsewhere = [str(run.key) for run in self.world.runs() if run.key.name == key.name]
        hint = nearest(key.name, here) or (f" (there is {', '.join(elsewhere)})" if elsewhere else "")
        return Stop(f"there is no run {key.name} in namespace {key.namespace}{hint}; `runs get -A` lists all")

    def node_named(self, name: str) -> str:
        """The name itself. Stop names what is near to a node that is not there."""
        if self.world.node(name) is None:
            known = [node.name for node in self.world.nodes()]
            raise Stop(f"there is no node {name}{nearest(name, known)}; `runs top` shows the fleet")
        return name

    def stored(self, kind: str, key: Key) -> Object:
        """The object as the cluster has it."""
        return self.objects.get(kind, key)

    def leases(self) -> list[Lease]:
        """Open and closed ones."""
        return [lease_from_object(body) for body in self.objects.find("GPULease")]

    def history(self, run: Run) -> list[Object]:
        """What was decided for runs of this name, oldest first."""
        return self.cluster.store.records(*run.key)

    # -- what if ------------------------------------------------------------------------------------------------------

    def consider(self, run: Run) -> Held | Waits | Starts:
        """What would be decided now for this run, which has not started."""
        outcome = consider(self.world, run, self.advice)
        if not isinstance(outcome, Held | Waits | Starts):
            raise TypeError(f"a run that has not started is to {type(outcome).__name__}")
        return outcome

    def remedies(self, run: Run) -> tuple[Remedy, ...]:
        """Changes after which it would start now."""

        def tried(spec: RunSpec) -> object:
            return consider(self.world, attrs.evolve(run, spec=spec), self.advice)

        program = "runs" if self.asked.local is None else f"runs --local {shlex.quote(self.asked.local)}"
        return remedies(run, tuple(self.world.flavors()), self.now, tried, program)

    def said_by_plugins(self, run: Run) -> Sequence[tuple[str, str]]:
        """(plugin, line)."""
        return self.advice.explained(run, self.world, self.now)

    # -- writing ------------------------------------------------------------------------------------------------------

    def submit(self, body: Object) -> str:
        """Create or update a run; `created`, `configured` or `unchanged`."""
        return self.objects.apply(body, self._allowed)[1]

    def _allowed(self, old: Object, new: Object) -> None:
        """InvalidInput: the one must not follow the other."""
        sections = self.plugins.sections
        match old["kind"]:
            case "Run":
                refused = changes_refused(run_from_object(old, sections), run_from_object(new, sections))
            case "Budget":
                refused = changes_refused(budget_from_object(old, sections), budget_from_object(new, sections))
            case _:
                return
        if refused:
            raise InvalidInput(
                [Problem(f"{old['kind'].lower()} {_name(old)} {one.where}", one.what) for one in refused]
            )

    def declare(self, bodies: Sequence[Object]) -> list[tuple[str, str, str]]:
        """Create or update objects; (kind, name, what was done) of each."""
        done = []
        for body in bodies:
            word = self.objects.apply(_with_state(body), self._allowed)[1]
            done.append((body["kind"], body["metadata"]["name"], word))
        return done

    def declare_nodes(self, nodes: Sequence[Node]) -> None:
        """Put these nodes into the fleet."""
        self.declare([node_to_object(node, self.settings.fleet) for node in nodes])

    def delete(self, kind: str, name: str) -> None:
        """Stop names what is near to a name that is not there."""
        if kind == "Run":
            self.objects.delete(kind, self.run_named(name).key)
            return
        known = [body["metadata"]["name"] for body in self.objects.find(kind)]
        if name not in known:
            raise Stop(f"there is no {kind.lower()} {name}{nearest(name, known)}")
        self.objects.delete(kind, Key("", name))


def key_in(body: Object) -> Key:
    """Who an object of a manifest is."""
    return Key(body["metadata"].get("namespace", ""), body["metadata"]["name"])


def _with_state(body: Object) -> Object:
    """A node that says nothing of its state is ready: there is no kubelet here that would report it."""
    state = body.get("status") or {}
    if body["kind"] != "Node" or "conditions" in state:
        return body
    return {**body, "status": {**state, "conditions": READY}}


def _name(body: Object) -> str:
    key = key_in(body)
    return str(key) if key.namespace else key.name

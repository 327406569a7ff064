"""The embedded cluster: each command drives the loop itself until nothing is left to do."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs

from runs_cli.enabled import known_plugins, loaded_settings
from runs_cli.failures import Code, Stop, nearest
from runs_cli.options import DEFAULT_NAMESPACE, Asked
from runs_cli.session.looking import Looking, answer_among, reserved
from runs_cli.session.port import History, key_in
from runs_core.cluster.local import LocalCluster, Objects, Store, usable
from runs_core.errors import InvalidInput, Problem
from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.registry import Registry
from runs_core.schema.changes import changes_refused
from runs_core.schema.convert import Object, budget_from_object, lease_from_object, run_from_object
from runs_core.schema.manifest import validate
from runs_core.schema.nodes import node_to_object
from runs_core.schema.requests import RESOLVE
from runs_core.serve import drive
from runs_core.serve.loop import Loop
from runs_core.settings import Settings
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.node import Node
from runs_core.values.nonces import played
from runs_core.values.quantity import format_time
from runs_core.values.reservation import Reservation
from runs_core.values.resolution import Resolution
from runs_core.values.run import Run
from runs_core.world.world import World

NO_FILE = "this is for the embedded cluster only: name its state file with --local FILE or RUNS_LOCAL"
READY = [{"type": "Ready", "status": "True"}]
NODE_PODS = 110
"""The kubelet's own default."""
STILL_SECONDS = 2.0
"""A clock that has not moved for so long is moved by nobody: `serve` moves it twice a second at least."""


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
        raise Stop(NO_FILE, Code.UNREACHABLE)
    return Path(asked.local)


@contextmanager
def opened(asked: Asked) -> Iterator[Local]:
    """The cluster of the state file, with everything done that there is to do at its present time."""
    path = _path(asked)
    store = Store.open(path)
    try:
        with usable(path):
            session = _session(asked, store, known_plugins(asked).sound())
            session.settle()
            yield session
    finally:
        store.close()


@contextmanager
def created(asked: Asked, start: datetime | None, seed: str | None = None) -> Iterator[Local]:
    """A new embedded cluster, with its default namespace. start: where its clock starts; None: the present time.

    seed: makes its draws repeatable; None: they are not.
    """
    now = start or datetime.now(UTC).replace(microsecond=0)
    path = _path(asked)
    if path.exists():
        raise Stop(f"{path} exists already: name another file, or remove it with its -wal and -shm beside it")
    plugins = known_plugins(asked).sound()
    loaded_settings(asked, plugins)  # refused before there is a file
    store = Store.create(path, format_time(now), played(seed) if seed is not None else None)
    try:
        session = _session(asked, store, plugins)
        session.objects.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": DEFAULT_NAMESPACE}})
        session.settle()
        yield session
    finally:
        store.close()


def _session(asked: Asked, store: Store, plugins: Registry) -> Local:
    settings = loaded_settings(asked, plugins)
    advice = PluginAdvice(plugins, settings)
    cluster = LocalCluster(store, settings, plugins.sections)
    loop = Loop(cluster, settings, advice, told=advice.recorded)
    advice.attach(loop.world, loop.world)
    return Local(asked=asked, settings=settings, plugins=plugins, advice=advice, cluster=cluster, loop=loop)


@attrs.define(kw_only=True)
class Local(Looking):
    """Implements Session."""

    asked: Asked
    settings: Settings
    plugins: Registry
    advice: PluginAdvice
    cluster: LocalCluster
    loop: Loop
    objects: Objects = attrs.field(
        init=False, default=attrs.Factory(lambda self: Objects(self.cluster), takes_self=True)
    )
    at_once: bool = attrs.field(init=False, default=True)
    _moved: tuple[datetime, float] | None = attrs.field(init=False, default=None)

    @property
    def world(self) -> World:
        return self.loop.world

    def settle(self) -> None:
        """Do all that there is to do at the present time."""
        self.loop.settle()

    def advance(self, length: timedelta, passed: Callable[[datetime], None]) -> None:
        """Move the virtual clock, stopping wherever something happens. passed: told where it is."""
        drive.advance(self.loop, self.cluster, self.cluster.now + length, passed)

    def follow(self, namespaces: Sequence[str] | None) -> None:
        """`settle` takes up everything anyway."""

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def stalled(self) -> str | None:
        now, clock = time.monotonic(), self.cluster.now
        if self._moved is None or self._moved[0] != clock:
            self._moved = (clock, now)
        if now - self._moved[1] <= STILL_SECONDS:
            return None
        how = f"`runs --local {self.asked.local} serve` or `cluster advance` moves it"
        return f"the cluster's clock stands still: {how}"

    # -- reading ------------------------------------------------------------------------------------------------------

    def no_namespace(self, name: str) -> str | None:
        if self.world.namespace(name) is not None:
            return None
        near = nearest(name, [space.name for space in self.world.namespaces()])
        return f"want a namespace that `cluster apply` declared{near}"

    def stored(self, kind: str, key: Key) -> Object:
        return self.objects.get(kind, key)

    def leases(self) -> list[Lease]:
        return [lease_from_object(body) for body in self.objects.find("GPULease")]

    def reservations(self, run: Run) -> list[Reservation]:
        return reserved(run, self.objects.find("Reservation"))

    def evidence(self, resolution: Resolution) -> str:
        return resolution.spec.evidence.data

    def first_commitment(self, home: str) -> str | None:
        return self.cluster.store.get_meta("first")

    def history(self, run: Run) -> History:
        store = self.cluster.store
        return History(title="History", records=store.records(*run.key), events=store.events("Run", *run.key))

    def logs(self, pod: Key, *, container: str | None, follow: bool) -> Iterator[bytes]:
        raise Stop(f"pod {pod} is simulated: nothing ran that could have written a log")

    # -- writing ------------------------------------------------------------------------------------------------------

    def submit(self, body: Object, *, dry_run: bool = False) -> tuple[Object, str]:
        if not dry_run:
            return self.objects.apply(body, self._allowed)
        old = next((one for one in self.objects.find("Run") if key_in(one) == key_in(body)), None)
        if old is None:
            return body, "created"
        self._allowed(old, {**body, "status": old.get("status")})
        return body, "unchanged" if old.get("spec") == body.get("spec") else "configured"

    def amend(self, run: Key, change: Mapping[str, object], version: str = "") -> None:
        def edit(body: Object) -> None:
            old = copy.deepcopy(body)
            _merge(body["spec"], change)
            known = validate(old, self.plugins.sections)
            if wrong := [problem for problem in validate(body, self.plugins.sections) if problem not in known]:
                raise InvalidInput(wrong)
            self._allowed(old, body)

        self.objects.edit("Run", run, edit, version=version or None)

    def ask(self, node: str, text: str | None) -> None:
        def edit(body: Object) -> None:
            _merge(body["metadata"], {"annotations": {RESOLVE: text}})

        self.objects.edit("Node", Key("", node), edit)
        self.settle()

    def answer_to(self, uid: str) -> Resolution | None:
        return answer_among(self.world.resolutions(), uid)

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


def _with_state(body: Object) -> Object:
    """A node says what a kubelet would report of itself, of which there is none: it is ready, and has room for pods."""
    if body["kind"] != "Node":
        return body
    state = {"conditions": READY, **(body.get("status") or {})}
    for amounts in ("allocatable", "capacity"):  # what may be used counts before what there is
        if state.get(amounts) and isinstance(state[amounts], dict):
            state[amounts] = {"pods": str(NODE_PODS), **state[amounts]}
            break
    return {**body, "status": state}


def _name(body: Object) -> str:
    key = key_in(body)
    return str(key) if key.namespace else key.name


def _merge(into: Object, change: Mapping[str, object]) -> None:
    """As RFC 7386 has it: a map changes a map, None takes away, all else replaces."""
    for name, value in change.items():
        if isinstance(value, Mapping):
            inside = into.get(name)
            into[name] = inside if isinstance(inside, dict) else {}
            _merge(into[name], value)
        elif value is None:
            into.pop(name, None)
        else:
            into[name] = value

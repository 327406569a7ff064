"""A live cluster, as the kube context means it: lists make a world, and what is written is only wished."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import attrs
import click

from runs_cli.enabled import known_plugins, loaded_settings
from runs_cli.failures import Code, Stop, nearest
from runs_cli.options import Asked
from runs_cli.session.looking import Looking, answer_among, reserved
from runs_cli.session.port import CUTS, History
from runs_cli.words import key_of
from runs_core.cluster.kube.api import Api, Refused
from runs_core.cluster.kube.client import Client
from runs_core.cluster.kube.cluster import wall_clock
from runs_core.cluster.kube.context import Context, current
from runs_core.cluster.kube.entry import FIRST
from runs_core.cluster.kube.evidence import joined
from runs_core.cluster.kube.follow import Following
from runs_core.cluster.kube.rights import JOURNAL
from runs_core.cluster.kube.snapshot import Looking as Lists
from runs_core.cluster.kube.snapshot import Snapshot, Unseen
from runs_core.cluster.kube.trouble import about_rights, lacks, unavailable
from runs_core.errors import InvalidInput, Problem, Unavailable
from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.registry import Registry
from runs_core.schema.convert import Object, lease_from_object, run_from_object
from runs_core.schema.requests import RESOLVE
from runs_core.serve.doctor.diagnose import diagnose
from runs_core.serve.doctor.evidence import gather
from runs_core.serve.doctor.finding import Diagnosis
from runs_core.serve.manifests.installation import Installation
from runs_core.settings import Settings
from runs_core.values.change import RunSeen, TimePassed
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.reservation import Reservation
from runs_core.values.resolution import Resolution
from runs_core.values.run import Run
from runs_core.world.world import World

CANNOT_DO_WITHOUT = ("Run", "Node")
"""Kinds without which an answer would be wrong, and not only less exact."""
HISTORY = "History, from the Events of the run (the cluster drops them after an hour, unless it is set otherwise)"
CONFLICT, UNPROCESSABLE, BAD_REQUEST = 409, 422, 400


@contextmanager
def opened(asked: Asked, kinds: Sequence[str], names: Sequence[str] = ()) -> Iterator[Live]:
    """The cluster of the context, with these kinds of it. Unavailable says why it cannot be had."""
    context, api = connected(asked)
    asked = attrs.evolve(asked, standing=context.namespace)
    session: Live | None = None
    try:
        session = _session(asked, api, context, kinds, names)
        yield session
    except Refused as refusal:
        raise unavailable(api, refusal, context.name) from refusal
    except Unavailable as error:
        raise _away(error) from error
    finally:
        if session is not None and session.following is not None:
            session.following.stop()


def _away(error: Unavailable) -> Unavailable:
    return Unavailable(f"{error}; see that it runs, or name another --context")


def connected(asked: Asked) -> tuple[Context, Api]:
    """The context that counts, and the API server behind it; nothing has been asked of it yet."""
    context = current(asked.kubeconfig, asked.context)
    with _heard() as complaints:
        api = Api.connect(asked.kubeconfig, asked.context)
    if complaints:
        raise Unavailable(f"the login command of context {context.name} failed: {'; '.join(complaints)}")
    return context, api


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What the client complains of, which it tells nobody but the log."""
    told: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    ear = Ear(logging.ERROR)
    logging.getLogger().addHandler(ear)
    try:
        yield told
    finally:
        logging.getLogger().removeHandler(ear)


def names(asked: Asked, kind: str) -> list[tuple[str, str]]:
    """For completion; those of the namespace only, where it is one kind that has some."""
    context, api = connected(asked)
    asked = attrs.evolve(asked, standing=context.namespace)
    namespace = "" if kind != "Run" or asked.all_namespaces else asked.home
    return [(key.namespace, key.name) for key in Client(api).names(kind, namespace)]


def diagnosed(asked: Asked, installation: Installation) -> Diagnosis:
    """Reads what its checks need by itself: a cluster with something wrong may have no world to show."""
    context, api = connected(asked)
    plugins = known_plugins(asked).sound()
    settings = loaded_settings(asked, plugins)
    try:
        return diagnose(gather(api, installation, settings, plugins.sections, plugins.permissions))
    except Refused as refusal:
        raise unavailable(api, refusal, context.name) from refusal
    except Unavailable as error:
        raise _away(error) from error


def _session(asked: Asked, api: Api, context: Context, kinds: Sequence[str], names: Sequence[str]) -> Live:
    plugins = known_plugins(asked).sound()
    settings = loaded_settings(asked, plugins)
    advice = PluginAdvice(plugins, settings)
    world = World(settings)
    world.plays_pods = False
    world.rank = lambda run: advice.rank(run, world)
    world.demand = lambda run: advice.demand(run, world)
    advice.attach(world, world)
    world.apply(TimePassed(wall_clock()))
    lists = Lists(api, settings, plugins.sections)
    about = {key_of(name, asked.home).namespace for name in names} or ({asked.scope} if asked.scope else set())
    home = sorted(about)
    everywhere = "Node" in kinds or not home
    seen = lists.look(kinds, None if everywhere else home, home or [asked.home])
    _tell_unseen(seen.unseen)
    for change in (*seen.changes(), *seen.refusals(world.now + settings.starts.backoff)):
        world.apply(change)
    return Live(
        asked=asked,
        settings=settings,
        plugins=plugins,
        advice=advice,
        seen_world=world,
        client=Client(api),
        context=context,
        lists=lists,
        seen=seen,
        kinds=frozenset(kinds),
    )


def _tell_unseen(unseen: Sequence[Unseen]) -> None:
    """What the answer leaves out is said beside it. Refused: nothing useful is left."""
    needed = next((lack for lack in unseen if lack.kind in CANNOT_DO_WITHOUT and not lack.namespaces), None)
    if needed is not None:
        raise needed.refusal
    for lack in unseen:
        only = f"only those of {', '.join(lack.namespaces)} count" if lack.namespaces else "none of them counts"
        click.echo(f"Note: {lacks(lack.refusal)}, so that {only} in this answer.", err=True)


@attrs.define(kw_only=True)
class Live(Looking):
    """Implements Session. kinds: what was listed; of the others each object is asked for when it is needed."""

    asked: Asked
    settings: Settings
    plugins: Registry
    advice: PluginAdvice
    seen_world: World
    client: Client
    context: Context
    lists: Lists
    seen: Snapshot
    kinds: frozenset[str]
    at_once: bool = attrs.field(init=False, default=False)
    following: Following | None = attrs.field(init=False, default=None)

    @property
    def world(self) -> World:
        return self.seen_world

    def settle(self) -> None:
        self.world.apply(TimePassed(wall_clock()))
        if self.following is not None:
            for change in self.following.changes():
                self.world.apply(change)

    def follow(self, namespaces: Sequence[str] | None) -> None:
        self.following = Following(self.client.api, self.lists, "Run", namespaces)
        self.following.ready()
        self.settle()

    def pause(self, seconds: float) -> None:
        if self.following is not None:
            self.following.wait(seconds)

    def stalled(self) -> str | None:
        return None

    # -- reading ------------------------------------------------------------------------------------------------------

    def find_run(self, key: Key) -> Run | None:
        known = self.world.run(key)
        if known is not None or ("Run" in self.kinds and not self._beyond(key)):
            return known
        body = self.client.get("Run", key)
        if body is None:
            return None
        run = run_from_object(body, self.plugins.sections)
        self.world.apply(RunSeen(run))
        return run

    def _beyond(self, key: Key) -> bool:
        """Whether the lists cannot know of it."""
        return any(lack.kind == "Run" and key.namespace not in lack.namespaces for lack in self.seen.unseen)

    def run_keys(self, near: Key) -> list[Key]:
        if "Run" in self.kinds:
            return super().run_keys(near)
        return self.client.names("Run", near.namespace)

    def flavors(self) -> list[str]:
        if "Node" not in self.kinds:
            nodes = self.lists.look(["Node"], None)
            _tell_unseen(nodes.unseen)
            for change in nodes.changes():
                self.world.apply(change)
            self.kinds |= {"Node"}
        return super().flavors()

    def no_namespace(self, name: str) -> str | None:
        try:
            if self.client.get("Namespace", Key("", name)) is not None:
                return None
            near = nearest(name, [key.name for key in self.client.names("Namespace")])
        except Refused as refusal:
            if about_rights(refusal):
                return None
            raise
        return f"want a namespace of the cluster{near}; `kubectl get namespaces` lists them"

    def stored(self, kind: str, key: Key) -> Object:
        body = self.seen.objects.get((kind, key)) or self.client.get(kind, key)
        if body is None:
            raise Stop(f"{kind.lower()} {key} is gone meanwhile")
        return {
            **body,
            "metadata": {name: value for name, value in body["metadata"].items() if name != "managedFields"},
        }

    def leases(self) -> list[Lease]:
        return [lease_from_object(body) for (kind, _), body in self.seen.objects.items() if kind == "GPULease"]

    def reservations(self, run: Run) -> list[Reservation]:
        return reserved(run, (body for (kind, _), body in self.seen.objects.items() if kind == "Reservation"))

    def evidence(self, resolution: Resolution) -> str:
        try:
            return joined(self.client.api, resolution)
        except Refused as refusal:
            raise Stop(f"a part of the evidence of {resolution.name} cannot be had: {refusal.message}") from refusal

    def first_commitment(self, home: str) -> str | None:
        """For who may read the journal."""
        try:
            found = self.client.get("ConfigMap", Key(home, JOURNAL))
        except Refused as refusal:
            if about_rights(refusal):
                return None
            raise
        return ((found or {}).get("data") or {}).get(FIRST)

    def history(self, run: Run) -> History:
        told = self.client.events("Run", run.key, run.uid)
        return History(title=HISTORY, records=[attrs.asdict(one) for one in told])

    def logs(self, pod: Key, *, container: str | None, follow: bool) -> Iterator[bytes]:
        try:
            yield from self.client.logs(pod, container=container, follow=follow)
        except Refused as refusal:
            if refusal.status == BAD_REQUEST:
                raise Stop(f"there are no logs yet, or not of that container: {refusal.message}") from refusal
            if refusal.status >= UNPROCESSABLE:
                raise Stop(
                    f"the kubelet of the pod's node gives no logs: {refusal.message}", Code.UNREACHABLE
                ) from refusal
            raise

    # -- writing ------------------------------------------------------------------------------------------------------

    def submit(self, body: Object, *, dry_run: bool = False) -> tuple[Object, str]:
        try:
            return self.client.apply(body, dry_run=dry_run)
        except Refused as refusal:
            raise _said_no(refusal, body["metadata"]) from refusal

    def amend(self, run: Key, change: Mapping[str, object], version: str = "") -> None:
        known = {"metadata": {"resourceVersion": version}} if version else {}
        try:
            body = self.client.patch("Run", run, {**known, "spec": change})
        except Refused as refusal:
            raise _said_no(refusal, {"namespace": run.namespace, "name": run.name}) from refusal
        self.world.apply(RunSeen(run_from_object(body, self.plugins.sections)))

    def ask(self, node: str, text: str | None) -> None:
        self.client.patch("Node", Key("", node), {"metadata": {"annotations": {RESOLVE: text}}})

    def answer_to(self, uid: str) -> Resolution | None:
        for change in self.lists.look(CUTS, None).changes():
            self.world.apply(change)
        return answer_among(self.world.resolutions(), uid)


def _said_no(refusal: Refused, metadata: Object) -> Exception:
    """An error about this one object; Refused: it is not about the object."""
    name = f"{metadata.get('namespace', '')}/{metadata['name']}"
    if refusal.status == CONFLICT and "conflict with" in refusal.message:
        return Stop(
            f"run {name}: {_owners(refusal.message)}; change it where it was written, for instance with kubectl apply"
        )
    if refusal.status == CONFLICT:
        return Stop(f"run {name} was changed or deleted at the same time; look at it again")
    told = "denied the request" in refusal.message or refusal.status in (BAD_REQUEST, UNPROCESSABLE)
    if told and not about_rights(refusal):
        return InvalidInput([Problem(f"run {name}", refusal.message)])
    if refusal.reason == "Forbidden" and not about_rights(refusal) and refusal.message:
        return Stop(f"run {name}: the cluster does not take it: {refusal.message}")
    return refusal


def _owners(message: str) -> str:
    """`Apply failed with 1 conflict: conflict with "x": .spec.y` in our words."""
    who = message.split('conflict with "', 1)[1].split('"', 1)[0]
    fields = sorted(word.rstrip(",") for word in message.replace("\n", " ").split() if word.startswith(".spec"))
    return f"{', '.join(fields) or 'a field'} belongs to {who}"

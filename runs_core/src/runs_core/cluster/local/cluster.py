"""The embedded cluster as the loop sees it: one transaction for each batch, refused if anybody wrote since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import assert_never
from uuid import NAMESPACE_OID, uuid5

from runs_core.cluster.archive import archive
from runs_core.cluster.kubelet import Kubelet
from runs_core.cluster.local.store import Object, Row, Store
from runs_core.cluster.seen import as_change, read
from runs_core.errors import Conflict, InvalidInput
from runs_core.schema import storage
from runs_core.schema.convert import from_object, to_object
from runs_core.schema.pods import pod_to_object
from runs_core.schema.record import record_to_object
from runs_core.settings import Settings
from runs_core.values import change as c
from runs_core.values import effect as e
from runs_core.values.effect import Effect
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.node import Node
from runs_core.values.nonces import Chain
from runs_core.values.quantity import format_time, parse_time
from runs_core.values.record import Record
from runs_core.values.reservation import Reservation
from runs_core.values.resolution import Resolution
from runs_core.values.section import Section
from runs_core.values.storage import SELECTED_NODE, VolumeClaim
from runs_core.world.ledger import entry, fold

ORDER = ("Namespace", "Budget", "Node", *storage.KINDS, "Run", "GPULease", "Reservation", "Resolution", "Pod")
SWEEP_EVERY = timedelta(hours=1)
GONE_KEPT = 10_000
"""Revisions for which what is gone is remembered; who looked longer ago reads everything anew."""


class LocalCluster:
    """Implements Cluster on one file. Any number of processes may have it open.

    A stored object that cannot be read is passed over, and a run said to be such; the rest of the cluster goes on.
    """

    plays_pods = True
    outlives = True

    def __init__(self, store: Store, settings: Settings, sections: Sequence[Section] = ()) -> None:
        self.store = store
        self._settings = settings
        self._sections = sections
        self._seen = -1
        self._nodes: dict[str, bool] = {}
        self._unread: set[Key] = set()
        self._known: set[tuple[str, str, str]] = set()
        self.kubelet = Kubelet(settings.local, lambda node: self._nodes.get(node, False))

    # -- the port ---------------------------------------------------------------------------------------------------

    def observe(self) -> tuple[datetime, Sequence[c.Change]]:
        """All that others wrote, and what the simulated kubelet did up to now, which is written here."""
        with self.store.reading():
            now = self.now
            changes = self._read()
        moment = self.kubelet.next_moment()
        if moment is None or moment > now:
            return now, changes
        with self.store.writing():
            changes += self._read()
            for played in self.kubelet.play(now):
                self._write_played(played)
                changes.append(played)
            self._seen = self.store.revision
        return now, changes

    def commit(self, effects: Sequence[Effect], records: Sequence[Record]) -> None:
        """One transaction. Conflict: somebody wrote since `observe`."""
        with self.store.writing():
            if self.store.revision != self._seen:
                raise Conflict(f"{self.store.path} was written since it was read")
            for effect in effects:
                self._write(effect)
            for record in records:
                body = record_to_object(record)
                self.store.add_record(format_time(record.at), *record.run, record.uid, body)
            self._sweep()
            revision = self.store.revision
        self._seen = revision
        for effect in effects:
            self._tell_kubelet(effect)

    # -- the clock --------------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return parse_time(self.store.get_meta("now"))

    def advance_to(self, moment: datetime) -> None:
        """The virtual clock goes on to that moment; never back."""
        with self.store.writing():
            if moment > self.now:
                self.store.set_meta("now", format_time(moment))

    def next_moment(self) -> datetime | None:
        """When the kubelet will next do something by itself."""
        return self.kubelet.next_moment()

    # -- reading ----------------------------------------------------------------------------------------------------

    def _read(self) -> list[c.Change]:
        first = self._seen < int(self.store.get_meta("pruned"))
        rows = self.store.since(-1 if first else self._seen)
        if first:
            rows = self._all(rows)
        for row in rows:
            (self._known.add if row.body is not None else self._known.discard)(row[:3])
        self._seen = self.store.revision
        changes = [change for row in rows for change in self._changes(row)]
        if first or any(row.kind == "Resolution" for row in rows):
            changes = [*changes, c.ChainSeen(self.store.chain)]
        if first:
            changes = [*changes, c.NoncesSeen(self.store.nonces)]
        if first or any(row.kind == "GPULease" for row in rows):  # of one that came and went nobody is told otherwise
            changes = [*changes, c.HeadSeen(int(self.store.get_meta("head"), 16))]
        for change in changes:
            self._note(change)
        return changes

    def _all(self, rows: Sequence[Row]) -> list[Row]:
        """Everything that there is, in an order that builds up; and what was known and is not there is gone."""
        live = sorted((row for row in rows if row.body is not None), key=lambda row: ORDER.index(row.kind))
        gone = self._known - {row[:3] for row in live}
        return [*(Row(*name, 0, None) for name in sorted(gone)), *live]

    def reads(self, body: Object) -> bool:
        """Whether this stored object can be read."""
        try:
            read(body["kind"], body, self._settings.fleet, self._sections)
        except InvalidInput:
            return False
        return True

    def _changes(self, row: Row) -> Iterator[c.Change]:
        name = row.kind, Key(row.namespace, row.name)
        try:
            value = read(row.kind, row.body, self._settings.fleet, self._sections) if row.body is not None else None
        except InvalidInput as error:
            if row.kind == "Run":
                self._unread.add(name[1])
                yield c.RunUnread(name[1], str(error))
            return
        if row.kind == "Run" and name[1] in self._unread:
            self._unread.discard(name[1])
            yield c.RunUnread(name[1], None)
        if (change := as_change(name, value)) is not None:
            yield change

    def _note(self, change: c.Change) -> None:
        """What the kubelet must know."""
        match change:
            case c.NodeSeen(Node() as node):
                silent = not self._nodes.get(node.name, False)
                self._nodes[node.name] = not node.lost
                if silent and not node.lost:
                    self.kubelet.replan(node.name)
            case c.NodeGone(name):
                self._nodes.pop(name, None)
            case c.PodSeen(pod):
                self.kubelet.seen(pod)
            case c.PodGone(key):
                self.kubelet.gone(key)
            case _:
                pass

    # -- writing ----------------------------------------------------------------------------------------------------

    def _write(self, effect: Effect) -> None:
        match effect:
            case e.OpenLease(lease):
                self._open(lease)
            case e.CloseLease(lease):
                self._put_status("GPULease", to_object(lease), lease.key)
                self._count(lease, closing=True)
            case e.MeterLease(lease):
                self._put_status("GPULease", to_object(lease), lease.key)
            case e.MakePod(pod, _) | e.BindPod(pod) | e.EndPod(pod):
                self._put("Pod", pod_to_object(pod))
            case e.RemovePod(key):
                self.store.remove("Pod", *key)
            case e.SelectNode(_, claim):
                self._select(claim)
            case e.SetRunStatus(run):
                self._put_status("Run", to_object(run, self._sections), run.key)
            case e.RemoveRun(key, _):
                self.store.remove("Run", *key)
            case e.SetBudgetStatus(budget):
                self._put_status("Budget", to_object(budget, self._sections), Key("", budget.name))
            case e.PutReservation(reservation):
                self._put("Reservation", to_object(reservation))
            case e.SetReservationStatus(reservation):
                self._put_status("Reservation", to_object(reservation), reservation.key)
            case e.PutResolution(resolution):
                self._resolve(resolution)
            case e.SetResolutionStatus(resolution):
                self._put_status("Resolution", to_object(resolution), resolution.meta.key)
            case e.Emit():
                self.store.add_event(effect)
            case _:
                assert_never(effect)

    def _open(self, lease: Lease) -> None:
        if self.store.get("GPULease", *lease.key) is not None:
            raise Conflict(f"lease {lease.key} exists already")
        self._put("GPULease", to_object(lease))
        self._count(lease, closing=False)

    def _resolve(self, resolution: Resolution) -> None:
        """With it, in the same transaction, the chain goes on."""
        if self.store.get("Resolution", *resolution.meta.key) is not None:
            raise Conflict(f"{resolution.name} exists already")
        self._put("Resolution", to_object(resolution))
        self.store.set_chain(Chain(number=resolution.spec.number, commitment=resolution.spec.next_commitment))

    def _count(self, lease: Lease, *, closing: bool) -> None:
        head = int(self.store.get_meta("head"), 16)
        self.store.set_meta("head", format(fold(head, entry(lease, closing=closing)), "x"))

    def _put(self, kind: str, body: Object) -> None:
        meta = body["metadata"]
        meta.setdefault("uid", self.mint(kind, meta.get("namespace", ""), meta["name"]))
        meta.setdefault("creationTimestamp", self.store.get_meta("now"))
        self.store.put(kind, body)

    def _put_status(self, kind: str, body: Object, key: Key) -> None:
        stored = self.store.get(kind, *key)
        if stored is not None:
            stored["status"] = body.get("status", {})
            self.store.put(kind, stored)

    def _select(self, claim: VolumeClaim) -> None:
        stored = self.store.get("PersistentVolumeClaim", *claim.key)
        if stored is not None and claim.node is not None:
            stored["metadata"].setdefault("annotations", {})[SELECTED_NODE] = claim.node
            self.store.put("PersistentVolumeClaim", stored)

    def _write_played(self, change: c.PodSeen | c.PodGone) -> None:
        match change:
            case c.PodSeen(pod):
                self._put_status("Pod", pod_to_object(pod), pod.key)
            case c.PodGone(key):
                self.store.remove("Pod", *key)
            case _:
                assert_never(change)

    def _tell_kubelet(self, effect: Effect) -> None:
        match effect:
            case e.MakePod(pod, _) | e.BindPod(pod) | e.EndPod(pod):
                self.kubelet.seen(pod)
            case e.RemovePod(key):
                self.kubelet.gone(key)
            case _:
                pass

    def mint(self, kind: str, namespace: str, name: str) -> str:
        """A uid that no other object of this cluster has, and that the same history gives again."""
        return str(uuid5(NAMESPACE_OID, f"{kind}/{namespace}/{name}/{self.store.revision}"))

    # -- retention --------------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Once an hour of cluster time: closed leases and records whose time is over go, archived first if so set."""
        now = self.now
        if now < parse_time(self.store.get_meta("swept")) + SWEEP_EVERY:
            return
        self.store.set_meta("swept", format_time(now))
        before = format_time(now - self._settings.retention.leases)
        old = [
            body
            for body in self.store.find("GPULease")
            if body.get("status", {}).get("closed") and parse_time(body["status"]["end"]) < parse_time(before)
        ]
        over = self._over("Resolution", parse_time(before))
        kept = self._over("Reservation", parse_time(before))
        if self._settings.retention.archive is not None:
            gone = {"leases": old, "reservations": kept, "resolutions": over}
            archive(Path(self._settings.retention.archive), gone)
        for body in old:
            self.store.remove("GPULease", body["metadata"]["namespace"], body["metadata"]["name"])
        for body in (*over, *kept):
            self.store.remove(body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"])
        self.store.prune(before, gone_up_to=self.store.revision - GONE_KEPT)

    def _over(self, kind: str, before: datetime) -> list[Object]:
        """Those that were over before then: they say when."""
        found: list[Object] = []
        for body in self.store.find(kind):
            one = from_object(body)
            if isinstance(one, Reservation | Resolution) and one.status.end is not None and one.status.end < before:
                found.append(body)
        return found

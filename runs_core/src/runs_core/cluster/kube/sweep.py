"""Closed leases, reservations and resolutions that were kept long enough go, a few at a time, behind other writes."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path

import attrs

from runs_core.cluster.archive import archive
from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.cluster.kube.evidence import joined
from runs_core.cluster.kube.unread import Unread
from runs_core.cluster.kube.writer import Work, Writer
from runs_core.cluster.kube.writes import Writes
from runs_core.cluster.seen import Name, Value
from runs_core.errors import Unavailable
from runs_core.schema.convert import to_object
from runs_core.settings import RetentionSettings
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.reservation import Reservation
from runs_core.values.resolution import Resolution, ResolutionPhase, resolution_name

MOST_AT_ONCE = 500
Over = Lease | Reservation | Resolution
KINDS = {Lease: "leases", Reservation: "reservations", Resolution: "resolutions"}


@attrs.frozen(kw_only=True)
class Swept:
    """What has come of it since this was asked last. refusal: why something was not removed; it is tried again."""

    leases: int = 0
    reservations: int = 0
    resolutions: int = 0
    journals: int = 0
    refusal: str | None = None


def ended(value: Value | None) -> datetime | None:
    """Since when it is over, and will never change again; None: it is not, or is nothing that is swept."""
    match value:
        case Lease() if value.status.closed:
            return value.status.end
        case Reservation() if value.status.phase.over:
            return value.status.end
        case Resolution() if value.status.phase is not ResolutionPhase.ACTIVATING:
            return value.status.end
        case _:
            return None


class Sweeper:
    """`saw` and `begin` are for the thread that decides. Cost: of what ended, and of what goes."""

    def __init__(self, api: Api, writes: Writes, writer: Writer, unread: Unread) -> None:
        self._api = api
        self._writes = writes
        self._writer = writer
        self._unread = unread
        self._unread_refused = ""
        self._over: dict[Name, Over] = {}
        self._standing: set[Name] = set()
        self._by_end: list[tuple[datetime, Name]] = []
        self._going: set[Name] = set()
        self._lock = threading.Lock()
        self._swept = Swept()

    def saw(self, name: Name, value: Value | None) -> None:
        """As the server has it; None: it is gone."""
        end = ended(value)
        self._standing.discard(name)
        if end is None or not isinstance(value, Over):
            self._over.pop(name, None)
            if isinstance(value, Resolution):
                self._standing.add(name)
            return
        known = self._over.get(name)
        self._over[name] = value
        if known is None or ended(known) != end:
            heapq.heappush(self._by_end, (end, name))

    def begin(self, now: datetime, retention: RetentionSettings, last: int, made: Mapping[str, Sequence[str]]) -> Swept:
        """Let the next go. last: number of the last resolution. made: the evidence of each, as the journal has it.

        Nothing is begun while something of the last time is still under way.
        """
        with self._lock:
            swept, self._swept = self._swept, Swept()
            busy = bool(self._going)
        for name in () if busy else self._due(now - retention.leases, last):
            with self._lock:
                self._going.add(name)
            evidence = made.get(name[1].name, ()) if name[0] == "Resolution" else ()
            self._writer.add(self._work(name, self._over[name], retention.archive, evidence))
        if self._unread.due(now):
            self._writer.add(self._journal(now, retention.leases))
        return swept

    def _journal(self, now: datetime, kept: timedelta) -> Work:
        """The look for one of which something could not be read. What refuses it again and again is told once."""

        def look() -> None:
            if self._unread.sweep(now, kept):
                with self._lock:
                    self._swept = attrs.evolve(self._swept, journals=self._swept.journals + 1)

        def failed(refusal: Refused) -> None:
            self._unread.again()
            if str(refusal) != self._unread_refused:
                with self._lock:
                    self._swept = attrs.evolve(self._swept, refusal=f"ConfigMap {self._unread.key.name}: {refusal}")
            self._unread_refused = str(refusal)

        key = Key(f"ConfigMap of {self._unread.key.namespace}", self._unread.key.name)
        return Work(key=key, stages=[[look]], failed=failed, done=_nothing, last_can_wait=True)

    def _due(self, before: datetime, last: int) -> list[Name]:
        found: list[Name] = []
        stays: list[tuple[datetime, Name]] = []
        while self._by_end and self._by_end[0][0] < before and len(found) < MOST_AT_ONCE:
            end, name = heapq.heappop(self._by_end)
            value = self._over.get(name)
            if value is None or ended(value) != end:
                continue  # it is gone, or another has its name
            stays.append((end, name))  # until the watch tells that it is gone: it may be refused
            if not (isinstance(value, Resolution) and self._binds(value, before, last)):
                found.append(name)
        for one in stays:
            heapq.heappush(self._by_end, one)
        return found

    def _binds(self, resolution: Resolution, before: datetime, last: int) -> bool:
        """Whether the nonce of one that is kept, or is to come, is held against it."""
        if resolution.spec.number >= last:
            return True
        after = ("Resolution", Key("", resolution_name(resolution.spec.number + 1)))
        end = ended(self._over.get(after))
        return after in self._standing or (end is not None and end >= before)

    def _work(self, name: Name, value: Over, folder: str | None, evidence: Sequence[str]) -> Work:
        def failed(refusal: Refused) -> None:
            with self._lock:
                self._swept = attrs.evolve(self._swept, refusal=f"{name[0]} {name[1].name}: {refusal}")

        def gone() -> None:
            kind = KINDS[type(value)]
            with self._lock:
                self._swept = attrs.evolve(self._swept, **{kind: getattr(self._swept, kind) + 1})

        def done() -> None:
            with self._lock:
                self._going.discard(name)

        key = Key(f"{name[0]} of {name[1].namespace}", name[1].name)  # no run's, so that no run waits for it
        task = partial(self._remove, value, folder, evidence, gone)
        return Work(key=key, stages=[[task]], failed=failed, done=done, last_can_wait=True)

    def _remove(self, value: Over, folder: str | None, evidence: Sequence[str], gone: Callable[[], None]) -> None:
        if isinstance(value, Resolution):
            self._writes.resolutions.own(value, evidence)
        if folder is not None:
            self._archive(Path(folder), value)
        if self._writes.remove(value):
            gone()

    def _archive(self, folder: Path, value: Over) -> None:
        body = self._whole(value) if isinstance(value, Resolution) else to_object(value)
        try:
            with self._lock:
                archive(folder, {KINDS[type(value)]: [body]})
        except Unavailable as error:
            raise Refused(HTTPStatus.FORBIDDEN, "NotArchived", str(error)) from error

    def _whole(self, resolution: Resolution) -> Object:
        """With all of its evidence, wherever it is kept."""
        body = to_object(resolution)
        body["spec"]["evidence"]["data"] = joined(self._api, resolution)
        return body


def _nothing() -> None:
    """Nobody waits for it."""

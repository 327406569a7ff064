"""What could not be read of a journal is kept as it was, for people to look at, until it was kept long enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import MERGE, Api, Object, Refused
from runs_core.cluster.kube.rights import UNREAD
from runs_core.errors import Unavailable
from runs_core.values.meta import Key
from runs_core.values.quantity import format_time, parse_time

ANSWER_SECONDS = 5.0
LOOKS_EVERY = timedelta(hours=1)
SINCE = "runs.dev/kept-since"
"""Annotation: the object may be older, and have kept another before."""


def kept_since(stored: Object) -> datetime:
    """When the one that it holds was put there."""
    metadata = stored["metadata"]
    try:
        return parse_time((metadata.get("annotations") or {})[SINCE])
    except (KeyError, ValueError):
        return parse_time(metadata["creationTimestamp"])


class Unread:
    """One ConfigMap, of the last journal of which something could not be read. `due` and `sweep` are for who leads."""

    def __init__(self, api: Api, namespace: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._api = api
        self.key = Key(namespace, UNREAD)
        self._clock = clock
        self._next: datetime | None = None

    def keep(self, data: Mapping[str, str]) -> str:
        """In place of one that is there, in one write. Returns where it is, or why it is not kept, in words.

        Unavailable, Refused: not now.
        """
        since = {SINCE: format_time(self._clock())}
        metadata: Object = {"name": self.key.name, "namespace": self.key.namespace, "annotations": since}
        body: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}
        try:
            try:
                self._api.call("POST", paths.collection("ConfigMap", self.key.namespace), body)
            except Refused as error:
                if error.reason != "AlreadyExists":
                    raise
                self._replace(body)
        except Refused as error:
            if error.passing:
                raise
            return f"it could not be kept: {error.message}"
        return f"ConfigMap {self.key.name} keeps it"

    def _replace(self, body: Object) -> None:
        """A right to patch is there for evidence; one to update is not."""
        known = self._look()
        if known is None:
            raise Unavailable(f"ConfigMap {self.key} was there, and has gone since")
        metadata = {"uid": known["metadata"]["uid"], "annotations": body["metadata"]["annotations"]}
        data = dict.fromkeys(known.get("data") or {}) | body["data"]
        patch = {"metadata": metadata, "data": data}
        self._api.call("PATCH", paths.one("ConfigMap", self.key), patch, content=MERGE, seconds=ANSWER_SECONDS)

    def due(self, now: datetime) -> bool:
        """Whether it is to be looked for: once an hour, and again after `sweep` could not."""
        if self._next is not None and now < self._next:
            return False
        self._next = now + LOOKS_EVERY
        return True

    def again(self) -> None:
        """The last look did not come about."""
        self._next = None

    def sweep(self, now: datetime, kept: timedelta) -> bool:
        """Whether it was removed, having been kept for so long. Refused, Unavailable: not now."""
        found = self._look()
        if found is None or now - kept_since(found) < kept:
            return False
        premise = {"preconditions": {"uid": found["metadata"]["uid"]}}
        try:
            self._api.call("DELETE", paths.one("ConfigMap", self.key), premise, seconds=ANSWER_SECONDS)
        except Refused as error:
            if error.status != HTTPStatus.NOT_FOUND and not error.another:
                raise
        return True

    def _look(self) -> Object | None:
        """None: it is not there."""
        try:
            return self._api.call("GET", paths.one("ConfigMap", self.key), seconds=ANSWER_SECONDS)[1]
        except Refused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return None

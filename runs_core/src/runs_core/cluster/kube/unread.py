"""What could not be read of a journal is kept as it was, for people to look at, until it was kept long enough."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.cluster.kube.rights import UNREAD
from runs_core.values.meta import Key
from runs_core.values.quantity import parse_time

ANSWER_SECONDS = 5.0
LOOKS_EVERY = timedelta(hours=1)


class Unread:
    """One ConfigMap, of the last journal of which something could not be read. `sweep` is for who leads."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._key = Key(namespace, UNREAD)
        self._next: datetime | None = None

    def keep(self, data: Mapping[str, str]) -> str:
        """In place of one that is there. Returns where it is, or why it is not kept, in words. Unavailable: not now."""
        body: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self._key.name, "namespace": self._key.namespace},
            "data": dict(data),
        }
        try:
            self._remove()
            self._api.call("POST", paths.collection("ConfigMap", self._key.namespace), body)
        except Refused as error:
            if error.passing:
                raise
            return f"it could not be kept: {error.message}"
        return f"ConfigMap {self._key.name} keeps it"

    def sweep(self, now: datetime, kept: timedelta) -> bool:
        """Whether it was removed, having been kept for so long. It is looked for once an hour. Refused, Unavailable."""
        if self._next is not None and now < self._next:
            return False
        self._next = now + LOOKS_EVERY
        try:
            _, found = self._api.call("GET", paths.one("ConfigMap", self._key), seconds=ANSWER_SECONDS)
        except Refused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return False
        if now - parse_time(found["metadata"]["creationTimestamp"]) < kept:
            return False
        self._remove(found["metadata"]["uid"])
        return True

    def _remove(self, uid: str | None = None) -> None:
        """uid: that one, and no other of its name."""
        premise = {"preconditions": {"uid": uid}} if uid else {}
        try:
            self._api.call("DELETE", paths.one("ConfigMap", self._key), premise, seconds=ANSWER_SECONDS)
        except Refused as error:
            if error.status != HTTPStatus.NOT_FOUND and not error.another:
                raise

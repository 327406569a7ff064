"""Whether all that was written to an API server has come back through the watches: then, and only then, it is quiet."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping

from tests.scenarios.stage import Object

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import APPLY, JSON, READ_SECONDS, Api
from runs_core.cluster.kube.decode import Decode, whole
from runs_core.cluster.kube.reflect import Event, Inbox, Listed
from runs_core.cluster.kube.snapshot import key_of
from runs_core.values.meta import Key

Name = tuple[str, Key]
_PLURALS = {path.rsplit("/", 1)[1]: kind for kind, path in paths.LISTS.items()}
_ONE = re.compile(r"(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z]+)/(?P<name>[^/]+)$")
_LATE_SECONDS = 20.0


class Echoes:
    """wrote: what the server answered to a write, or to a question. heard: what a watch told.

    items: every object as the watches last told it.
    """

    def __init__(self) -> None:
        self.items: dict[Name, Object] = {}
        self._heard = threading.Condition()
        self._versions: dict[Name, int] = {}
        self._gone: Counter[Name] = Counter()
        self._due: dict[Name, int] = {}
        self._due_gone: Counter[Name] = Counter()

    def wrote(self, name: Name, version: int) -> None:
        """The object has that version; None of the watches may stay behind it."""
        with self._heard:
            self._due[name] = max(version, self._due.get(name, 0))

    def deleted(self, name: Name) -> None:
        """The object is gone."""
        with self._heard:
            self._due_gone[name] += 1

    def heard(self, news: object) -> None:
        with self._heard:
            match news:
                case Listed():
                    for seen in news.items:
                        self._versions[news.resource, seen.key] = seen.version
                case Event():
                    self._note(news.resource, news.item, deleted=news.deleted)
                case _:
                    return
            self._heard.notify_all()

    def listed(self, kind: str, item: Object) -> None:
        """It is in a list that will be heard of."""
        with self._heard:
            self.items[kind, key_of(item)] = item

    def wait(self) -> None:
        """Until every write has been told by the watch of its kind."""
        with self._heard:
            if not self._heard.wait_for(lambda: not self._missing(), _LATE_SECONDS):
                raise AssertionError(f"written and never heard of again: {self._missing()}")

    def _missing(self) -> list[Name]:
        late = [name for name, version in self._due.items() if self._versions.get(name, 0) < version]
        return late + [name for name, times in self._due_gone.items() if self._gone[name] < times]

    def _note(self, kind: str, item: Object, *, deleted: bool) -> None:
        meta = item["metadata"]
        name = (kind, key_of(item))
        self._versions[name] = int(meta["resourceVersion"])
        if deleted:
            self._gone[name] += 1
            self.items.pop(name, None)
        else:
            self.items[name] = item


class HeardInbox(Inbox):
    """Tells the echoes of all that comes in, before the scheduler reads it."""

    def __init__(self, echoes: Echoes) -> None:
        super().__init__()
        self._echoes = echoes

    def put(self, news: object) -> None:
        super().put(news)
        self._echoes.heard(news)


class NotedApi(Api):
    """Of every answer to a write, by any thread, it tells the echoes that listen at present."""

    echoes: Echoes | None = None

    def call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        content: str = JSON,
        query: Mapping[str, str] | None = None,
        seconds: float = READ_SECONDS,
        decode: Decode = whole,
    ) -> tuple[int, Object]:
        status, answer = super().call(method, path, body, content=content, query=query, seconds=seconds, decode=decode)
        if self.echoes is not None and method != "GET" and "dryRun" not in (query or {}):
            self._note(self.echoes, method, path, answer)
        return status, answer

    def _note(self, echoes: Echoes, method: str, path: str, answer: Object) -> None:
        meta = answer.get("metadata") or {}
        if method == "DELETE" and not _lives_on(answer):
            found = _ONE.search(path)
            if found is not None and found["plural"] in _PLURALS:
                key = Key(found["namespace"] or "", found["name"])
                echoes.deleted((_PLURALS[found["plural"]], key))
        elif answer.get("kind") in paths.LISTS and "resourceVersion" in meta:
            key = Key(meta.get("namespace", ""), meta["name"])
            echoes.wrote((answer["kind"], key), int(meta["resourceVersion"]))

    def replace(self, path: str, body: Object) -> Object:
        """All that the body says, as its own field manager; what it said before and says no more goes."""
        query = {"fieldManager": "stage", "force": "true"}
        return self.call("PATCH", path, body, content=APPLY, query=query)[1]


def _lives_on(answer: Object) -> bool:
    """Whether what was deleted has a grace, or a finalizer."""
    meta = answer.get("metadata") or {}
    return bool(meta.get("deletionGracePeriodSeconds") or meta.get("finalizers"))

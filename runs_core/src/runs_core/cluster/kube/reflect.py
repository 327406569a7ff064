"""List and watch: what is there, then what changes, for one resource, on a thread of its own."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

import attrs

from runs_core.cluster.kube.api import Api, Close, Object, Refused
from runs_core.cluster.kube.decode import Decode, Malformed, event, page, whole
from runs_core.errors import Unavailable

T = TypeVar("T")
PAGE = "500"
"""What is read of a page takes far less room than the page does."""
WATCH_SECONDS = 240
SILENT_SECONDS = 150
"""A server sends a bookmark every minute or so; one that says nothing for so long has gone without a word."""
SHORT_SECONDS = 1.0
"""A watch that ends sooner, and has told nothing, is begun again after a pause."""
PAUSE_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
GONE = 410


@attrs.frozen(kw_only=True)
class Listed(Generic[T]):
    """Everything there is, as of now: what was known and is not here is gone."""

    resource: str
    items: Sequence[T]
    version: int


@attrs.frozen(kw_only=True)
class Event:
    """One object added, modified or deleted."""

    resource: str
    deleted: bool
    item: Object


@attrs.frozen(kw_only=True)
class Restored:
    """There is less than there was: versions count on, unless what the server stores was put back from a copy."""

    resource: str


class Inbox:
    """What reflectors and writers have to tell and nobody has read yet."""

    def __init__(self) -> None:
        self._news: deque[object] = deque()
        self._arrived = threading.Event()

    def put(self, news: object) -> None:
        self._news.append(news)
        self._arrived.set()

    def take(self) -> list[object]:
        """All of it, in order of arrival."""
        self._arrived.clear()
        taken: list[object] = []
        while self._news:
            taken.append(self._news.popleft())
        return taken

    def wait(self, seconds: float) -> bool:
        """Until something is there; False: nothing came in time."""
        return bool(self._news) or self._arrived.wait(seconds)

    def wake(self) -> None:
        """Let whoever waits look at once."""
        self._arrived.set()


def everything(
    api: Api,
    resource: str,
    path: str,
    read: Callable[[Object], T],
    *,
    query: Mapping[str, str] | None = None,
    decode: Decode = whole,
) -> Listed[T]:
    """All objects below a path, read page by page. query: what else the list is asked, such as a selector."""
    items: list[T] = []
    asked = {**(query or {}), "limit": PAGE}
    while True:
        _, answer = api.call("GET", path, query=asked, decode=decode)
        items += map(read, answer.get("items") or [])
        token = answer["metadata"].get("continue")
        if not token:
            return Listed(resource=resource, items=items, version=int(answer["metadata"]["resourceVersion"]))
        asked["continue"] = token


def as_it_is(item: Object) -> Object:
    """To read nothing in it."""
    return item


class Reflector(threading.Thread):
    """listed: set once the first list has arrived. failing: why it cannot look at present, None while it can.

    heard: when it last heard of the server, monotonic seconds. read: what of each object the first list keeps.
    """

    def __init__(
        self, api: Api, resource: str, path: str, inbox: Inbox, read: Callable[[Object], object] = as_it_is
    ) -> None:
        super().__init__(name=f"watch-{resource}", daemon=True)
        self.resource = resource
        self.listed = threading.Event()
        self.failing: str | None = None
        self.heard = time.monotonic()
        self.restarts = 0
        self._api = api
        self._path = path
        self._inbox = inbox
        self._read = read
        self._version: str | None = None
        self._newest = 0
        self._failures = 0
        self._stopped = threading.Event()
        self._close: Close | None = None
        self._open = False

    def stop(self) -> None:
        """Also in the middle of a watch that nobody tells anything."""
        self._stopped.set()
        close = self._close
        if close is not None:
            close()

    def _opened(self, close: Close) -> None:
        self._close, self._open = close, True
        if self._stopped.is_set():
            close()

    def run(self) -> None:
        """For ever: a watch that ends is taken up where it was, one that cannot be begins with a list anew."""
        while not self._stopped.is_set():
            try:
                if self._version is None:
                    self._version = self._list()
                elif self._failures:
                    self._compare()
                self._watch(self._version)
            except (Unavailable, Refused, Malformed, ValueError) as error:
                self._fail(error, str(error))
            except Exception as defect:  # noqa: BLE001 - nobody would hear of it, nor of anything of this kind
                self._version = None
                self._fail(defect, f"{type(defect).__name__}: {defect}")
            self.restarts += 1

    def _fail(self, error: Exception, why: str) -> None:
        """A server whose past is over is well, and a new list is all it asks for: the first time that is made at once.

        Else there is a pause, which grows until something is told.
        """
        self.failing = why
        self._failures += 1
        gone = isinstance(error, Refused) and error.status == GONE and self._version is not None
        if gone:
            self._version = None
        if not gone or self._failures > 1:
            self._stopped.wait(_pause(self._failures, error))

    def _hear(self) -> None:
        self.failing, self.heard = None, time.monotonic()

    def _list(self) -> str:
        found = everything(self._api, self.resource, self._path, self._read, decode=page)
        restored, self._newest = found.version < self._newest, found.version
        self._inbox.put(Restored(resource=self.resource) if restored else found)
        self.listed.set()
        self._hear()
        return str(found.version)

    def _compare(self) -> None:
        """After trouble: a watch from a version that is still to come would tell nothing until then."""
        _, answer = self._api.call("GET", self._path, query={"limit": "1"}, decode=page)
        if int(answer["metadata"]["resourceVersion"]) < self._newest:
            self._inbox.put(Restored(resource=self.resource))

    def _watch(self, version: str) -> None:
        """Until the server ends it. Where it was is kept event by event. Refused 410: only a new list helps."""
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        began, self._open = time.monotonic(), False
        try:
            for line in self._api.text(self._path, query, seconds=SILENT_SECONDS, opened=self._opened):
                self._hear()
                if self._stopped.is_set():
                    break
                if line:
                    self._tell(line)
        except Unavailable:
            if self._open and time.monotonic() - self.heard >= SILENT_SECONDS:
                self._version = None  # it stood, and said nothing: there may be nothing that it would ever tell
            raise
        self._hear()
        if self._version == version and time.monotonic() - began < SHORT_SECONDS:
            raise Unavailable("the API server ends each watch at once")
        self._failures = 0

    def _tell(self, line: bytes) -> None:
        told, item = event(line)
        if told == "ERROR":
            raise Refused(item.get("code", 500), item.get("reason", ""), item.get("message", ""))
        if told != "BOOKMARK":
            self._inbox.put(Event(resource=self.resource, deleted=told == "DELETED", item=item))
        self._version = item["metadata"]["resourceVersion"]
        self._newest = int(item["metadata"]["resourceVersion"])
        self._failures = 0


def _pause(failures: int, error: Exception) -> float:
    longest = PAUSE_SECONDS[min(failures, len(PAUSE_SECONDS)) - 1]
    asked = error.retry_after if isinstance(error, Refused) and error.retry_after else 0.0
    return max(asked, longest * random.uniform(0.5, 1.0))  # jitter, not a secret

"""One kind as it changes, for somebody who watches and writes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Api, Object
from runs_core.cluster.kube.mirror import Mirror
from runs_core.cluster.kube.reflect import Event, Inbox, Listed, Reflector, Restored
from runs_core.cluster.kube.snapshot import Looking, key_of
from runs_core.errors import InvalidInput, Unavailable
from runs_core.values import change as c
from runs_core.values.meta import Key

SILENT_SECONDS = 45.0
"""A watch that fails for so long, again and again, is given up: a person sees nothing of what goes on."""
ATTEMPTS = 4
FIRST_LIST_SECONDS = 30.0


class Following:
    """namespaces None: all. Used by one thread; reflectors work beside it until `stop`."""

    def __init__(self, api: Api, looking: Looking, kind: str, namespaces: Sequence[str] | None) -> None:
        places = [paths.LISTS[kind]] if namespaces is None else [paths.collection(kind, name) for name in namespaces]
        self._arrived = Inbox()
        self._reflectors = [Reflector(api, str(number), path, self._arrived) for number, path in enumerate(places)]
        self._kind = kind
        self._looking = looking
        self._mirror = Mirror()
        self._place: dict[Key, str] = {}
        self._failing_since: tuple[float, int] | None = None
        for reflector in self._reflectors:
            reflector.start()

    def stop(self) -> None:
        for reflector in self._reflectors:
            reflector.stop()

    def wait(self, seconds: float) -> None:
        """Until something changes, or the time is over."""
        self._arrived.wait(seconds)

    def ready(self) -> None:
        """Until everything has been listed once. Unavailable: it does not come."""
        end = time.monotonic() + FIRST_LIST_SECONDS
        for reflector in self._reflectors:
            while not reflector.listed.wait(0.05):
                if reflector.failing or time.monotonic() > end:
                    raise Unavailable(f"cannot list {self._kind}s: {reflector.failing or 'no answer'}")

    def changes(self) -> Iterator[c.Change]:
        """What came since the last call. Unavailable: nothing has come for long, and will not."""
        for news in self._arrived.take():
            match news:
                case Listed():
                    yield from self._listed(news)
                case Event():
                    yield from self._item(news.resource, news.item, deleted=news.deleted)
                case Restored():
                    raise Unavailable(f"the API server shows {self._kind}s as they were before; look anew")
                case _:
                    raise AssertionError(f"unknown news {news!r}")
        self._check()

    def _listed(self, news: Listed[Object]) -> Iterator[c.Change]:
        here = {key_of(item) for item in news.items}
        for item in news.items:
            yield from self._item(news.resource, item, deleted=False)
        for key in self._mirror.names(self._kind):
            if key not in here and self._place.get(key) == news.resource:
                yield from self._mirror.vanished((self._kind, key), news.version)

    def _item(self, place: str, item: Object, *, deleted: bool) -> Iterator[c.Change]:
        key = key_of(item)
        self._place[key] = place
        try:
            value = None if deleted else self._looking.read(self._kind, item)
        except InvalidInput:
            return
        yield from self._mirror.saw((self._kind, key), int(item["metadata"]["resourceVersion"]), value)

    def _check(self) -> None:
        """A watch that stands again may have nothing to tell for long: what counts is that attempts go on failing."""
        failing = next((one.failing for one in self._reflectors if one.failing), None)
        if failing is None:
            self._failing_since = None
            return
        attempts = sum(one.restarts for one in self._reflectors)
        since, before = self._failing_since = self._failing_since or (time.monotonic(), attempts)
        lasts = time.monotonic() - since > SILENT_SECONDS and attempts - before >= ATTEMPTS
        if lasts or failing.startswith("Forbidden"):
            raise Unavailable(f"cannot watch {self._kind}s any more: {failing}")

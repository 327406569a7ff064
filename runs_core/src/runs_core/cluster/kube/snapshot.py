"""A world from lists: what is there now, for somebody who looks once and decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import attrs

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.cluster.kube.reflect import as_it_is, everything
from runs_core.cluster.seen import Name, Value, as_change, read
from runs_core.errors import InvalidInput
from runs_core.schema.names import API_VERSION, KINDS
from runs_core.schema.storage import VERSIONS
from runs_core.settings import Settings
from runs_core.values import change as c
from runs_core.values.meta import Key
from runs_core.values.run import Phase, Run
from runs_core.values.section import Section

FORBIDDEN = 403
REFUSED = "StartRefused"
NAMESPACED = frozenset({"Run", "GPULease", "Reservation", "Pod", "PersistentVolumeClaim"})
PAUSED = ("the cluster refused the last start: ", "; tried again later")
"""What a status says around a refusal."""


@attrs.frozen(kw_only=True)
class Unseen:
    """A kind that could not be listed. namespaces: where it could instead; none: nowhere."""

    kind: str
    namespaces: tuple[str, ...]
    refusal: Refused


@attrs.frozen(kw_only=True)
class Snapshot:
    """objects: as the server has them. values: as runs reads them. aside: what cannot be read, with the reason."""

    objects: Mapping[Name, Object]
    values: Mapping[Name, Value]
    aside: Mapping[Name, str]
    unseen: Sequence[Unseen]

    def changes(self) -> Iterator[c.Change]:
        """What builds a world from nothing."""
        for name, value in self.values.items():
            change = as_change(name, value)
            if change is not None:
                yield change

    def refusals(self, until: datetime) -> Iterator[c.Change]:
        """Starts that were refused, as statuses tell of them. until: when they are tried again is written nowhere."""
        for value in self.values.values():
            if isinstance(value, Run) and value.status.phase is Phase.HELD and value.status.reason == REFUSED:
                before, after = PAUSED
                message = value.status.message.removeprefix(before).removesuffix(after)
                yield c.StartRefused(value.key, c.Refusal(message=message, count=1, until=until))


class Looking:
    """Lists kinds and reads them."""

    def __init__(self, api: Api, settings: Settings, sections: Sequence[Section] = ()) -> None:
        self._api = api
        self._settings = settings
        self._sections = sections

    def look(self, kinds: Iterable[str], namespaces: Sequence[str] | None, home: Sequence[str] = ()) -> Snapshot:
        """These kinds, all at the same time. namespaces None: all; of cluster-wide kinds always everything.

        home: where to look at least, if not everywhere is allowed. What is not allowed at all is left out, and said;
        Refused: anything else is the matter. Unavailable: no answer.
        """
        wanted = [kind for kind in paths.LISTS if kind in set(kinds)]
        with ThreadPoolExecutor(max_workers=len(wanted) or 1) as pool:
            found = list(pool.map(lambda kind: self._list(kind, namespaces, home), wanted))
        objects: dict[Name, Object] = {}
        values: dict[Name, Value] = {}
        aside: dict[Name, str] = {}
        for kind, (items, _) in zip(wanted, found, strict=True):
            for item in items:
                name = (kind, key_of(item))
                objects[name] = named(kind, item)
                try:
                    values[name] = self.read(kind, item)
                except InvalidInput as error:
                    aside[name] = str(error)
        return Snapshot(
            objects=objects, values=values, aside=aside, unseen=[lack for _, lack in found if lack is not None]
        )

    def read(self, kind: str, item: Object) -> Value:
        """InvalidInput names an object that cannot be read."""
        return read(kind, item, self._settings.fleet, self._sections)

    def _list(
        self, kind: str, namespaces: Sequence[str] | None, home: Sequence[str]
    ) -> tuple[list[Object], Unseen | None]:
        if kind in NAMESPACED and namespaces is not None:
            items, refusal = self._listed(kind, [paths.collection(kind, name) for name in namespaces])
            return items, Unseen(kind=kind, namespaces=(), refusal=refusal) if refusal else None
        items, refusal = self._listed(kind, [paths.LISTS[kind]])
        if refusal is None:
            return items, None
        if kind not in NAMESPACED or not home:
            return [], Unseen(kind=kind, namespaces=(), refusal=refusal)
        items, narrower = self._listed(kind, [paths.collection(kind, name) for name in home])
        return items, Unseen(kind=kind, namespaces=() if narrower else tuple(home), refusal=narrower or refusal)

    def _listed(self, kind: str, places: Sequence[str]) -> tuple[list[Object], Refused | None]:
        items: list[Object] = []
        try:
            for path in places:
                items += everything(self._api, kind, path, as_it_is).items
        except Refused as error:
            if error.status != FORBIDDEN:
                raise
            return [], error
        return items, None


def key_of(item: Object) -> Key:
    """Who an object is."""
    return Key(item["metadata"].get("namespace", ""), item["metadata"]["name"])


def named(kind: str, item: Object) -> Object:
    """With what a list leaves out of its items."""
    return {"apiVersion": API_VERSION if kind in KINDS else VERSIONS.get(kind, "v1"), "kind": kind, **item}

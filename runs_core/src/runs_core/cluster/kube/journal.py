"""The journal: one small object that says who leads, what the ledger's head is, and which starts and ends are being written.

It is replaced by compare-and-swap before anything of a batch is written. Whoever took over in between has replaced it, so that
a leader that was paused and wakes late is refused, and can have written only what the journal already held.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.errors import Conflict
from runs_core.values.meta import Key

NAME = "runs-journal"


@attrs.frozen(kw_only=True)
class Entry:
    """term counts leaders. intents: by run, the leases that a start or an end in flight writes. head: of the ledger, when it was written."""

    term: int = 0
    holder: str = ""
    head: int = 0
    intents: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)


class Journal:
    """The journal as this process last read or wrote it."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._key = Key(namespace, NAME)
        self._version = ""
        self.entry = Entry()

    def take_over(self, holder: str) -> Entry:
        """Raise the term in one's own name; returns what stood there before. Conflict: another took over at the same time."""
        before = self._read()
        self.entry = before
        self.write(attrs.evolve(before, term=before.term + 1, holder=holder))
        return before

    def write(self, entry: Entry) -> None:
        """Conflict: the journal is not what this process last saw; nothing was written, and it leads no more."""
        body: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self._key.name, "namespace": self._key.namespace, "resourceVersion": self._version},
            "data": {
                "term": str(entry.term),
                "holder": entry.holder,
                "head": format(entry.head, "x"),
                "intents": json.dumps(entry.intents, sort_keys=True),
            },
        }
        try:
            _, stored = self._api.apply(paths.one("ConfigMap", self._key), body)
        except Refused as error:
            if error.status == 409:
                raise Conflict(f"another scheduler wrote the journal: {error.message}") from error
            raise
        self._version = stored["metadata"]["resourceVersion"]
        self.entry = entry

    def _read(self) -> Entry:
        try:
            _, stored = self._api.call("GET", paths.one("ConfigMap", self._key))
        except Refused as error:
            if error.status != 404:
                raise
            _, stored = self._api.call(
                "POST",
                paths.collection("ConfigMap", self._key.namespace),
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": self._key.namespace}},
            )
        self._version = stored["metadata"]["resourceVersion"]
        told = stored.get("data") or {}
        intents = json.loads(told.get("intents", "{}"))
        return Entry(
            term=int(told.get("term", "0")),
            holder=told.get("holder", ""),
            head=int(told.get("head", "0"), 16),
            intents={run: tuple(leases) for run, leases in intents.items()},
        )

"""The journal: who leads, what the ledger's head is, which starts and ends are being written, which evidence was made.

It is replaced by compare-and-swap before anything of a batch is written. Whoever took over in between has replaced it,
so that a leader that was paused and wakes late is refused, and can have written only what the journal already held: the
leases that it says are being opened are opened by whoever takes over, so that a late write of them changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import attrs

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.cluster.kube.entry import Entry, read, written
from runs_core.cluster.kube.rights import JOURNAL
from runs_core.cluster.kube.unread import Unread
from runs_core.errors import Conflict, Deposed, Unavailable
from runs_core.values.meta import Key
from runs_core.values.nonces import Chain

ANSWER_SECONDS = 5.0
"""Nothing is decided while the journal is being written; whether an unanswered write arrived is found out."""
MOST_TRIES = 5
MOST_TOLD = 3


class Journal:
    """The journal as this process last read or wrote it. entry: what it holds.

    unread: what could not be read of it when it was taken over, and where that is kept; a sentence each.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._key = Key(namespace, JOURNAL)
        self._version = ""
        self.entry = Entry()
        self.unread: tuple[str, ...] = ()

    def take_over(self, holder: str, first: str = "") -> Entry:
        """Raise the term in one's own name; returns what stood there before. Deposed: another did so at the same time.

        What was in flight stays in it until the first batch replaces it. first: what binds the nonce of the first
        resolution, where there was none yet. What somebody made of it that cannot be read is kept aside, and counts as
        never written.
        """
        stored, self._version = self._stored()
        before, wrong = read(stored)
        if wrong:
            self._set_aside(stored, wrong)
        if not before.first:
            chain = before.chain if before.chain.number else Chain(commitment=first)
            before = attrs.evolve(before, first=first, chain=chain)
        self.entry = attrs.evolve(before, holder="")
        self.write(attrs.evolve(before, term=before.term + 1, holder=holder))
        return before

    def write(self, entry: Entry) -> None:
        """Deposed: somebody else has taken over; nothing was written, and this process leads no more.

        Unavailable, Refused: not now. Whether it was written all the same is found out with the next.
        """
        for _ in range(MOST_TRIES):
            try:
                self._replace(entry)
            except Conflict as error:
                stored, version = self._stored()
                if not self._mine(stored):
                    raise Deposed(self._whose(stored)) from error  # and with what was seen before, the next is as well
                self._version = version
                continue  # our own last write arrived after all, and only its answer did not
            return
        raise Unavailable("the journal is refused again and again, though nobody else has written it")

    def _mine(self, stored: Mapping[str, str]) -> bool:
        """Whatever else somebody may have changed, which the next write puts right."""
        mine = (str(self.entry.term), self.entry.holder)
        return bool(self.entry.holder) and (stored.get("term"), stored.get("holder")) == mine

    def _whose(self, stored: Mapping[str, str]) -> str:
        if not stored.get("holder"):
            return f"somebody removed the ConfigMap {self._key}, or what it says"
        if stored["holder"] == self.entry.holder:
            return f"somebody changed the ConfigMap {self._key}"
        return f"{stored['holder']} has taken over"

    def _replace(self, entry: Entry) -> None:
        body: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self._key.name, "namespace": self._key.namespace, "resourceVersion": self._version},
            "data": written(entry),
        }
        try:
            _, stored = self._api.swap(paths.one("ConfigMap", self._key), body, seconds=ANSWER_SECONDS)
        except Refused as error:
            if error.status in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
                raise Conflict(f"the journal is not what was last seen of it: {error.message}") from error
            raise
        self._version = stored["metadata"]["resourceVersion"]
        self.entry = entry

    def _stored(self) -> tuple[Mapping[str, str], str]:
        """Its data, and its version; made, without any, where it is not there."""
        try:
            _, stored = self._api.call("GET", paths.one("ConfigMap", self._key), seconds=ANSWER_SECONDS)
        except Refused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            stored = self._made()
        return stored.get("data") or {}, stored["metadata"]["resourceVersion"]

    def _made(self) -> Object:
        metadata = {"name": self._key.name, "namespace": self._key.namespace}
        body: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        return self._api.call("POST", paths.collection("ConfigMap", self._key.namespace), body)[1]

    def _set_aside(self, stored: Mapping[str, str], wrong: Sequence[str]) -> None:
        """The whole of it, before it is replaced."""
        kept = Unread(self._api, self._key.namespace).keep(stored)
        more = f"; {len(wrong) - MOST_TOLD} more" if len(wrong) > MOST_TOLD else ""
        what = f"the journal, ConfigMap {self._key}, cannot be read: {'; '.join(wrong[:MOST_TOLD])}{more}"
        told = f"{what}; {kept}, and that part counts as never written"
        self.unread = tuple(dict.fromkeys((*self.unread, told)))

"""The journal: who leads, what the ledger's head is, which starts and ends are being written, which evidence was made.

It is replaced by compare-and-swap before anything of a batch is written. Whoever took over in between has replaced it,
so that a leader that was paused and wakes late is refused, and can have written only what the journal already held: the
leases that it says are being opened are opened by whoever takes over, so that a late write of them changes nothing.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from http import HTTPStatus

import attrs

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.cluster.kube.rights import JOURNAL
from runs_core.errors import Conflict, Deposed, Unavailable
from runs_core.schema.convert import lease_from_object, to_object
from runs_core.schema.names import API_VERSION
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.nonces import Chain

ANSWER_SECONDS = 5.0
"""Nothing is decided while the journal is being written; whether an unanswered write arrived is found out."""
MOST_TRIES = 5
FIRST = "firstCommitment"
_PLAIN, _PACKED = "intents", "intents.zlib"
_EVIDENCE = "evidence"
MOST_PLAIN_BYTES = 4 << 10
"""Beyond it the intents are packed: the API server handles each byte of what it stores a few dozen times, and a large
batch would not fit into an object of its otherwise."""


@attrs.frozen(kw_only=True)
class Intent:
    """What is being written of one run's leases. opens: as made, without what the server adds. closes: names."""

    opens: tuple[Object, ...] = ()
    closes: tuple[str, ...] = ()

    @cached_property
    def text(self) -> str:
        """As it is written, again and again for as long as it is in flight."""
        body = {"opens": self.opens, "closes": self.closes}
        return json.dumps(body, sort_keys=True, separators=(",", ":"))

    @property
    def names(self) -> list[str]:
        """Of all its leases."""
        return [*(body["metadata"]["name"] for body in self.opens), *self.closes]

    def joined(self, opens: Sequence[Lease], closes: Sequence[Lease]) -> Intent:
        """With more of the same run."""
        return Intent(
            opens=(*self.opens, *(_plain(lease) for lease in opens)),
            closes=(*self.closes, *(lease.meta.name for lease in closes)),
        )


def _plain(lease: Lease) -> Object:
    body = to_object(lease)
    return {"metadata": {"name": lease.meta.name, "namespace": lease.meta.namespace}, "spec": body["spec"]}


@attrs.frozen(kw_only=True)
class Entry:
    """term counts leaders. intents: by run, what is in flight. head: of the ledger, all in flight taken as done.

    first: what bound the first resolution's nonce. chain: the last resolution that was ever seen to be kept. evidence:
    the ConfigMaps that were to be made for resolutions, by the name of those, whether or not they were kept.
    """

    term: int = 0
    holder: str = ""
    head: int = 0
    intents: Mapping[str, Intent] = attrs.field(factory=dict)
    first: str = ""
    chain: Chain = Chain()
    evidence: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)

    def opening(self) -> list[Lease]:
        """The leases that are being opened, by run; not those that were and are being closed again."""
        return [
            lease_from_object({**body, "apiVersion": API_VERSION, "kind": "GPULease"})
            for run in sorted(self.intents)
            for body in self.intents[run].opens
            if body["metadata"]["name"] not in self.intents[run].closes
        ]


class Journal:
    """The journal as this process last read or wrote it. entry: what it holds."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._key = Key(namespace, JOURNAL)
        self._version = ""
        self.entry = Entry()

    def take_over(self, holder: str, first: str = "") -> Entry:
        """Raise the term in one's own name; returns what stood there before. Deposed: another did so at the same time.

        What was in flight stays in it until the first batch replaces it. first: what binds the nonce of the first
        resolution, where there was none yet.
        """
        before = self._read()
        if not before.first:
            before = attrs.evolve(before, first=first, chain=Chain(commitment=first))
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
                stored = self._read()
                if not self._mine(stored):
                    nobody = f"somebody removed the ConfigMap {self._key}"
                    raise Deposed(f"{stored.holder} has taken over" if stored.holder else nobody) from error
                continue  # our own last write arrived after all, and only its answer did not
            return
        raise Unavailable("the journal is refused again and again, though nobody else has written it")

    def _mine(self, stored: Entry) -> bool:
        return bool(self.entry.holder) and (stored.term, stored.holder) == (self.entry.term, self.entry.holder)

    def _replace(self, entry: Entry) -> None:
        body: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self._key.name, "namespace": self._key.namespace, "resourceVersion": self._version},
            "data": {
                "term": str(entry.term),
                "holder": entry.holder,
                "head": format(entry.head, "x"),
                FIRST: entry.first,
                "resolutions": str(entry.chain.number),
                "commitment": entry.chain.commitment,
                **({_EVIDENCE: _text(entry.evidence)} if entry.evidence else {}),
                **_written(entry.intents),
            },
        }
        try:
            _, stored = self._api.swap(paths.one("ConfigMap", self._key), body, seconds=ANSWER_SECONDS)
        except Refused as error:
            if error.status in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
                raise Conflict(f"the journal is not what was last seen of it: {error.message}") from error
            raise
        self._version = stored["metadata"]["resourceVersion"]
        self.entry = entry

    def _read(self) -> Entry:
        try:
            _, stored = self._api.call("GET", paths.one("ConfigMap", self._key), seconds=ANSWER_SECONDS)
        except Refused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            metadata = {"name": self._key.name, "namespace": self._key.namespace}
            body: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
            _, stored = self._api.call("POST", paths.collection("ConfigMap", self._key.namespace), body)
        self._version = stored["metadata"]["resourceVersion"]
        told = stored.get("data") or {}
        return Entry(
            term=int(told.get("term", "0")),
            holder=told.get("holder", ""),
            head=int(told.get("head", "0"), 16),
            first=told.get(FIRST, ""),
            chain=Chain(number=int(told.get("resolutions", "0")), commitment=told.get("commitment", "")),
            intents=_read(told),
            evidence={name: tuple(parts) for name, parts in json.loads(told.get(_EVIDENCE, "{}")).items()},
        )


def _text(evidence: Mapping[str, Sequence[str]]) -> str:
    return json.dumps(evidence, sort_keys=True, separators=(",", ":"))


def _written(intents: Mapping[str, Intent]) -> dict[str, str]:
    text = ",".join(f"{json.dumps(run)}:{intents[run].text}" for run in sorted(intents))
    text = f"{{{text}}}"
    if len(text) <= MOST_PLAIN_BYTES:
        return {_PLAIN: text}
    return {_PACKED: base64.b64encode(zlib.compress(text.encode(), 1)).decode()}


def _read(told: Mapping[str, str]) -> dict[str, Intent]:
    packed = told.get(_PACKED)
    text = zlib.decompress(base64.b64decode(packed)).decode() if packed else told.get(_PLAIN, "{}")
    return {
        run: Intent(opens=tuple(body["opens"]), closes=tuple(body["closes"])) for run, body in json.loads(text).items()
    }

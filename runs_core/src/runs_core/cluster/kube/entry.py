"""What stands in the journal, and how it is written down as the data of a ConfigMap, which anybody may edit."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import attrs

from runs_core.cluster.kube.api import Object
from runs_core.errors import InvalidInput
from runs_core.schema.convert import UNREADABLE, lease_from_object, to_object
from runs_core.schema.names import API_VERSION
from runs_core.schema.say import got
from runs_core.values.lease import Lease
from runs_core.values.nonces import Chain
from runs_core.world.ledger import MODULUS

FIRST = "firstCommitment"
_PLAIN, _PACKED = "intents", "intents.zlib"
_EVIDENCE = "evidence"
MOST_PLAIN_BYTES = 4 << 10
"""Beyond it the intents are packed: the API server handles each byte of what it stores a few dozen times, and a large
batch would not fit into an object of its otherwise."""
T = TypeVar("T")


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

    def leases(self) -> list[Lease]:
        """Those that are opened."""
        return [lease_from_object({**body, "apiVersion": API_VERSION, "kind": "GPULease"}) for body in self.opens]

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
            lease
            for run in sorted(self.intents)
            for lease in self.intents[run].leases()
            if lease.meta.name not in self.intents[run].closes
        ]


def written(entry: Entry) -> dict[str, str]:
    """As data of a ConfigMap."""
    return {
        "term": str(entry.term),
        "holder": entry.holder,
        "head": format(entry.head, "x"),
        FIRST: entry.first,
        "resolutions": str(entry.chain.number),
        "commitment": entry.chain.commitment,
        **({_EVIDENCE: _text(entry.evidence)} if entry.evidence else {}),
        **_packed(entry.intents),
    }


def read(data: Mapping[str, str]) -> tuple[Entry, tuple[str, ...]]:
    """The entry, and what of it cannot be read, a few words each; that is left out as if it had never been written."""
    if not data:
        return Entry(), ()
    wrong: list[str] = []

    def part(name: str, reading: Callable[[str], T], nothing: T) -> T:
        if name not in data:
            wrong.append(f"{name} is missing")
            return nothing
        try:
            return reading(data[name])
        except (*UNREADABLE, zlib.error):
            wrong.append(f"{name} is {got(data[name])}")
            return nothing

    name = _PACKED if _PACKED in data else _PLAIN
    intents: Mapping[str, Any] = part(name, _unpacked if name == _PACKED else _map, {})
    good = {run: made for run, body in intents.items() if (made := _intent(body)) is not None}
    wrong += [f"{name} of {run} are {got(body)}" for run, body in intents.items() if run not in good]
    return Entry(
        term=part("term", _count, 0),
        holder=part("holder", str, ""),
        head=part("head", _head, 0),
        first=part(FIRST, str, ""),
        chain=Chain(number=part("resolutions", _count, 0), commitment=part("commitment", str, "")),
        intents=good,
        evidence=part(_EVIDENCE, _names, {}) if _EVIDENCE in data else {},
    ), tuple(wrong)


def _text(evidence: Mapping[str, Sequence[str]]) -> str:
    return json.dumps(evidence, sort_keys=True, separators=(",", ":"))


def _packed(intents: Mapping[str, Intent]) -> dict[str, str]:
    text = ",".join(f"{json.dumps(run)}:{intents[run].text}" for run in sorted(intents))
    text = f"{{{text}}}"
    if len(text) <= MOST_PLAIN_BYTES:
        return {_PLAIN: text}
    return {_PACKED: base64.b64encode(zlib.compress(text.encode(), 1)).decode()}


def _unpacked(text: str) -> dict[str, Any]:
    return _map(zlib.decompress(base64.b64decode(text, validate=True)).decode())


def _map(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError(text)
    return found


def _intent(body: object) -> Intent | None:
    """None: it cannot be read."""
    try:
        made = Intent(opens=tuple(body["opens"]), closes=tuple(body["closes"]))  # type: ignore[index]  # perhaps
        made.leases()
        sound = all(isinstance(name, str) for name in made.names)
    except (*UNREADABLE, InvalidInput):
        return None
    return made if sound else None


def _names(text: str) -> dict[str, tuple[str, ...]]:
    found = {name: tuple(parts) for name, parts in _map(text).items() if isinstance(parts, list)}
    if len(found) < len(_map(text)) or not all(isinstance(one, str) for parts in found.values() for one in parts):
        raise TypeError(text)
    return found


def _count(text: str) -> int:
    found = int(text)
    if found < 0:
        raise ValueError(text)
    return found


def _head(text: str) -> int:
    found = int(text, 16)
    if not 0 <= found < MODULUS:
        raise ValueError(text)
    return found

"""Records as bytes that two equal histories share: what an installation or a clock adds is left out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from enum import Enum

import attrs

from runs_core.values.record import Record


class Canon:
    """begin: times are told as seconds since then. Uids are told as numbers, by their first appearance."""

    def __init__(self, begin: datetime) -> None:
        self._begin = begin
        self._uids: dict[str, int] = {}

    def plain(self, thing: object) -> object:
        """As JSON can say it; the names of values' classes stay, so that no two kinds of outcome look alike."""
        match thing:
            case None | bool() | int() | float():
                return thing
            case Enum():
                return thing.value
            case str():
                return f"uid {self._uids[thing]}" if thing in self._uids else thing
            case datetime():
                return (thing - self._begin) / timedelta(seconds=1)
            case timedelta():
                return thing / timedelta(seconds=1)
            case Mapping():
                return {str(key): self.plain(value) for key, value in thing.items()}
            case AbstractSet():
                return sorted(map(str, thing))
            case Sequence():
                return [self.plain(one) for one in thing]
            case _:
                return self._value(thing)

    def _value(self, thing: object) -> object:
        kind = type(thing)
        if not attrs.has(kind):
            return kind.__name__
        fields = {one.name: getattr(thing, one.name) for one in attrs.fields(kind) if one.eq is not False}
        uid = fields.get("uid")
        if isinstance(uid, str) and uid:
            self._uids.setdefault(uid, len(self._uids))
        return {"kind": kind.__name__, **{name: self.plain(value) for name, value in fields.items()}}


def canonical(records: Iterable[Record], begin: datetime) -> bytes:
    """One line of JSON for each record, in order; `seconds`, which measure the machine, are no part of it."""
    canon = Canon(begin)
    lines = (json.dumps(canon.plain(record), sort_keys=True) for record in records)
    return "".join(f"{line}\n" for line in lines).encode()


def first_difference(one: bytes, other: bytes) -> str:
    """The first line in which two canonical histories differ, both ways; empty: they are the same."""
    ours, theirs = one.decode().splitlines(), other.decode().splitlines()
    for at in range(max(len(ours), len(theirs))):
        pair = [lines[at] if at < len(lines) else "nothing" for lines in (ours, theirs)]
        if pair[0] != pair[1]:
            return f"record {at}: {pair[0]} and {pair[1]}"
    return ""

"""All that a scenario came to, in a form that two stages share byte for byte."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from tests.scenarios.stage import Object, Stage

from runs_core.values.quantity import parse_time

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def transcript(stage: Stage, begin: datetime) -> str:
    """Records, leases, statuses and what was taken back, one to a line.

    UIDs are numbered as they first appear, times are seconds since `begin`,

    and how long a decision took is left out. Lots depend on UIDs: those whom one resolution cuts are told by name.
    """
    names = _Names(begin)
    lines = [_line(names.plain({**record, "seconds": None})) for record in _by_name(stage.records())]
    leases = [{"spec": lease["spec"], "status": lease["status"]} for lease in stage.objects("GPULease")]
    lines += sorted(_line(names.plain(lease)) for lease in leases)
    runs = [(run["metadata"]["name"], run["status"]) for run in stage.objects("Run")]
    lines += sorted(_line(names.plain(run)) for run in runs)
    taken = [{"is": one["metadata"]["name"], "status": one["status"]} for one in stage.objects("Resolution")]
    lines += sorted(_line(names.plain(one)) for one in taken)
    promised = [{"is": one["metadata"]["name"], **_said(one)} for one in stage.objects("Reservation")]
    lines += sorted(_line(names.plain(one)) for one in promised)
    return "\n".join(lines)


def _said(one: Object) -> Object:
    return {"spec": one["spec"], "status": one["status"]}


def _by_name(records: Sequence[Object]) -> Iterator[Object]:
    for cut, some in itertools.groupby(records, key=_cut):
        told = list(some)
        yield from sorted(told, key=lambda record: str(record["run"])) if cut else told


def _cut(record: Object) -> tuple[str, ...]:
    """The resolution that has this run go, as its record names it; empty: none."""
    outcome = record["outcome"]
    cut = outcome["is"] in ("Ends", "Released") and str(outcome["closure"]) == "UnfundedReclaimed"
    return (record["at"], outcome["is"], outcome["detail"]) if cut else ()


def difference(told: str, expected: str) -> str | None:
    """The first line that differs, as it was told and as it should be; None: they are equal, byte for byte."""
    if told == expected:
        return None
    pairs = itertools.zip_longest(told.splitlines(), expected.splitlines(), fillvalue="nothing")
    return next((f"{mine}\nbut expected\n{theirs}" for mine, theirs in pairs if mine != theirs), "the end of a line")


class _Names:
    def __init__(self, begin: datetime) -> None:
        self._begin = begin
        self._uids: dict[str, int] = {}

    def plain(self, value: object) -> object:
        match value:
            case dict():
                return {key: self._uid(part) if key == "uid" else self.plain(part) for key, part in value.items()}
            case list() | tuple():
                return [self.plain(part) for part in value]
            case str() if _MOMENT.fullmatch(value):
                return (parse_time(value) - self._begin).total_seconds()
            case _:
                return value

    def _uid(self, uid: str) -> int:
        return self._uids.setdefault(uid, len(self._uids) + 1)


def _line(value: object) -> str:
    return json.dumps(value, sort_keys=True)

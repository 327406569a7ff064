"""Records of decisions as JSON, for those who read the history."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import attrs

from runs_core.schema.names import camel
from runs_core.values.decision import Reason, Step
from runs_core.values.funding import Look, Share
from runs_core.values.meta import Key
from runs_core.values.node import Domain
from runs_core.values.placement import PlacedGroup, PlacedPod
from runs_core.values.quantity import format_duration, format_time
from runs_core.values.record import Record


def record_to_object(record: Record) -> dict[str, Any]:
    """One object with the outcome's name beside its fields.

    `seconds` is the only part that two equal histories may differ in.
    """
    told = _plain(record)
    told["outcome"] = {"is": type(record.outcome).__name__, **_plain(record.outcome)}
    return dict(told)


def _plain(value: Any) -> Any:
    match value:
        case Key() | Domain():
            return str(value)
        case Reason() | Step() | PlacedGroup() | PlacedPod() | Share() | Look():
            return {camel(name): _plain(part) for name, part in zip(value._fields, value, strict=True)}
        case Enum():
            return value.value
        case datetime():
            return format_time(value)
        case timedelta():
            return format_duration(value)
        case tuple() | list():
            return [_plain(part) for part in value]
        case _ if attrs.has(type(value)):
            names = [attribute.name for attribute in attrs.fields(type(value))]
            return {camel(name): _plain(getattr(value, name)) for name in names}
        case _ if hasattr(value, "items"):
            return {key: _plain(part) for key, part in sorted(value.items())}
        case _:
            return value

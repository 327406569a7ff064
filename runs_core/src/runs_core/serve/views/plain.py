"""A view as JSON's own types: camelCase keys, RFC 3339 times in UTC, durations in seconds, runs as namespace/name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum

import attrs

from runs_core.schema.names import camel
from runs_core.values.meta import Key
from runs_core.values.node import Domain
from runs_core.values.quantity import format_time

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


def plain(value: object) -> Plain:
    """Of attrs values, sequences, maps with text keys, and what they hold. TypeError for anything else: a defect."""
    match value:
        case Enum():
            return plain(value.value)
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return format_time(value)
        case timedelta():
            return value.total_seconds()
        case Key() | Domain():
            return str(value)
        case Mapping():
            return {str(key): plain(value[key]) for key in sorted(value, key=str)}
        case tuple() if hasattr(value, "_fields"):
            return {camel(name.rstrip("_")): plain(item) for name, item in zip(value._fields, value, strict=True)}
        case tuple() | list():
            return [plain(item) for item in value]
        case _:
            cls = type(value)
            if not attrs.has(cls):
                raise TypeError(f"a view cannot hold a {cls.__name__}")
            return {camel(field.name.rstrip("_")): plain(getattr(value, field.name)) for field in attrs.fields(cls)}

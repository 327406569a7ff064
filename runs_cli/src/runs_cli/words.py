"""Moments, spans and names as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from runs_core.errors import InvalidInput, Problem
from runs_core.schema.say import got
from runs_core.values.meta import DNS_LABEL, Key
from runs_core.values.node import Domain
from runs_core.values.quantity import format_duration, format_time, parse_duration, parse_time

NONE = "-"


def moment(when: datetime | None) -> str:
    """RFC 3339 to the second."""
    return format_time(when.replace(microsecond=0)) if when is not None else NONE


def span(length: timedelta | None) -> str:
    """The two largest units: `3d4h`, `12m5s`, `0s`."""
    if length is None:
        return NONE
    seconds = max(0, int(length.total_seconds()))
    counts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        counts.append((count, unit))
    first = next((index for index, (count, _) in enumerate(counts) if count), len(counts) - 1)
    return "".join(
        f"{count}{unit}" for index, (count, unit) in enumerate(counts[first : first + 2]) if count or not index
    )


def numbers(values: Iterable[int]) -> str:
    """`0-3,7`: whole numbers with their stretches."""
    stretches: list[list[int]] = []
    for value in sorted(values):
        if stretches and value == stretches[-1][1] + 1:
            stretches[-1][1] = value
        else:
            stretches.append([value, value])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in stretches) or NONE


def place(domain: Domain) -> str:
    """`region/cluster/domain` without the parts that nobody named."""
    default = Domain()
    return "/".join(part for part, unnamed in zip(domain, default, strict=True) if part != unnamed) or default.name


def key_of(text: str, home: str) -> Key:
    """`name`, in the namespace `home`, or `namespace/name`. InvalidInput: it is neither."""
    namespace, slash, name = text.rpartition("/")
    if not name or (slash and re.fullmatch(DNS_LABEL, namespace) is None):
        raise InvalidInput([Problem("RUN", f"got {got(text)}, want NAME or NAMESPACE/NAME")])
    return Key(namespace if slash else home, name)


def duration(text: str, flag: str) -> timedelta:
    """A flag's duration. InvalidInput names the flag."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidInput([Problem(flag, str(error))]) from error


def instant(text: str, flag: str, now: datetime) -> datetime:
    """A flag's time: RFC 3339, or a duration before now."""
    try:
        return now - parse_duration(text) if not text[:4].isdigit() or "T" not in text.upper() else parse_time(text)
    except (ValueError, OverflowError) as error:
        wanted = "want a time such as 2026-01-31T08:00:00Z, or how long ago, such as 24h"
        raise InvalidInput([Problem(flag, f"got {text!r}, {wanted}")]) from error


def shown(value: object) -> str:
    """A setting's value as the settings file writes it."""
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, tuple | list):
        return ", ".join(shown(item) for item in value) or NONE
    return NONE if value is None else str(value)

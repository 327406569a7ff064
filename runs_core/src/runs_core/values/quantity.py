"""Kubernetes' own notations: durations as Go writes them, resource quantities, RFC 3339 times.

Sources: Go `time.ParseDuration`; Kubernetes API conventions, "Resource Quantities" and "Units".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

_DURATION = re.compile(r"(?P<count>\d+(?:\.\d*)?|\.\d+)(?P<unit>ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_WHOLE = re.compile(r"(?P<count>\d{1,6})(?P<unit>s|m|h)", re.ASCII)
"""Most durations are written so, and all of these are in range: they need no exact arithmetic."""
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_MICROSECONDS = {
    "ns": Decimal("0.001"),
    "us": Decimal(1),
    "µs": Decimal(1),
    "μs": Decimal(1),
    "ms": Decimal(1000),
    "s": Decimal(1_000_000),
    "m": Decimal(60_000_000),
    "h": Decimal(3_600_000_000),
}
_SUFFIXES = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:[eE](?P<exponent>[+-]?\d{1,3})|(?P<suffix>[numkMGTPE]|[KMGTPE]i)?)",
    re.ASCII,
)
_TIME = re.compile(r"[1-9]\d{3}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII)
_LAST = datetime.max.replace(tzinfo=UTC)
LARGEST_DURATION = timedelta(hours=2_562_047)
"""Go's int64 nanoseconds end here; a longer duration could not be read back by Kubernetes' own tools."""


def parse_duration(text: str) -> timedelta:
    """`1h30m`, `90s`, `250ms`, `0` → timedelta, to the microsecond. ValueError says what is wanted."""
    unsigned = text.removeprefix("+")
    if unsigned == "0":
        return timedelta()
    whole = _WHOLE.fullmatch(unsigned)
    if whole is not None:
        return timedelta(seconds=int(whole["count"]) * _SECONDS[whole["unit"]])
    parts = list(_DURATION.finditer(unsigned))
    if not parts or "".join(part.group() for part in parts) != unsigned:
        raise ValueError(f"got {text!r}, want a duration such as 90s, 30m or 1h30m")
    total = sum((Decimal(part["count"]) * _MICROSECONDS[part["unit"]] for part in parts), Decimal())
    if total > LARGEST_DURATION / timedelta(microseconds=1):
        raise ValueError(f"got {text!r}, want a duration of at most {LARGEST_DURATION // timedelta(hours=1)}h")
    return timedelta(microseconds=int(total))


def format_duration(span: timedelta) -> str:
    """The shortest text that `parse_duration` and Go read back as the same: `1h30m`, `90.5s` → `1m30.5s`."""
    if span < timedelta():
        raise ValueError(f"a duration cannot be negative: {span}")
    seconds, micros = divmod(span // timedelta(microseconds=1), 1_000_000)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if minutes else ""
    if micros:
        return text + f"{seconds}.{micros:06d}".rstrip("0") + "s"
    return text + (f"{seconds}s" if seconds or not text else "")


def counted(count: int, one: str, many: str = "", *, spec: str = "") -> str:
    """`1 node`, `2 nodes`. many: the plural where it is not `one` and an s. spec: the number's format."""
    number = format(count, spec) if spec else str(count)
    return f"{number} {one if count == 1 else many or one + 's'}"


def parse_quantity(text: str | float) -> Decimal:
    """`500m`, `16Gi`, `2`, `1e3` → the plain number. ValueError says what is wanted."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(f"got {text!r}, want a quantity such as 500m, 2 or 16Gi")
    try:
        number = Decimal(match["number"])
        if match["exponent"]:
            return number.scaleb(int(match["exponent"]))
        return number * _SUFFIXES[match["suffix"] or ""]
    except InvalidOperation as error:
        raise ValueError(f"got {text!r}, want a quantity such as 500m, 2 or 16Gi") from error


def parse_count(text: str | float) -> int:
    """A quantity that must be a whole number ≥ 0, such as GPUs, pods or bytes (a fraction of a byte rounds up)."""
    amount = parse_quantity(text)
    if amount < 0 or amount >= Decimal(2) ** 63:
        raise ValueError(f"got {text!r}, want a quantity from 0 up to 2^63")
    whole = int(amount)
    return whole if whole == amount else whole + 1


def parse_milli(text: str | float) -> int:
    """A quantity of CPU in thousandths of a core, rounded up as Kubernetes does."""
    amount = parse_quantity(text) * 1000
    if amount < 0 or amount >= Decimal(2) ** 63:
        raise ValueError(f"got {text!r}, want a quantity of CPU such as 500m or 2")
    whole = int(amount)
    return whole if whole == amount else whole + 1


def parse_time(text: str) -> datetime:
    """RFC 3339 with an offset → UTC. What is later than the last moment there is, by its offset, counts as that."""
    if _TIME.fullmatch(text) is None:
        raise ValueError(f"got {text!r}, want a time such as 2026-01-31T08:00:00Z")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        return _LAST
    except ValueError as error:
        raise ValueError(f"got {text!r}, want a time such as 2026-01-31T08:00:00Z") from error


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with `Z`; microseconds only where there are any."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat().removesuffix("+00:00") + "Z"

"""Time as whole microseconds since 1970, UTC: exact, and cheap to compare and to multiply."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICRO = timedelta(microseconds=1)
SECOND = 1_000_000
HOUR = 3600 * SECOND
NEVER = 1 << 62
"""Later than any moment that can be written."""

LATEST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICRO
"""The last moment that can be written."""


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // MICRO


def moment_of(micros_: int) -> datetime:
    """The inverse of `micros`."""
    return EPOCH + micros_ * MICRO

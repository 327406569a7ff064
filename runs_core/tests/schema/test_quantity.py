from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs_core.values.quantity import (
    LARGEST_DURATION,
    format_duration,
    format_time,
    parse_count,
    parse_duration,
    parse_milli,
    parse_quantity,
    parse_time,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90s", 90),
        ("1h30m", 5400),
        ("+.5h", 1800),
        ("1.h", 3600),
        ("250ms", 0.25),
        ("5µs", 5e-6),
        ("999ns", 0),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "-5s", "1d", "1h 30m", "h", ".s", "1e3s", "٣s", "3 days", "2562048h", "9" * 60 + "h"]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="want a duration"):
        parse_duration(text)


@given(st.timedeltas(min_value=timedelta(), max_value=LARGEST_DURATION))
def test_a_duration_reads_back_as_written(span: timedelta) -> None:
    assert parse_duration(format_duration(span)) == span


def test_a_duration_is_written_short() -> None:
    written = [format_duration(timedelta(seconds=seconds)) for seconds in (0, 90, 5400, 90.5, 0.25, 86400)]
    assert written == ["0s", "1m30s", "1h30m", "1m30.5s", "0.25s", "24h"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500m", "0.5"),
        ("16Gi", 16 * 2**30),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 10**18),
        (".5", "0.5"),
        ("2.", 2),
        (3, 3),
        ("-1", -1),
    ],
)
def test_a_quantity_is_read_as_kubernetes_reads_it(text: str | int, number: str | int) -> None:
    assert parse_quantity(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "1 Gi", "1gi", "1e", "Ki", "0x10", "1,5", "٣", "1e9999", "nan", "inf"])
def test_what_is_no_quantity_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="want a quantity"):
        parse_quantity(text)


def test_room_asked_for_is_rounded_up() -> None:
    assert (parse_count("1.5"), parse_count("100m"), parse_milli("0.0001"), parse_milli("1.5")) == (2, 1, 1, 1500)


@pytest.mark.parametrize("text", ["-1", "9223372036854775808", "8Ei"])
def test_an_amount_beyond_what_kubernetes_counts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="want a quantity"):
        parse_count(text)


@pytest.mark.parametrize("text", ["2026-01-31T08:00:00Z", "2026-01-31t09:00:00+01:00", "2026-01-31T08:00:00.000z"])
def test_a_time_is_read_into_utc(text: str) -> None:
    assert parse_time(text) == datetime(2026, 1, 31, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31",
        "2026-01-31T08:00:00",
        "2026-02-30T08:00:00Z",
        "2026-01-31 08:00:00Z",
        "٢026-01-31T08:00:00Z",
        "0001-01-01T00:00:00+10:00",
        "0000-01-01T00:00:00Z",
        "2026-01-31T08:00:00+24:30",
        "2026-01-31T08:00:00-01:60",
    ],
)
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="want a time"):
        parse_time(text)


def test_a_time_past_the_last_moment_by_its_offset_counts_as_that() -> None:
    """The API server takes it."""
    assert parse_time("9999-12-31T23:59:59-05:00") == datetime.max.replace(tzinfo=UTC)


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - the timezone comes beside
def test_a_time_reads_back_as_written(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment

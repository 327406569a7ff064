from datetime import UTC, datetime, timedelta

import attrs
import pytest

from runs_core.serve.views.plain import plain
from runs_core.values.meta import Key


@attrs.frozen(kw_only=True)
class Sample:
    class_: str | None
    gpus_free: int
    at: datetime
    length: timedelta
    run: Key


def test_keys_are_camel_case_times_utc_durations_seconds_and_runs_one_word() -> None:
    when = datetime(2026, 1, 5, 12, tzinfo=UTC)
    sample = Sample(class_=None, gpus_free=3, at=when, length=timedelta(minutes=1.5), run=Key("team", "a"))
    assert plain(sample) == {
        "class": None,
        "gpusFree": 3,
        "at": "2026-01-05T12:00:00Z",
        "length": 90.0,
        "run": "team/a",
    }


def test_a_value_that_json_does_not_know_is_a_defect() -> None:
    with pytest.raises(TypeError, match="a view cannot hold a set"):
        plain({1, 2})

"""What `explain` tells of a run that was promised many starts."""

from __future__ import annotations

from datetime import timedelta

from runs_cli.actions.explain import promises_table
from runs_core.serve.views.explain import Promised
from runs_core.testing.builders import A_MONDAY
from runs_core.values.reservation import Basis, Promise, ReservationPhase

MINUTE = timedelta(minutes=1)


def starts_told(count: int) -> list[str]:
    """The column START, of so many promises, each a minute later than the one before."""
    made = tuple(
        Promise(at=A_MONDAY, basis=Basis.ENDS, earliest_start=A_MONDAY + at * MINUTE, cause="x is late")
        for at in range(count)
    )
    one = Promised(reservation="y-1", phase=ReservationPhase.PENDING, reason="Reserved", message="", promises=made)
    return [row[1][11:16] if "T" in row[1] else row[1] for row in promises_table((one,)).rows]


def test_twenty_promises_are_all_shown() -> None:
    assert starts_told(20) == [f"12:{at:02}" for at in range(20)]


def test_of_more_the_first_and_the_last_nineteen_are() -> None:
    assert starts_told(50) == ["12:00", "30 more", *(f"12:{at}" for at in range(31, 50))]

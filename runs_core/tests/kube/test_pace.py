from __future__ import annotations

from runs_core.cluster.kube.pace import BURST, EVENTS_PER_SECOND, Pace


def test_a_burst_is_told_and_then_so_many_a_second() -> None:
    now = [100.0]
    pace = Pace(lambda: now[0])
    assert sum(pace.allows() for _ in range(BURST + 50)) == BURST
    now[0] += 2
    assert sum(pace.allows() for _ in range(BURST)) == 2 * EVENTS_PER_SECOND


def test_what_had_no_room_is_counted_once() -> None:
    pace = Pace(lambda: 100.0)
    for _ in range(BURST + 7):
        pace.allows()
    assert (pace.refused(), pace.refused()) == (7, 0)


def test_no_more_than_a_burst_is_saved_up() -> None:
    now = [100.0]
    pace = Pace(lambda: now[0])
    now[0] += 86_400
    assert sum(pace.allows() for _ in range(2 * BURST)) == BURST

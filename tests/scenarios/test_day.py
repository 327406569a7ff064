"""A day of mixed work, checked against the invariants after every cycle, with its sums worked out beforehand."""

from __future__ import annotations

from tests.scenarios.play import Play

HOUR = 3600
KINDS = (
    {"gpus": 4},
    {"gpus": 8, "per_pod": 8},
    {"gpus": 16, "per_pod": 8, "group": 8},
    {"gpus": 8, "onPodFailure": {"policy": "Retry"}},
    {"gpus": 8, "per_pod": 4, "spread": "SingleDomain"},
    {"gpus": 12, "per_pod": 4, "group": 12},
)


def test_a_day_of_mixed_work_is_done_and_none_of_it_twice(play: Play) -> None:
    """32 GPUs, and one more run every 20 minutes of 24 hours, each of an hour with its start: 28 GPU-hours an hour.

    That is 672 in all, and 87 % of the fleet. a2 and b2, lost from hour 12 to 13, take with them what ran there (a
    group of 12 needs both nodes of its domain), and that is run again. All 72 succeed after exactly one hour not
    lost; of the six kinds, 12 runs each, one has two groups and so two leases: 72 + 12 = 84.
    """
    play.fleet(a1=8, a2=8, b1=8, b2=8)
    for number in range(72):
        play.submit(f"r{number:02}", lasts="3598s", **KINDS[number % 6])
        for name in ("a2", "b2"):
            if number == 36:
                play.lose(name)
            if number == 39:
                play.restore(name)
        play.wait(1200)
    play.until(30 * HOUR)
    leases = [lease for name in play.names() for lease in play.ledger(name)]
    assert set(play.phases().values()) == {"Succeeded"}
    assert [lease.length for lease in leases if lease.closed == "Succeeded"] == [HOUR] * 84
    assert play.gpu_seconds("Succeeded") == 672 * HOUR
    lost = [lease.end for lease in leases if lease.closed != "Succeeded"]
    assert lost
    assert set(lost) <= {12 * HOUR, 12 * HOUR + 1}
    end = max(lease.end or 0 for lease in leases)
    assert play.gpu_seconds() / (32 * end) > 0.8
    assert sum(play.at(name, "startedAt") != play.at(name, "admittedAt") for name in play.names()) > 20

"""GPU-seconds by class: of each lease its GPUs times the whole seconds that it was held, and of each envelope the sum.

A pod comes up 2 s after its start, so that a run that lasts 58 s holds its GPUs for 60.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.scenarios.funds import FundedPlay, envelope

from runs_budgets import plugin as budgets
from runs_core.settings import LocalSettings, Settings

pytestmark = pytest.mark.plugins(budgets=budgets)
HALF = Settings(local=LocalSettings(pod_start=timedelta(seconds=2.5)))


@pytest.mark.live
def test_an_envelope_adds_up_what_was_held_on_it(play: FundedPlay) -> None:
    """x (3 GPUs) 0 to 60, y (2) 10 to 130, z (1, vision) 20 to 50: owned 180 + 240 = 420, shared 30."""
    play.fleet(a1=8)
    play.quota("org", envelope(8))
    play.quota("vision", parents=["org"])
    play.submit("x", gpus=3, owner="org", lasts="58s")
    play.until(10)
    play.submit("y", gpus=2, owner="org", lasts="118s")
    play.until(20)
    play.submit("z", gpus=1, owner="vision", lasts="28s")
    play.until(150)
    assert [play.metered(name) for name in "xyz"] == [[{"owned": 180}], [{"owned": 240}], [{"shared": 30}]]
    assert play.used("org") == {"owned": 420, "shared": 30}


@pytest.mark.fractions
@pytest.mark.settings(HALF)
def test_only_whole_seconds_are_counted(play: FundedPlay) -> None:
    """Pods come up after 2.5 s: x (4) is held for 60.5 s, which are 60 whole ones: 240 GPU-seconds."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    play.submit("x", gpus=4, owner="vision", lasts="58s")
    play.until(80)
    assert [held.length for held in play.ledger("x")] == [60.5]
    assert play.metered("x") == [{"owned": 240}]


@pytest.mark.fractions
@pytest.mark.settings(HALF)
def test_a_class_that_changes_within_a_second_loses_none_of_it(play: FundedPlay) -> None:
    """y ends at 60.5, and x (4, vision), on org's 4 since 0, is unfunded from 10 until then: 50.5 s of its 120.5.

    In all 4 x 120 = 480, whatever class the half seconds fall to: 4 x 50 or 4 x 51 unfunded.
    """
    play.fleet(a1=8)
    play.quota("org", envelope(4))
    play.quota("vision", parents=["org"])
    play.submit("x", gpus=4, owner="vision", lasts="118s")
    play.until(10)
    play.submit("y", gpus=4, owner="org", lasts="48s")
    play.until(140)
    assert [(held.start, held.end) for name in "xy" for held in play.ledger(name)] == [(0, 120.5), (10, 60.5)]
    (split,) = play.metered("x")
    assert sum(split.values()) == 480
    assert split["unfunded"] in (200, 202, 204)


def test_every_group_is_metered_by_itself(play: FundedPlay) -> None:
    """8 GPUs in groups of 4, on envelopes of 4 and 4 for 60 s: two leases of 240."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(4, "a"), envelope(4, "b"))
    play.submit("x", gpus=8, group=4, owner="vision", lasts="58s")
    play.until(80)
    assert play.metered("x") == [{"owned": 240}, {"owned": 240}]
    assert (play.used("vision", "a"), play.used("vision", "b")) == ({"owned": 240}, {"owned": 240})


def test_what_a_node_takes_with_it_is_metered_until_then(play: FundedPlay) -> None:
    """x (4) from 0; a1 is deleted at 30: 120. Again from 30 on b1, for 60 s: 240."""
    play.fleet(a1=4, b1=4)
    play.quota("vision", envelope(4))
    play.submit("x", gpus=4, owner="vision", lasts="58s")
    play.until(30)
    play.lose("a1")
    play.until(120)
    assert play.ledger("x") == [("Start", 0, "NodeLost", 30), ("Requeue", 30, "Succeeded", 90)]
    assert play.metered("x") == [{"owned": 120}, {"owned": 240}]
    assert play.used("vision") == {"owned": 360}


def test_what_goes_is_metered_until_it_has_gone(play: FundedPlay) -> None:
    """x (4), canceled at 30, needs 20 s: until 50, owned, and y (4), waiting for quota, starts then."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    play.submit("x", gpus=4, owner="vision", runtime={"checkpointGrace": "30s"}, stops="20s")
    play.wait(5)
    play.submit("y", gpus=4, owner="vision", funding={"allowUnfunded": False})
    play.until(30)
    play.cancel("x")
    play.until(60)
    assert (play.metered("x"), play.at("y", "startedAt")) == ([{"owned": 200}], 50)


def test_a_retry_of_a_gang_goes_on_in_its_lease(play: FundedPlay) -> None:
    """One rank fails at 60 and the gang is begun anew on its places: one lease, and every second of it is owned."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    play.submit(
        "x",
        gpus=4,
        owner="vision",
        lasts="58s",
        exit_code="1",
        failures="1",
        onPodFailure={"policy": "Retry", "limit": 1, "backoff": "10s"},
    )
    play.until(300)
    (held,) = play.ledger("x")
    assert (play.phase("x"), held.closed) == ("Succeeded", "Succeeded")
    assert play.metered("x") == [{"owned": 4 * int(held.length)}]


def test_a_morning_adds_up(play: FundedPlay) -> None:
    """16 GPUs. Every 20 minutes of 3 hours a run of 4, an hour long, by turns of vision (8), of audio, its sibling (4),
    and of guest (none).

    Three begin in an hour, so that 12 of 16 GPUs are held and nobody waits. Each third run is of one owner, so that
    no two of an owner run at once: vision's 3 runs and audio's are owned, guest's unfunded, 4 GPU-hours each.
    """
    play.fleet(a1=8, b1=8)
    play.quota("org")
    play.quota("vision", envelope(8), parents=["org"])
    play.quota("audio", envelope(4), parents=["org"])
    play.quota("guest")
    for number in range(9):
        owner = ("vision", "audio", "guest")[number % 3]
        play.submit(f"r{number:02}", gpus=4, owner=owner, lasts="3598s")
        play.wait(1200)
    play.until(4 * 3600 + 60)
    assert set(play.phases().values()) == {"Succeeded"}
    assert (play.used("vision"), play.used("audio")) == ({"owned": 3 * 14400}, {"owned": 3 * 14400})
    found = [split for name in play.names() for split in play.metered(name)]
    assert found == [{"owned": 14400}, {"owned": 14400}, {"unfunded": 14400}] * 3


def test_hours_end_in_time_though_somebody_waits_for_a_window_that_opens_later(play: FundedPlay) -> None:
    """x (4) uses up the 4 hours in 3600 s. y (8), which came at 3580, is promised the opening at 7200."""
    play.fleet(a1=8)
    play.quota("org", envelope(8, gpuHours=4), envelope(8, "later", window=play.window(opens=7200)))
    play.submit("x", gpus=4, owner="org", lasts="90m", runtime={"expectedDuration": "90m"})
    play.until(3580)
    play.submit("y", gpus=8, owner="org", funding={"allowUnfunded": False})
    play.until(3599)
    assert (play.promised("y"), play.classes("x")) == (("Pending", 7200, "Window"), {"owned": 4})
    play.until(3601)
    assert play.classes("x") == {"unfunded": 4}

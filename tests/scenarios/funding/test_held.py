"""Nobody starves behind their own later runs: who is reserved, or has waited unfunded too long, holds quota.

Where nothing else is said: nodes a1 of 8 GPUs and b1 of 16, `org` with 8 of quota, and patience of 10 minutes. y
(4, org) runs from 0 to 4000 and l (4, org) from 5 to 5000; h (8, org), from 10 on, waits for quota and does not start
unfunded, and its patience is over at 610. A pod needs 1 s to go.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.scenarios.funds import FundedPlay, cap, envelope

from runs_borrowing import plugin as borrowing
from runs_budgets import plugin as budgets
from runs_core.settings import PatienceSettings, ResolverSettings, Settings


def patient(default: str = "10m", **owners: str) -> pytest.MarkDecorator:
    """No lots are drawn."""
    patience = PatienceSettings(default=default, owners=tuple(owners.items()))
    return pytest.mark.settings(Settings(patience=patience, resolver=ResolverSettings(quantum=timedelta(days=30))))


pytestmark = [pytest.mark.plugins(budgets=budgets, borrowing=borrowing), patient()]
PAID = {"allowUnfunded": False}
LONG = {"minRuntime": "60s"}
NIGHT = "9h"


def h_waits(play: FundedPlay, gpus: int = 8, *more: object, **said: object) -> None:
    """more: envelopes of org; said: of its Budget."""
    play.fleet(a1=8, b1=16)
    play.quota("org", *(more or (envelope(8),)), **said)  # type: ignore[arg-type]  # as quota says
    play.submit("y", gpus=4, owner="org", lasts="3998s", runtime=LONG, funding=PAID)
    play.until(5)
    play.submit("l", gpus=4, owner="org", lasts="4993s", runtime=LONG, funding=PAID)
    play.until(10)
    play.submit("h", gpus=gpus, owner="org", lasts="58s", runtime=LONG, funding=PAID)
    play.until(700)


@pytest.mark.live
def test_who_has_waited_too_long_is_not_starved_by_later_runs(play: FundedPlay) -> None:
    """m (4, org) comes at 700. 4 come free at 4000, and wait for h; 4 more at 5000, and h has them until 5060."""
    h_waits(play)
    play.submit("m", gpus=4, owner="org", lasts="58s", funding=PAID)
    play.until(4010)
    assert (play.phase("h"), play.phase("m"), play.reason("m")) == ("Queued", "Queued", "OutOfQuota")
    play.until(5200)
    assert (play.at("h", "startedAt"), play.at("m", "startedAt")) == (5000, 5060)


@patient("2h")
def test_before_its_patience_is_over_nothing_is_held(play: FundedPlay) -> None:
    """At 4000 m takes what comes free."""
    h_waits(play)
    play.submit("m", gpus=4, owner="org", lasts=NIGHT, funding=PAID)
    play.until(5200)
    assert (play.at("m", "startedAt"), play.at("h", "startedAt")) == (4000, None)


@patient("Never")
def test_where_patience_is_never_it_is_an_hour_for_this(play: FundedPlay) -> None:
    """10 + 3600 is before 4000."""
    h_waits(play)
    play.submit("m", gpus=4, owner="org", lasts="58s", funding=PAID)
    play.until(5200)
    assert (play.at("h", "startedAt"), play.at("m", "startedAt")) == (5000, 5060)


def test_the_runs_behind_may_start_unfunded(play: FundedPlay) -> None:
    """m may, and does at 700; h is paid for at 5000, and m once h has gone."""
    h_waits(play)
    play.submit("m", gpus=4, owner="org", lasts=NIGHT)
    play.until(4010)
    assert (play.at("m", "startedAt"), play.classes("m")) == (700, {"unfunded": 4})
    play.until(5010)
    assert (play.classes("h"), play.classes("m")) == ({"owned": 8}, {"unfunded": 4})
    play.until(5100)
    assert play.classes("m") == {"owned": 4}


def test_what_an_earlier_run_wants_is_not_held_from_it(play: FundedPlay) -> None:
    """e (8, org) comes before h, and waits as long: it starts first, and h once it has gone."""
    play.fleet(a1=8, b1=16)
    play.quota("org", envelope(8))
    play.submit("y", gpus=8, owner="org", lasts="3998s", runtime=LONG, funding=PAID)
    play.until(5)
    play.submit("e", gpus=8, owner="org", lasts="58s", runtime=LONG, funding=PAID)
    play.until(10)
    play.submit("h", gpus=6, owner="org", lasts="58s", runtime=LONG, funding=PAID)
    play.until(4200)
    assert (play.at("e", "startedAt"), play.at("h", "startedAt")) == (4000, 4060)


def test_once_it_has_left_nothing_is_held(play: FundedPlay) -> None:
    h_waits(play)
    play.submit("m", gpus=4, owner="org", lasts=NIGHT, funding=PAID)
    play.until(4010)
    play.cancel("h")
    play.until(4020)
    assert play.at("m", "startedAt") == 4010


def test_family_may_use_it_meanwhile(play: FundedPlay) -> None:
    """k (4, kid) has what comes free at 4000, and yields it at 5000."""
    h_waits(play)
    play.quota("kid", parents=["org"])
    play.submit("k", gpus=4, owner="kid", lasts=NIGHT)
    play.until(4010)
    assert play.classes("k") == {"shared": 4}
    play.until(5010)
    assert (play.classes("h"), play.classes("k")) == ({"owned": 8}, {"unfunded": 4})


def test_nobody_is_lent_it(play: FundedPlay) -> None:
    """s (4, guest) would borrow what comes free at 4000: it is lent that at 5060, when h has gone."""
    h_waits(play, 8, envelope(8, lending={"to": ["*"]}))
    play.quota("guest")
    play.submit("s", gpus=4, owner="guest", lasts="58s", funding={**PAID, "allowBorrow": True, "sponsors": ["org"]})
    play.until(4010)
    assert play.reason("s") == "OutOfQuota"
    play.until(5200)
    assert play.at("s", "startedAt") == 5060


def test_what_is_held_counts_against_a_cap(play: FundedPlay) -> None:
    """Of wide (8) and spot (8) no more than 8 together: what h would have of wide, m cannot take of spot."""
    h_waits(play, 8, envelope(8, name="wide"), envelope(8, name="spot"), caps=[cap("all", 8, "wide", "spot")])
    play.submit("m", gpus=4, owner="org", lasts="58s", funding=PAID)
    play.until(5200)
    assert (play.at("h", "startedAt"), play.at("m", "startedAt")) == (5000, 5060)


def test_who_wants_more_than_there_ever_is_holds_nothing(play: FundedPlay) -> None:
    """h wants 12 of a quota of 8."""
    h_waits(play, 12)
    play.submit("m", gpus=4, owner="org", lasts=NIGHT, funding=PAID)
    play.until(4010)
    assert play.at("m", "startedAt") == 4000


def test_whom_the_fleet_could_never_place_holds_nothing(play: FundedPlay) -> None:
    """A group of h is of 12, in one domain, and b1, which has that many, is lost at 3000: m has c1 then."""
    play.fleet(a1=8, b1=16, c1=4)
    play.quota("org", envelope(12))
    play.submit("y", gpus=8, owner="org", lasts="3998s", runtime=LONG, funding=PAID)
    play.until(10)
    play.submit("h", gpus=12, owner="org", lasts="58s", funding=PAID, topology={"groupGPUs": 12})
    play.until(700)
    play.submit("m", gpus=4, owner="org", lasts="5m", funding=PAID)
    play.until(3000)
    assert play.phase("m") == "Queued"
    play.lose("b1")
    play.until(3010)
    assert (play.reason("h"), play.at("m", "startedAt")) == ("NeverFits", 3000)


def test_a_reserved_run_holds_what_covers_it(play: FundedPlay) -> None:
    """x (8, bank) has a1 until 300, as it says; h (8 in one domain) is promised that. m (4, org) is unfunded on c1."""
    play.fleet(a1=8, c1=4)
    play.quota("bank", envelope(8))
    play.quota("org", envelope(8))
    play.submit("x", gpus=8, owner="bank", lasts="298s", runtime={"expectedDuration": "5m"})
    play.until(10)
    play.submit("h", gpus=8, owner="org", lasts="58s", topology={"groupGPUs": 8})
    play.wait()
    assert play.promised("h") == ("Pending", 300, "Ends")
    play.until(20)
    play.submit("m", gpus=4, owner="org", lasts=NIGHT)
    play.until(310)
    assert (play.at("m", "startedAt"), play.classes("m")) == (20, {"unfunded": 4})
    assert (play.at("h", "startedAt"), play.classes("h")) == (300, {"owned": 8})
    play.until(400)
    assert play.classes("m") == {"owned": 4}


def test_of_two_that_ask_the_same_the_second_is_not_promised_what_the_first_holds(play: FundedPlay) -> None:
    """h and i want 8 each in one domain; i is promised nothing until h has started."""
    play.fleet(a1=8, c1=4)
    play.quota("bank", envelope(8))
    play.quota("org", envelope(8))
    play.submit("x", gpus=8, owner="bank", lasts="298s", runtime={"expectedDuration": "5m"})
    for at, name in ((10, "h"), (11, "i")):
        play.until(at)
        play.submit(name, gpus=8, owner="org", lasts="58s", topology={"groupGPUs": 8}, funding=PAID)
    play.until(200)
    assert (play.promised("h"), play.promised("i")) == (("Pending", 300, "Ends"), None)
    play.until(500)
    assert (play.at("h", "startedAt"), play.at("i", "startedAt")) == (300, 360)


def test_nothing_is_held_any_more_for_whom_a_window_has_closed(play: FundedPlay) -> None:
    """w (8) waits for x (4) on main, which closes at 1200, and from 610 on holds 4 of second too: z (4) is not paid.

    From 1200 on second alone could not pay for w, ever: it holds nothing, and second is z's.
    """
    play.fleet(a1=8, a2=8)
    play.quota("org", envelope(4, window=play.window(closes=1200)), envelope(4, "second"))
    play.submit("x", gpus=4, owner="org", funding=PAID)
    play.until(10)
    play.submit("w", gpus=8, owner="org", funding=PAID)
    play.until(700)
    play.submit("z", gpus=4, owner="org")
    play.until(1190)
    assert (play.classes("z"), play.phase("w")) == ({"unfunded": 4}, "Queued")
    play.until(1210)
    assert play.classes("z") == {"owned": 4}

"""Budgets that change, go or move under running work: it is demoted or funded again, and never killed.

And who spends: namespaces of several owners, of none, and of another than before.
"""

from __future__ import annotations

import pytest
from tests.scenarios.funds import FundedPlay, envelope

from runs_budgets import plugin as budgets
from runs_core.settings import Settings, Unbudgeted

pytestmark = pytest.mark.plugins(budgets=budgets)


@pytest.mark.live
def test_a_budget_that_is_deleted_kills_nothing_and_pays_again_when_it_is_back(play: FundedPlay) -> None:
    """x (4) from 0 to 120; vision's Budget is gone from 30 to 60: owned 4 x (30 + 60) = 360, unfunded 4 x 30 = 120."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    play.submit("x", gpus=4, owner="vision", lasts="118s")
    play.until(30)
    play.delete_budget("vision")
    play.until(60)
    assert (play.phase("x"), play.classes("x"), play.owners("x")) == ("Running", {"unfunded": 4}, ["vision"])
    play.quota("vision", envelope(4))
    play.wait(5)
    assert play.classes("x") == {"owned": 4}
    play.until(140)
    assert play.metered("x") == [{"owned": 360, "unfunded": 120}]


def test_an_envelope_that_is_of_another_flavor_now_pays_for_none_of_the_former(play: FundedPlay) -> None:
    """x (4 of default) goes on, unfunded from 10 on; all 4 of rare are y's to have, and owned."""
    play.fleet(a1=8)
    play.node("b1", flavor="rare")
    play.quota("vision", envelope(4))
    play.submit("x", gpus=4, owner="vision", flavor="default")
    play.until(10)
    assert play.classes("x") == {"owned": 4}
    play.quota("vision", envelope(4, flavor="rare"))
    play.wait(5)
    assert (play.phase("x"), play.classes("x")) == ("Running", {"unfunded": 4})
    play.submit("y", gpus=4, owner="vision", flavor="rare")
    play.wait(5)
    assert play.classes("y") == {"owned": 4}


def test_an_envelope_that_is_taken_out_and_put_back(play: FundedPlay) -> None:
    """b goes at 10 and is back at 20; x, on a, does not notice; y, on b, does."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4, "a"), envelope(4, "b"))
    for name in "xy":
        play.submit(name, gpus=4, owner="vision")
        play.wait(5)
    assert (play.payers("x"), play.payers("y")) == ({"vision/a": 4}, {"vision/b": 4})
    play.quota("vision", envelope(4, "a"))
    play.wait(10)
    assert (play.classes("x"), play.classes("y")) == ({"owned": 4}, {"unfunded": 4})
    play.quota("vision", envelope(4, "a"), envelope(4, "b"))
    play.wait(10)
    assert (play.classes("x"), play.classes("y")) == ({"owned": 4}, {"owned": 4})


def test_what_is_no_longer_shared_demotes_the_family(play: FundedPlay) -> None:
    """org shares its 4 with its child's x; at 10 it does so no more, and at 20 again."""
    play.fleet(a1=8)
    play.quota("org", envelope(4))
    play.quota("vision", parents=["org"])
    play.submit("x", gpus=4, owner="vision")
    told = []
    for sharing in ("None", "Family"):
        play.wait(10)
        play.quota("org", envelope(4, sharing=sharing))
        play.wait(1)
        told.append((play.classes("x"), play.phase("x")))
    assert told == [({"unfunded": 4}, "Running"), ({"shared": 4}, "Running")]


@pytest.mark.live
def test_who_is_unfunded_says_that_nobody_pays_until_somebody_does_again(play: FundedPlay) -> None:
    """x (4) is org's; from 10 to 20 org has no quota. Its lease says all the time whose claim it is."""
    play.fleet(a1=8)
    play.quota("org", envelope(4))
    play.submit("x", gpus=4, owner="org")
    told = []
    for gpus in (4, 1, 4):
        play.quota("org", envelope(gpus))
        play.wait(10)
        told.append((play.classes("x"), play.paid_by("x"), play.payers("x")))
    theirs = {"org/main": 4}
    assert told == [({"owned": 4}, theirs, theirs), ({"unfunded": 4}, {}, theirs), ({"owned": 4}, theirs, theirs)]


def test_of_two_envelopes_the_one_that_cannot_pay_is_no_payer(play: FundedPlay) -> None:
    """x is 4 on a and 4 on b. Without a, b alone pays; and without b, a does, with as many unfunded as before."""
    play.fleet(a1=8)
    play.quota("org", envelope(4, "a"), envelope(4, "b"))
    play.submit("x", gpus=8, owner="org")
    told = []
    for a, b in ((1, 4), (4, 1), (4, 4)):
        play.wait(10)
        play.quota("org", envelope(a, "a"), envelope(b, "b"))
        play.wait(1)
        told.append((play.classes("x"), play.paid_by("x")))
    half, both = {"owned": 4, "unfunded": 4}, {"org/a": 4, "org/b": 4}
    assert told == [(half, {"org/b": 4}), (half, {"org/a": 4}), ({"owned": 8}, both)]


def test_a_child_that_leaves_the_family_is_a_stranger(play: FundedPlay) -> None:
    """vision takes org out of its parents at 10: nobody is lent anything, and x is unfunded."""
    play.fleet(a1=8)
    play.quota("org", envelope(4))
    play.quota("vision", parents=["org"])
    play.submit("x", gpus=4, owner="vision")
    play.wait(10)
    play.quota("vision")
    play.wait(10)
    assert (play.phase("x"), play.classes("x"), play.payers("x")) == ("Running", {"unfunded": 4}, {"org/main": 4})


def test_an_envelope_that_grows_pays_for_more_of_the_line(play: FundedPlay) -> None:
    """x and y (4 each) at 0 and 5 on 4; with 8 from 10 on, y has a payer too."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    for name in "xy":
        play.submit(name, gpus=4, owner="vision")
        play.wait(5)
    assert (play.classes("x"), play.classes("y")) == ({"owned": 4}, {"unfunded": 4})
    play.quota("vision", envelope(8))
    play.wait(5)
    assert (play.classes("x"), play.classes("y")) == ({"owned": 4}, {"owned": 4})
    assert [(held.opened, held.start) for held in play.ledger("y")] == [("Start", 5), ("Repaid", 10)]


def test_a_namespace_of_two_owners_has_to_be_told_who_pays(play: FundedPlay) -> None:
    """x says nothing and is held; y says audio. At 10 x says vision, which pays for it then."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    play.quota("audio", envelope(4))
    play.submit("x", gpus=4)
    play.submit("y", gpus=4, owner="audio")
    play.wait(10)
    assert (play.phase("x"), play.codes("x"), play.payers("y")) == ("Held", ["OwnerAmbiguous"], {"audio/main": 4})
    play.edit("x", owner="vision")
    play.wait(5)
    assert (play.payers("x"), play.classes("x")) == ({"vision/main": 4}, {"owned": 4})


def test_an_owner_that_the_namespace_may_not_spend_for_pays_for_nothing(play: FundedPlay) -> None:
    """audio's 8 are spent by another namespace: x, which names audio, is held until 10, when audio lists this one."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    play.quota("audio", envelope(8), namespaces=["elsewhere"])
    play.submit("x", gpus=8, owner="audio")
    play.wait(10)
    assert (play.phase("x"), play.codes("x"), play.held_gpus()) == ("Held", ["OwnerUnknown"], 0)
    play.quota("audio", envelope(8), namespaces=["elsewhere", "research"])
    play.wait(5)
    assert (play.at("x", "startedAt"), play.payers("x")) == (10, {"audio/main": 8})


def test_a_namespace_without_a_budget_runs_without_a_payer(play: FundedPlay) -> None:
    """Nobody spends for it: x has no owner, and another namespace's 8 idle GPUs of quota are not for it."""
    play.fleet(a1=8)
    play.quota("vision", envelope(8), namespaces=["elsewhere"])
    play.submit("x", gpus=4)
    play.wait(5)
    assert (play.phase("x"), play.classes("x"), play.owners("x")) == ("Running", {"unfunded": 4}, [None])


def test_a_budget_that_comes_later_pays_for_what_runs_without_an_owner(play: FundedPlay) -> None:
    """From 10 on vision spends for the namespace: x's leases open again, with an owner and a payer."""
    play.fleet(a1=8)
    play.submit("x", gpus=4)
    play.wait(10)
    play.quota("vision", envelope(8))
    play.wait(5)
    assert (play.classes("x"), play.payers("x")) == ({"owned": 4}, {"vision/main": 4})
    assert play.owners("x") == [None, "vision"]
    assert [(held.opened, held.start) for held in play.ledger("x")] == [("Start", 0), ("Repaid", 10)]


@pytest.mark.settings(Settings(unbudgeted=Unbudgeted.DENY))
def test_where_runs_without_an_owner_are_denied_a_budget_lets_them_in_and_pays(play: FundedPlay) -> None:
    """x is held until vision's Budget lists the namespace, at 10."""
    play.fleet(a1=8)
    play.submit("x", gpus=4)
    play.wait(10)
    assert (play.phase("x"), play.codes("x")) == ("Held", ["Unbudgeted"])
    play.quota("vision", envelope(4))
    play.wait(5)
    assert (play.at("x", "startedAt"), play.classes("x")) == (10, {"owned": 4})


def test_a_namespace_that_moves_to_another_owner_keeps_what_runs_where_it_is(play: FundedPlay) -> None:
    """At 10 audio spends for the namespace instead of vision. x's lease is vision's all the same; y is audio's."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    play.submit("x", gpus=4)
    play.wait(10)
    play.quota("vision", envelope(4), namespaces=["elsewhere"])
    play.quota("audio", envelope(4))
    play.wait(1)
    play.submit("y", gpus=4)
    play.wait(5)
    assert (play.payers("x"), play.classes("x"), play.owners("x")) == ({"vision/main": 4}, {"owned": 4}, ["vision"])
    assert (play.payers("y"), play.classes("y"), play.owners("y")) == ({"audio/main": 4}, {"owned": 4}, ["audio"])


def test_unfunded_work_of_a_namespace_that_moves_is_paid_for_by_the_new_owner(play: FundedPlay) -> None:
    """vision has no quota for x. At 10 the namespace is audio's, which has."""
    play.fleet(a1=8)
    play.quota("vision")
    play.submit("x", gpus=4)
    play.wait(10)
    play.quota("vision", namespaces=["elsewhere"])
    play.quota("audio", envelope(4))
    play.wait(5)
    assert (play.payers("x"), play.owners("x")) == ({"audio/main": 4}, ["vision", "audio"])


def test_two_envelopes_of_one_name_in_two_budgets_are_two(play: FundedPlay) -> None:
    """org's main (4) and vision's main (2): x (6, vision) has both, the nearer first."""
    play.fleet(a1=8)
    play.quota("org", envelope(4))
    play.quota("vision", envelope(2), parents=["org"])
    play.submit("x", gpus=6, owner="vision", lasts="58s")
    play.until(80)
    assert (play.used("vision"), play.used("org")) == ({"owned": 120}, {"shared": 240})
    assert play.metered("x") == [{"owned": 120}, {"shared": 240}]


def test_headroom_is_what_the_owner_could_still_be_given(play: FundedPlay) -> None:
    """Of org's 8, y (3) is its own: 5 are left to it, although x (4, vision) uses 4 of these."""
    play.fleet(a1=8)
    play.quota("org", envelope(8))
    play.quota("vision", parents=["org"])
    play.submit("x", gpus=4, owner="vision")
    play.submit("y", gpus=3, owner="org")
    play.wait(15)
    assert play.headroom("org") == 5

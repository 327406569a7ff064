"""Who pays within a family, who yields to whom, and who is a stranger.

Where nothing else is said: two nodes a1 and b1 of 8 GPUs, every Budget spends for the one namespace, and runs name
their owner. `org` is the parent of `vision` and `audio`.
"""

from __future__ import annotations

import pytest
from tests.scenarios.funds import FundedPlay, envelope

from runs_budgets import plugin as budgets

pytestmark = pytest.mark.plugins(budgets=budgets)
LONG = "1h"


def test_own_quota_goes_before_the_parents(play: FundedPlay) -> None:
    """x (6) takes the 4 of its own, and 2 of the parent's 8."""
    play.fleet(a1=8)
    play.quota("org", envelope(8))
    play.quota("vision", envelope(4), parents=["org"])
    play.submit("x", gpus=6, owner="vision")
    play.wait(5)
    assert play.payers("x") == {"vision/main": 4, "org/main": 2}
    assert play.classes("x") == {"owned": 4, "shared": 2}


def test_a_parents_quota_goes_before_a_siblings(play: FundedPlay) -> None:
    """Of x's 4, the parent (its name comes last) pays its 2, and only then the sibling 2 of its 8."""
    play.fleet(a1=8)
    play.quota("zorg", envelope(2))
    play.quota("audio", envelope(8), parents=["zorg"])
    play.quota("vision", parents=["zorg"])
    play.submit("x", gpus=4, owner="vision")
    play.wait(5)
    assert (play.payers("x"), play.classes("x")) == ({"zorg/main": 2, "audio/main": 2}, {"shared": 4})


def test_a_siblings_quota_goes_before_a_cousins(play: FundedPlay) -> None:
    """vision and zeta are children of east, alpha is one of west; east and west are of root. zeta 2, then alpha 2."""
    play.fleet(a1=8)
    play.quota("root")
    play.quota("east", parents=["root"])
    play.quota("west", parents=["root"])
    play.quota("vision", parents=["east"])
    play.quota("zeta", envelope(2), parents=["east"])
    play.quota("alpha", envelope(8), parents=["west"])
    play.submit("x", gpus=4, owner="vision")
    play.wait(5)
    assert (play.payers("x"), play.classes("x")) == ({"zeta/main": 2, "alpha/main": 2}, {"shared": 4})


def test_inside_a_tier_it_goes_by_budget_and_envelope(play: FundedPlay) -> None:
    """5 = audio/a 2 + audio/b 2 + body/a 1, although b was written before a."""
    play.fleet(a1=8)
    play.quota("org")
    play.quota("body", envelope(8, "a"), parents=["org"])
    play.quota("audio", envelope(2, "b"), envelope(2, "a"), parents=["org"])
    play.quota("vision", parents=["org"])
    play.submit("x", gpus=5, owner="vision")
    play.wait(5)
    assert play.payers("x") == {"audio/a": 2, "audio/b": 2, "body/a": 1}


def test_what_is_not_shared_pays_for_its_owner_only(play: FundedPlay) -> None:
    """org's 8 are not for its child: x (4, vision) runs without a payer, y (4, org) with."""
    play.fleet(a1=8)
    play.quota("org", envelope(8, sharing="None"))
    play.quota("vision", parents=["org"])
    play.submit("x", gpus=4, owner="vision")
    play.submit("y", gpus=4, owner="org")
    play.wait(5)
    assert (play.payers("x"), play.classes("x")) == ({}, {"unfunded": 4})
    assert (play.payers("y"), play.classes("y")) == ({"org/main": 4}, {"owned": 4})


def test_a_stranger_pays_for_nobody(play: FundedPlay) -> None:
    """audio has 8 idle GPUs of quota, and no parent in common with vision."""
    play.fleet(a1=8)
    play.quota("org")
    play.quota("audio", envelope(8), parents=["org"])
    play.quota("vision")
    play.submit("x", gpus=4, owner="vision")
    play.wait(5)
    assert (play.phase("x"), play.payers("x"), play.classes("x")) == ("Running", {}, {"unfunded": 4})


def test_a_child_does_not_pay_for_its_parent(play: FundedPlay) -> None:
    """org names no parent: vision's 8 are a stranger's to it."""
    play.fleet(a1=8)
    play.quota("org")
    play.quota("vision", envelope(8), parents=["org"])
    play.submit("x", gpus=4, owner="org")
    play.wait(5)
    assert play.classes("x") == {"unfunded": 4}


def test_neither_a_grandparent_nor_an_aunt_is_asked(play: FundedPlay) -> None:
    """deep is of vision, which is of org: org (8) is no parent of deep, and audio (8) has no grandparent."""
    play.fleet(a1=8)
    play.quota("org", envelope(8))
    play.quota("audio", envelope(8), parents=["org"])
    play.quota("vision", parents=["org"])
    play.quota("deep", parents=["vision"])
    play.submit("x", gpus=4, owner="deep")
    play.wait(5)
    assert play.classes("x") == {"unfunded": 4}


@pytest.mark.live
def test_an_owner_recalls_its_quota_by_claiming_it_and_gives_it_back_at_the_end(play: FundedPlay) -> None:
    """org's 8 pay for x (vision) from 0; y (org) claims them from 10 to 70. x keeps running, in one lease, 0 to 120.

    Shared 8 x (10 + 50) = 480 GPU-seconds, unfunded 8 x 60 = 480; in all 8 x 120.
    """
    play.fleet(a1=8, b1=8)
    play.quota("org", envelope(8))
    play.quota("vision", parents=["org"])
    play.submit("x", gpus=8, owner="vision", lasts="118s")
    play.wait(10)
    assert play.classes("x") == {"shared": 8}
    play.submit("y", gpus=8, owner="org", lasts="58s")
    play.wait(10)
    assert (play.classes("x"), play.classes("y"), play.phase("x")) == ({"unfunded": 8}, {"owned": 8}, "Running")
    play.until(80)
    assert (play.classes("x"), play.payers("x")) == ({"shared": 8}, {"org/main": 8})
    play.until(140)
    assert (play.phase("x"), play.metered("x")) == ("Succeeded", [{"shared": 480, "unfunded": 480}])
    assert play.metered("y") == [{"owned": 480}]
    assert play.used("org") == {"owned": 480, "shared": 480, "unfunded": 480}
    assert play.takings() == []


def test_of_equals_who_holds_longer_keeps(play: FundedPlay) -> None:
    """z (4) since 0 and x (4) since 5 on org's 8. org's own y (4) leaves 4: z's, although x has the smaller name."""
    play.fleet(a1=8, b1=8)
    play.quota("org", envelope(8))
    play.quota("vision", parents=["org"])
    for name, owner in (("z", "vision"), ("x", "vision"), ("y", "org")):
        play.submit(name, gpus=4, owner=owner, lasts=LONG)
        play.wait(5)
    assert [play.classes(name) for name in "zxy"] == [{"shared": 4}, {"unfunded": 4}, {"owned": 4}]


def test_the_nearer_keeps_before_who_holds_longer(play: FundedPlay) -> None:
    """On audio's 8: x, of its sibling, since 0; z, of its child deep, since 5. Its own y (4) leaves 4: z's."""
    play.fleet(a1=8, b1=8)
    play.quota("org")
    play.quota("audio", envelope(8), parents=["org"])
    play.quota("vision", parents=["org"])
    play.quota("deep", parents=["audio"])
    for name, owner in (("x", "vision"), ("z", "deep"), ("y", "audio")):
        play.submit(name, gpus=4, owner=owner, lasts=LONG)
        play.wait(5)
    assert [play.classes(name) for name in "xzy"] == [{"unfunded": 4}, {"shared": 4}, {"owned": 4}]


def test_a_nearer_relative_displaces_nobody_when_it_comes(play: FundedPlay) -> None:
    """audio's 8 are x's, a sibling's. z (8), of audio's child, comes at 5: nothing is left, and x keeps what it has."""
    play.fleet(a1=8, b1=8)
    play.quota("org")
    play.quota("audio", envelope(8), parents=["org"])
    play.quota("vision", parents=["org"])
    play.quota("deep", parents=["audio"])
    play.submit("x", gpus=8, owner="vision")
    play.wait(5)
    play.submit("z", gpus=8, owner="deep")
    play.wait(5)
    assert (play.classes("x"), play.classes("z"), play.payers("z")) == ({"shared": 8}, {"unfunded": 8}, {})


def test_owners_on_a_circle_have_no_parents_until_it_is_mended(play: FundedPlay) -> None:
    """vision and audio name each other: audio's 8 pay for nobody else, and both Budgets say so. From 20 on they do."""
    play.fleet(a1=8)
    play.quota("audio", envelope(8), parents=["vision"])
    play.quota("vision", parents=["audio"])
    play.submit("x", gpus=4, owner="vision")
    play.wait(20)
    assert play.classes("x") == {"unfunded": 4}
    assert play.ready("audio") == play.ready("vision") == ("False", "ParentCycle")
    play.quota("audio", envelope(8))
    play.wait(20)
    assert (play.classes("x"), play.payers("x")) == ({"shared": 4}, {"audio/main": 4})
    assert play.ready("audio")[0] == play.ready("vision")[0] == "True"


def test_a_parent_that_no_budget_names_makes_no_family(play: FundedPlay) -> None:
    """vision and audio both name ghost. At 20 ghost has a Budget, and they are siblings: audio pays for x."""
    play.fleet(a1=8)
    play.quota("audio", envelope(8), parents=["ghost"])
    play.quota("vision", parents=["ghost"])
    play.submit("x", gpus=4, owner="vision")
    play.wait(20)
    assert (play.classes("x"), play.ready("vision")) == ({"unfunded": 4}, ("True", "ParentUnknown"))
    play.quota("ghost")
    play.wait(20)
    assert (play.classes("x"), play.payers("x")) == ({"shared": 4}, {"audio/main": 4})
    assert play.ready("vision") == ("True", "NoEnvelopes")

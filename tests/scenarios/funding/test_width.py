"""How much of a gang is paid for: several envelopes, aggregate caps, quota too narrow, and ties.

A fixed gang is covered whole or not at all, and so is its claim on one envelope.
"""

from __future__ import annotations

import pytest
from tests.scenarios.funds import FundedPlay, cap, envelope

from runs_budgets import plugin as budgets

pytestmark = pytest.mark.plugins(budgets=budgets)


def test_a_pod_has_one_payer(play: FundedPlay) -> None:
    """Envelopes of 6 and 6, pods of 4: each pays for one pod, and 2 GPUs of each are of no use to x."""
    play.fleet(a1=8)
    play.quota("vision", envelope(6, "a"), envelope(6, "b"))
    play.submit("x", gpus=8, per_pod=4, owner="vision")
    play.wait(5)
    assert (play.payers("x"), play.classes("x")) == ({"vision/a": 4, "vision/b": 4}, {"owned": 8})
    assert len(play.ledger("x")) == 2


def test_pods_too_wide_for_each_envelope_are_not_paid_for_by_both(play: FundedPlay) -> None:
    """Envelopes of 3 and 3 have 6 GPUs together, and pay for no pod of 4."""
    play.fleet(a1=8)
    play.quota("vision", envelope(3, "a"), envelope(3, "b"))
    play.submit("x", gpus=4, per_pod=4, owner="vision")
    play.wait(5)
    assert (play.payers("x"), play.classes("x")) == ({}, {"unfunded": 4})


def test_a_gang_that_is_covered_in_part_has_no_payer(play: FundedPlay) -> None:
    """x wants 8, vision has 6: nobody pays for any of it, and y (6) after it has the whole quota."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(6))
    play.submit("x", gpus=8, owner="vision")
    play.wait(5)
    play.submit("y", gpus=6, owner="vision")
    play.wait(5)
    assert (play.classes("x"), play.payers("x")) == ({"unfunded": 8}, {})
    assert (play.classes("y"), play.payers("y")) == ({"owned": 6}, {"vision/main": 6})


def test_a_gang_over_two_envelopes_may_lose_one_of_them(play: FundedPlay) -> None:
    """x (8): 4 of its own, 4 of org's. org claims its 4 for y, 10 to 70: half of x is unfunded then, and it runs on."""
    play.fleet(a1=8, b1=8)
    play.quota("org", envelope(4))
    play.quota("vision", envelope(4), parents=["org"])
    play.submit("x", gpus=8, owner="vision")
    play.wait(10)
    play.submit("y", gpus=4, owner="org", lasts="58s")
    play.wait(10)
    assert (play.classes("x"), play.phase("x")) == ({"owned": 4, "unfunded": 4}, "Running")
    play.until(80)
    assert play.classes("x") == {"owned": 4, "shared": 4}


def test_an_aggregate_cap_bounds_envelopes_together(play: FundedPlay) -> None:
    """a and b have 4 each, and 6 together: not for x (8). y (6) gets 4 + 2, and then nothing is left for z (2)."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(4, "a"), envelope(4, "b"), caps=[cap("both", 6, "a", "b")])
    for name, gpus in (("x", 8), ("y", 6), ("z", 2)):
        play.submit(name, gpus=gpus, owner="vision")
        play.wait(5)
    assert play.payers("y") == {"vision/a": 4, "vision/b": 2}
    assert [play.classes(name) for name in "xyz"] == [{"unfunded": 8}, {"owned": 6}, {"unfunded": 2}]


@pytest.mark.live
def test_what_leaves_a_cap_makes_room_under_it(play: FundedPlay) -> None:
    """Of 6 under the cap y has 6 until 60. z (4), unfunded since 5, is paid for by a from 60 on."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(4, "a"), envelope(4, "b"), caps=[cap("both", 6, "a", "b")])
    play.submit("y", gpus=6, owner="vision", lasts="58s")
    play.wait(5)
    play.submit("z", gpus=4, owner="vision")
    play.until(70)
    assert [(held.opened, held.start) for held in play.ledger("z")] == [("Start", 5), ("Repaid", 60)]
    assert play.payers("z") == {"vision/a": 4}


def test_overlapping_caps_are_each_kept(play: FundedPlay) -> None:
    """a, b and c have 4 each, a and b 5 together, b and c 5 together. x (9): a 4, b 1 (a's cap), c 4 (b's cap: 5)."""
    play.fleet(a1=8, b1=8)
    play.quota(
        "vision",
        *(envelope(4, name) for name in "abc"),
        caps=[cap("p", 5, "a", "b"), cap("q", 5, "b", "c")],
    )
    play.submit("x", gpus=9, owner="vision")
    play.submit("y", gpus=1, owner="vision")
    play.wait(5)
    assert play.payers("x") == {"vision/a": 4, "vision/b": 1, "vision/c": 4}
    assert play.classes("y") == {"unfunded": 1}


def test_under_a_cap_too_the_family_yields_to_the_owner(play: FundedPlay) -> None:
    """x (3, vision) on org/a. org's y (6) takes a 4 and b 2, all of the cap: x is unfunded, and runs on."""
    play.fleet(a1=8, b1=8)
    play.quota("org", envelope(4, "a"), envelope(4, "b"), caps=[cap("both", 6, "a", "b")])
    play.quota("vision", parents=["org"])
    play.submit("x", gpus=3, owner="vision")
    play.wait(5)
    assert play.payers("x") == {"org/a": 3}
    play.submit("y", gpus=6, owner="org")
    play.wait(5)
    assert play.payers("y") == {"org/a": 4, "org/b": 2}
    assert (play.classes("x"), play.classes("y")) == ({"unfunded": 3}, {"owned": 6})


def test_a_cap_that_shrinks_demotes_the_last_claims(play: FundedPlay) -> None:
    """x (4) on a since 0 and y (4) on b since 5. Under a cap of 6 x fits and y does not; under one of 8 both do."""
    play.fleet(a1=8)
    both = [envelope(4, "a"), envelope(4, "b")]
    play.quota("vision", *both, caps=[cap("both", 8, "a", "b")])
    for name in "xy":
        play.submit(name, gpus=4, owner="vision")
        play.wait(5)
    play.quota("vision", *both, caps=[cap("both", 6, "a", "b")])
    play.wait(5)
    assert (play.classes("x"), play.classes("y")) == ({"owned": 4}, {"unfunded": 4})
    play.quota("vision", *both, caps=[cap("both", 8, "a", "b")])
    play.wait(5)
    assert (play.classes("x"), play.classes("y")) == ({"owned": 4}, {"owned": 4})


@pytest.mark.live
def test_a_claim_too_wide_for_what_is_left_wastes_none_of_it(play: FundedPlay) -> None:
    """x (6) since 0, z (2) since 5 on 8. Of 4 x takes nothing, and z, behind it, 2. Of 6, x all, and z none."""
    play.fleet(a1=8)
    play.quota("vision", envelope(8))
    for name, gpus in (("x", 6), ("z", 2)):
        play.submit(name, gpus=gpus, owner="vision")
        play.wait(5)
    told = []
    for gpus in (4, 6, 8, 1):
        play.quota("vision", envelope(gpus))
        play.wait(5)
        told.append((play.classes("x"), play.classes("z")))
    owned, unfunded = ({"owned": 6}, {"owned": 2}), ({"unfunded": 6}, {"unfunded": 2})
    assert told == [(unfunded[0], owned[1]), (owned[0], unfunded[1]), owned, unfunded]
    assert play.phases() == {"x": "Running", "z": "Running"}


def test_an_envelope_of_another_flavor_does_not_pay(play: FundedPlay) -> None:
    """The one node has the flavor h100, vision's 8 are of a100."""
    play.node("a1", 8, flavor="h100")
    play.quota("vision", {"name": "main", "flavor": "a100", "gpus": 8})
    play.submit("x", gpus=4, owner="vision")
    play.wait(5)
    assert play.classes("x") == {"unfunded": 4}
    play.quota("vision", {"name": "main", "flavor": "h100", "gpus": 8})
    play.wait(5)
    assert play.classes("x") == {"owned": 4}


def test_runs_admitted_in_one_instant_are_paid_for_by_name(play: FundedPlay) -> None:
    """b and a (4 each) at 0, and quota for one of them: a."""
    play.fleet(a1=8)
    play.quota("vision", envelope(4))
    for name in "ba":
        play.submit(name, gpus=4, owner="vision")
    play.wait(5)
    assert (play.classes("a"), play.classes("b")) == ({"owned": 4}, {"unfunded": 4})


def test_claims_since_one_instant_rank_by_admission(play: FundedPlay) -> None:
    """z (admitted at 0) and a (at 5) run unfunded, and have a payer in one instant, 10. When 4 of 8 are left: z's."""
    play.fleet(a1=8)
    play.quota("vision")
    for name in "za":
        play.submit(name, gpus=4, owner="vision")
        play.wait(5)
    play.quota("vision", envelope(8))
    play.wait(5)
    assert [held.start for name in "za" for held in play.ledger(name) if held.opened == "Repaid"] == [10, 10]
    play.quota("vision", envelope(4))
    play.wait(5)
    assert (play.classes("z"), play.classes("a")) == ({"owned": 4}, {"unfunded": 4})


def test_claims_of_one_instant_and_one_admission_rank_by_name(play: FundedPlay) -> None:
    """b and a (4 each), both admitted at 0 on 8. When 4 are left they are a's."""
    play.fleet(a1=8)
    play.quota("vision", envelope(8))
    for name in "ba":
        play.submit(name, gpus=4, owner="vision")
    play.wait(5)
    play.quota("vision", envelope(4))
    play.wait(5)
    assert (play.classes("a"), play.classes("b")) == ({"owned": 4}, {"unfunded": 4})


def test_of_one_runs_claims_under_a_cap_the_first_envelope_is_filled_first(play: FundedPlay) -> None:
    """x (8) holds a 4 and b 4. Under a cap of 4, from 10 on, only a's claim is funded: all else is equal."""
    play.fleet(a1=8)
    both = [envelope(4, "b"), envelope(4, "a")]
    play.quota("vision", *both)
    play.submit("x", gpus=8, owner="vision", lasts="58s")
    play.wait(10)
    play.quota("vision", *both, caps=[cap("both", 4, "a", "b")])
    play.wait(10)
    assert play.classes("x") == {"owned": 4, "unfunded": 4}
    play.until(80)
    assert play.used("vision", "a") == {"owned": 240}
    assert play.used("vision", "b") == {"owned": 40, "unfunded": 200}

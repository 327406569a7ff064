"""An envelope with a selector pays only for its places, and the plan keeps each group inside its payers'.

A node's domain is the first letter of its name; DOMAIN is the label that says so.
"""

from __future__ import annotations

import pytest
from tests.scenarios.funds import FundedPlay, envelope
from tests.scenarios.manifests import DOMAIN_LABEL as DOMAIN

from runs_budgets import plugin as budgets

pytestmark = pytest.mark.plugins(budgets=budgets)


def test_a_gang_goes_where_its_payer_pays(play: FundedPlay) -> None:
    """Both nodes are free, and a1 comes first by name; the quota is for b."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(8, selector={DOMAIN: "b"}))
    play.submit("x", gpus=8, owner="vision")
    play.wait(5)
    assert (play.places("x"), play.classes("x")) == ({"b1": list(range(8))}, {"owned": 8})


@pytest.mark.live
def test_each_group_lies_where_its_payer_pays(play: FundedPlay) -> None:
    """8 GPUs in groups of 4; envelope first (4) is for b, second (4) for a: group 0 on b1, group 1 on a1."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(4, "first", selector={DOMAIN: "b"}), envelope(4, "second", selector={DOMAIN: "a"}))
    play.submit("x", gpus=8, group=4, owner="vision")
    play.wait(5)
    assert play.groups("x") == [{"b1": 4}, {"a1": 4}]
    assert play.payers("x") == {"vision/first": 4, "vision/second": 4}


def test_a_gang_waits_for_its_payers_places(play: FundedPlay) -> None:
    """a1 is idle, but x is paid for in b, where somebody else's pod is until 21 (asked to go at 20)."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(8, selector={DOMAIN: "b"}))
    play.foreign("theirs", "b1", 8)
    play.submit("x", gpus=8, owner="vision")
    play.until(20)
    assert play.phase("x") == "Queued"
    assert play.status("x")["message"].endswith(f"; vision/main pays only where {DOMAIN}=b")
    play.foreign_ends("theirs")
    play.wait(5)
    assert (play.at("x", "startedAt"), list(play.places("x"))) == (21, ["b1"])


def test_quota_elsewhere_is_of_no_use_to_who_must_be_here(play: FundedPlay) -> None:
    """x wants domain a, the quota is for b: it runs on a1, unfunded."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(8, selector={DOMAIN: "b"}))
    play.submit("x", gpus=8, owner="vision", selector={DOMAIN: "a"})
    play.wait(5)
    assert (list(play.places("x")), play.classes("x")) == (["a1"], {"unfunded": 8})


def test_what_runs_elsewhere_is_not_repaid(play: FundedPlay) -> None:
    """x and y (8 each) run unfunded on a1 and b1. The quota that comes at 10 is for b: y's, though x was first."""
    play.fleet(a1=8, b1=8)
    play.quota("vision")
    for name, domain in (("x", "a"), ("y", "b")):
        play.submit(name, gpus=8, owner="vision", selector={DOMAIN: domain})
        play.wait(5)
    play.quota("vision", envelope(8, selector={DOMAIN: "b"}))
    play.wait(5)
    assert (play.classes("x"), play.classes("y")) == ({"unfunded": 8}, {"owned": 8})


def test_gpus_are_taken_back_only_where_the_payer_pays(play: FundedPlay) -> None:
    """guest's x and z hold a1 and b1. org's quota is for b: y takes back b1, and z goes, whatever the lot says."""
    play.fleet(a1=8, b1=8)
    play.quota("guest")
    play.quota("org", envelope(8, selector={DOMAIN: "b"}))
    for name, domain in (("x", "a"), ("z", "b")):
        play.submit(name, gpus=8, owner="guest", selector={DOMAIN: domain}, runtime={"minRuntime": "60s"})
    play.until(100)
    play.submit("y", gpus=8, owner="org")
    play.wait(5)
    assert [(taking.beneficiary, taking.cuts) for taking in play.takings()] == [("y", ["z"])]
    assert (list(play.places("y")), play.phase("x")) == (["b1"], "Running")


@pytest.mark.live
def test_an_envelope_that_pays_elsewhere_now_pays_no_more_for_what_is_here(play: FundedPlay) -> None:
    """x (4) runs on a1. From 10 on the 4 are for b, and y's, on b1; from 20 on they are for a again, and x's."""
    play.fleet(a1=8, b1=8)
    play.quota("vision", envelope(4, selector={DOMAIN: "a"}))
    play.submit("x", gpus=4, owner="vision")
    play.until(10)
    assert (list(play.places("x")), play.classes("x")) == (["a1"], {"owned": 4})
    play.quota("vision", envelope(4, selector={DOMAIN: "b"}))
    play.submit("y", gpus=4, owner="vision")
    play.until(20)
    assert (list(play.places("y")), play.classes("y"), play.classes("x")) == (["b1"], {"owned": 4}, {"unfunded": 4})
    play.quota("vision", envelope(4, selector={DOMAIN: "a"}))
    play.wait(5)
    assert (play.classes("x"), play.classes("y")) == ({"owned": 4}, {"unfunded": 4})
    assert (play.phase("x"), play.phase("y")) == ("Running", "Running")


def test_a_node_that_is_moved_takes_its_payer_from_what_runs_there(play: FundedPlay) -> None:
    """x (4 on a1 and 4 on a2, paid for in a) is a fixed gang: from 10 on a2 is in b, and all of x unfunded, to 20."""
    play.fleet(a1=4, a2=4)
    play.quota("vision", envelope(8, selector={DOMAIN: "a"}))
    play.submit("x", gpus=8, owner="vision")
    told = []
    for domain in ("a", "b", "a"):
        play.wait(10)
        play.node("a2", 4, domain=domain)
        play.wait(1)
        told.append(play.classes("x"))
    assert told == [{"owned": 8}, {"unfunded": 8}, {"owned": 8}]
    assert (play.phase("x"), play.at("x", "startedAt")) == ("Running", 0)

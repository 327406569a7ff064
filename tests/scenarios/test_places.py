"""Where a gang goes: best fit, groups, domains.

Nodes a1 and a2 lie in domain a, and so on; all are empty where nothing is said.
"""

from __future__ import annotations

from tests.scenarios.play import Play

REGION = "topology.kubernetes.io/region"


def test_a_pod_goes_to_the_node_with_the_least_free_gpus_that_fits(play: Play) -> None:
    """Free: a1 8-5 = 3, a2 8-2 = 6. x (2) fits both and takes a1, which has 1 left. y (2) then only fits a2."""
    play.fleet(a1=8, a2=8)
    play.foreign("f1", "a1", 5)
    play.foreign("f2", "a2", 2)
    play.submit("x", gpus=2, per_pod=2)
    play.wait(1)
    play.submit("y", gpus=2, per_pod=2)
    play.wait(1)
    assert play.places("x") == {"a1": [0, 1]}
    assert play.places("y") == {"a2": [0, 1]}


def test_among_equal_nodes_the_name_decides(play: Play) -> None:
    """All have 8 free, seen in another order: x (1) takes a1 and leaves it 7, so y (8) takes a2 and z (8) a3."""
    play.fleet(a3=8, a1=8, a2=8)
    play.submit("x", gpus=1)
    play.submit("y", gpus=8, per_pod=8)
    play.submit("z", gpus=8, per_pod=8)
    play.wait()
    assert [play.places(name) for name in "xyz"] == [{"a1": [0]}, {"a2": [*range(8)]}, {"a3": [*range(8)]}]


def test_a_gang_goes_to_the_domain_with_the_least_free_gpus_that_fits(play: Play) -> None:
    """Free: a 16, b 8+4 = 12, c 4+4 = 8; pods of 4. x (12) does not fit c, fills b: ranks 0 and 1 on b1, 2 on b2.

    y (8) then fits a and c and takes c. z (8) has only a, where a1 and a2 are equal: both pods on a1.
    """
    play.fleet(a1=8, a2=8, b1=8, b2=4, c1=4, c2=4)
    for name, gpus in (("x", 12), ("y", 8), ("z", 8)):
        play.submit(name, gpus=gpus, per_pod=4)
        play.wait(1)
    assert play.ranks("x") == ["b1", "b1", "b2"]
    assert play.ranks("y") == ["c1", "c2"]
    assert play.ranks("z") == ["a1", "a1"]


def test_a_domain_whose_free_gpus_are_too_scattered_is_passed_over(play: Play) -> None:
    """a has 3+3 = 6 free, less than b's 8, but no node of a takes a pod of 4."""
    play.fleet(a1=3, a2=3, b1=8)
    play.submit("x", gpus=4, per_pod=4)
    play.wait()
    assert play.places("x") == {"b1": [0, 1, 2, 3]}


def test_among_equal_domains_region_comes_before_name(play: Play) -> None:
    """Keys are west/default/a and east/default/b, 8 free each: east sorts first."""
    play.node("a1", labels={REGION: "west"})
    play.node("b1", labels={REGION: "east"})
    play.submit("x", gpus=8)
    play.wait()
    assert play.places("x") == {"b1": [*range(8)]}


def test_groups_of_two_nodes_each_find_their_own_domain(play: Play) -> None:
    """Free: a 24, b 16, c 32; three groups of 16 in pods of 8.

    Group 0 fits b best. Group 1: b is full, a has 24: a1, a2. Group 2: a has only 8 left, so c: c1, c2.
    """
    play.fleet(a1=8, a2=8, a3=8, b1=8, b2=8, c1=8, c2=8, c3=8, c4=8)
    play.submit("x", gpus=48, per_pod=8, group=16)
    play.wait()
    assert play.groups("x") == [{"b1": 8, "b2": 8}, {"a1": 8, "a2": 8}, {"c1": 8, "c2": 8}]
    assert play.ranks("x") == ["b1", "b2", "a1", "a2", "c1", "c2"]


def test_a_second_group_stays_in_the_domain_that_the_run_already_uses(play: Play) -> None:
    """Group 0 (16) fits only a (32). Group 1 is short: 8.

    b, with 8 free, would fit it best, but a, with 16 left, is in use already.
    """
    play.fleet(a1=8, a2=8, a3=8, a4=8, b1=8)
    play.submit("x", gpus=24, per_pod=8, group=16)
    play.wait()
    assert play.groups("x") == [{"a1": 8, "a2": 8}, {"a3": 8}]


def test_the_last_group_may_be_short(play: Play) -> None:
    """40 GPUs in groups of 16: 16, 16 and 8. a and b have 16 each (a first), c has the 8 that are left."""
    play.fleet(a1=8, a2=8, b1=8, b2=8, c1=8)
    play.submit("x", gpus=40, per_pod=8, group=16)
    play.wait()
    assert play.groups("x") == [{"a1": 8, "a2": 8}, {"b1": 8, "b2": 8}, {"c1": 8}]
    assert play.status("x")["width"] == 40


def test_a_group_wider_than_what_any_domain_has_free_waits(play: Play) -> None:
    """Free: a 16-8 = 8, b 8; 16 in all, but the group of 16 must lie in one domain. Empty, a would take it.

    The match: 3 nodes and 24 GPUs; healthy, located and allowed 16 free on 3 (one with none); room for a pod 2 nodes;
    no domain.
    """
    play.fleet(a1=8, a2=8, b1=8)
    play.foreign("f", "a1", 8)
    play.submit("x", gpus=16, per_pod=8, group=16)
    play.wait()
    assert (play.phase("x"), play.codes("x")) == ("Queued", ["Fragmented"])
    assert play.match("x") == [(3, 24), (3, 16), (3, 16), (3, 16), (2, 16), (0, 0)]


def test_a_single_domain_run_waits_where_a_spread_one_starts(play: Play) -> None:
    """Free: a 16 (a3 is taken), b 16. x (24, one domain) waits.

    y (24, groups of 8): a1 (a and b are equal), a2 (a is in use), b1.
    """
    play.fleet(a1=8, a2=8, a3=8, b1=8, b2=8)
    play.foreign("f", "a3", 8)
    play.submit("x", gpus=24, per_pod=8, group=8, spread="SingleDomain")
    play.wait(1)
    play.submit("y", gpus=24, per_pod=8, group=8)
    play.wait(1)
    assert (play.phase("x"), play.codes("x")) == ("Queued", ["Fragmented"])
    assert play.groups("y") == [{"a1": 8}, {"a2": 8}, {"b1": 8}]


def test_a_single_domain_run_starts_once_one_domain_has_room_for_all_of_it(play: Play) -> None:
    """a has 24 when the pod on a3, told to go at 10, is gone at 11. x: three groups of 8 in a."""
    play.fleet(a1=8, a2=8, a3=8, b1=8, b2=8)
    play.foreign("f", "a3", 8)
    play.submit("x", gpus=24, per_pod=8, group=8, spread="SingleDomain")
    play.wait(10)
    play.foreign_ends("f")
    play.wait(10)
    assert play.at("x", "startedAt") == 11
    assert play.groups("x") == [{"a1": 8}, {"a2": 8}, {"a3": 8}]


def test_without_groups_a_gang_uses_the_fewest_domains(play: Play) -> None:
    """32 in pods of 8: no domain has 32. a takes most (24); of the rest, 8 fits b (8) better than c (16).

    Two domains.
    """
    play.fleet(a1=8, a2=8, a3=8, b1=8, c1=8, c2=8)
    play.submit("x", gpus=32, per_pod=8)
    play.wait()
    assert play.groups("x") == [{"a1": 8, "a2": 8, "a3": 8}, {"b1": 8}]
    assert play.ranks("x") == ["a1", "a2", "a3", "b1"]


def test_a_gang_that_does_not_fit_whole_takes_nothing(play: Play) -> None:
    """20 free: a 16, b 8-4 = 4. x (24) waits and holds nothing; y (16), behind it, starts and fits only a."""
    play.fleet(a1=8, a2=8, b1=8)
    play.foreign("f", "b1", 4)
    play.submit("x", gpus=24)
    play.wait(1)
    assert (play.reason("x"), play.places("x"), play.held_gpus()) == ("NotEnoughGPUs", {}, 0)
    assert play.message("x") == "wants 24; 20 GPUs are free on 3 default nodes that will do"
    play.submit("y", gpus=16)
    play.wait(1)
    assert play.groups("y") == [{"a1": 8, "a2": 8}]


def test_a_selector_says_where(play: Play) -> None:
    """b1 in the east fits 2 GPUs better (4 free) than a1 in the west (8), but x wants the west.

    z wants a place that is not.
    """
    play.node("a1", 8, labels={REGION: "west"})
    play.node("b1", 4, labels={REGION: "east"})
    play.submit("x", gpus=2, selector={REGION: "west"})
    play.submit("y", gpus=2)
    play.submit("z", gpus=2, selector={REGION: "north"})
    play.wait()
    assert (play.places("x"), play.places("y")) == ({"a1": [0, 1]}, {"b1": [0, 1]})
    assert play.codes("z") == ["NeverFits", "NoSuchLocation", "NotEnoughGPUs"]

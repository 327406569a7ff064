"""From when on what nobody's own quota pays for may be taken back."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations

import attrs

from runs_core.testing.builders import A_MONDAY, Thing, a_lease, a_node, a_run, a_world, seen
from runs_core.values.classes import Split
from runs_core.values.meta import Key
from runs_core.values.run import Phase
from runs_core.world.oracle import differences
from runs_core.world.slack import Slack, Slacks

X, Y = Key("research", "x"), Key("research", "y")


def at(minutes: int) -> datetime:
    return A_MONDAY + timedelta(minutes=minutes)


def slack(minutes: int, unfunded: int = 8) -> Slack:
    return Slack("h100", unfunded, 0, at(minutes))


def test_what_is_spared_ripens_with_time_and_is_told_once() -> None:
    slacks = Slacks()
    assert not slacks.put(X, slack(30), at(0))
    assert (slacks.ripe("h100", at(29)), slacks.next_moment()) == (False, at(30))
    assert slacks.pass_to(at(30)) == ["h100"]
    assert (slacks.ripe("h100", at(30)), slacks.pass_to(at(31)), slacks.next_moment()) == (True, [], None)
    assert not slacks.ripe("b200", at(31))


def test_what_is_ripe_already_is_told_at_once_and_needs_no_moment() -> None:
    slacks = Slacks()
    assert slacks.put(X, slack(30), at(40))
    assert slacks.next_moment() is None
    assert not slacks.put(X, slack(30), at(41)), "nothing more than before"
    assert slacks.put(X, slack(30, unfunded=16), at(41))


def test_what_is_gone_or_begins_anew_is_forgotten() -> None:
    slacks = Slacks()
    slacks.put(X, slack(30), at(0))
    slacks.put(Y, slack(10), at(0))
    assert slacks.takeable("h100", at(20)) == {Y}
    slacks.put(Y, None, at(20))
    slacks.put(X, slack(60), at(20))
    assert (slacks.pass_to(at(45)), slacks.ripe("h100", at(45)), slacks.next_moment()) == ([], False, at(60))


def test_whatever_is_heard_of_first_who_may_be_cut_is_known_by_the_nodes_that_it_is_on() -> None:
    """A scheduler that begins hears of nodes, leases and runs in any order; the run names no flavor, and two exist."""
    run = a_run("x", flavor=None, phase=Phase.RUNNING)
    status = attrs.evolve(run.status, started_at=A_MONDAY, funding=Split(unfunded=8))
    run = attrs.evolve(run, status=status)
    things: tuple[Thing, ...] = (run, a_lease(run, {"n1": tuple(range(8))}), a_node("n1"), a_node("n2", flavor="b200"))
    for order in permutations(things):
        world = a_world()
        world.funded = True
        for thing in order:
            world.apply(seen(thing))
            assert differences(world) == []
        assert [world.slack.takeable(flavor, at(24 * 60)) for flavor in ("b200", "h100")] == [set(), {run.key}]

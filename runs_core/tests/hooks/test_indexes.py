# ruff: noqa: ANN401 - plugins that lie answer what no type allows

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from runs_core.errors import PluginError
from runs_core.hooks.ask import PluginAdvice
from runs_core.testing.builders import A_MONDAY as NOW
from runs_core.testing.builders import a_node, a_run, a_world, seen
from runs_core.testing.plugins import a_plugin, advice_of
from runs_core.values.change import Change, NodeSeen, RunSeen
from runs_core.values.meta import Key
from runs_core.values.run import Phase
from runs_core.world.world import World

RUN = a_run("train")


class Nodes:
    """Counts nodes; answers each change with `wakes`."""

    def __init__(self, wakes: Any = ()) -> None:
        self.count = 0
        self.wakes = wakes

    def apply(self, change: Change) -> Iterable[Key]:
        if isinstance(change, NodeSeen):
            self.count += 1
            if change.node.name == "bad":
                raise ValueError("no such rack")
            return self.wakes  # type: ignore[no-any-return]  # what a plugin may do
        return ()


def counting(index: Nodes) -> Any:
    def runs_index() -> Nodes:
        return index

    def runs_hold(view: Any) -> None:
        assert view.index(Nodes) is index

    return a_plugin(runs_index, runs_hold)


def attached(index: Nodes, *things: Any) -> tuple[PluginAdvice, World]:
    world = a_world(*things)
    advice = advice_of({"racks": counting(index)})
    advice.attach(world, world)
    return advice, world


def test_an_index_gets_what_is_known_and_then_each_change() -> None:
    index = Nodes()
    _, world = attached(index, a_node("n1"))
    assert index.count == 1
    world.apply(NodeSeen(a_node("n2")))
    assert index.count == 2


def test_a_plugin_finds_its_own_object_behind_the_guard() -> None:
    advice, world = attached(Nodes())
    assert advice.holds(RUN, world, NOW) == []


def test_the_runs_that_an_index_names_are_asked_again() -> None:
    _, world = attached(Nodes(wakes=[RUN.key]), RUN)
    world.touched.clear()
    world.apply(NodeSeen(a_node("n1")))
    assert RUN.key in world.touched


def test_an_index_that_breaks_holds_every_run_from_then_on_and_never_the_world() -> None:
    running = a_run("running", phase=Phase.RUNNING)
    advice, world = attached(Nodes(), RUN, running)
    world.touched.clear()
    world.apply(NodeSeen(a_node("bad")))
    assert world.node("bad") is not None
    assert world.touched == {RUN.key}
    [(by, hold)] = advice.holds(RUN, world, NOW)
    assert (by, hold.code) == ("racks", "PluginFailed")
    assert "its index is broken since it failed to take up NodeSeen: ValueError: no such rack" in hold.message


@pytest.mark.parametrize(
    "wakes", [None, "research/train", 7, ["train"], [("research", "train")], (1 // n for n in [0])]
)
def test_an_index_that_names_no_runs_is_broken(wakes: Any) -> None:
    advice, world = attached(Nodes(wakes=wakes))
    world.apply(NodeSeen(a_node("n1")))
    assert [hold.code for _, hold in advice.holds(RUN, world, NOW)] == ["PluginFailed"]


def test_a_broken_index_takes_up_nothing_more() -> None:
    index = Nodes()
    _, world = attached(index, a_node("bad"))
    count = index.count
    world.apply(NodeSeen(a_node("n2")))
    assert index.count == count


def test_the_index_of_another_plugin_that_is_broken_or_missing_is_an_error_of_who_asks() -> None:
    def runs_explained(view: Any) -> None:
        view.index(Nodes)

    def said(world: World, **plugins: Any) -> str:
        advice = advice_of({"reader": a_plugin(runs_explained), **plugins})
        advice.attach(world, world)
        advice.explained(RUN, world, NOW)
        return next(tally.last_failure for tally in advice.tallies if tally.plugin == "reader")

    assert "no enabled plugin has an index of class Nodes" in said(a_world())
    assert "the index Nodes is broken" in said(a_world(a_node("bad")), racks=counting(Nodes()))


def test_two_plugins_cannot_have_an_index_of_one_class() -> None:
    world = a_world()
    with pytest.raises(PluginError, match="plugins a and b have an index of one class"):
        advice_of({"b": counting(Nodes()), "a": counting(Nodes())}).attach(world, world)


def test_an_index_without_apply_is_a_start_up_error() -> None:
    def runs_index() -> object:
        return object()

    world = a_world()
    with pytest.raises(PluginError, match=r"plugin a has an index without apply\(change\)"):
        advice_of({"a": a_plugin(runs_index)}).attach(world, world)


def test_an_index_is_told_only_of_what_it_hears() -> None:
    class Some(Nodes):
        def __init__(self, hears: Any) -> None:
            super().__init__()
            self.hears = hears

    def counted(hears: Any) -> int:
        index = Some(hears)

        def runs_index() -> Nodes:
            return index

        world = a_world(a_node("n1"))
        advice_of({"a": a_plugin(runs_index)}).attach(world, world)
        return index.count

    assert [counted(hears) for hears in (None, [NodeSeen], frozenset({RunSeen}))] == [1, 1, 0]
    with pytest.raises(PluginError, match=r"the index of plugin a: got hears \['NodeSeen'\], want the classes"):
        counted(["NodeSeen"])


def test_an_index_goes_through_what_ifs() -> None:
    advice, world = attached(Nodes(), RUN)
    with world.supposing([seen(a_node("bad"))]):
        assert [hold.code for _, hold in advice.holds(RUN, world, NOW)] == ["PluginFailed"]
    assert world.node("bad") is None

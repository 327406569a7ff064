# ruff: noqa: ANN401 - plugins that lie answer what no type allows

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import attrs
import pytest

from runs_core.errors import PluginError
from runs_core.hooks.ask import PluginAdvice
from runs_core.settings import HookSettings, Settings
from runs_core.testing.builders import A_MONDAY as NOW
from runs_core.testing.builders import a_node, a_run, a_world, seen
from runs_core.testing.harness import Harness
from runs_core.testing.plugins import a_plugin, advice_of
from runs_core.values.change import Change, NodeSeen, RunSeen, TimePassed
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
    with pytest.raises(PluginError, match=r"the index of plugin a: got \w+, which has no apply\(change\)"):
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


# -- several changes together -----------------------------------------------------------------------------------------


class Together(Nodes):
    """Takes them up in one call, too; does with the node named `bad` what `fails` says."""

    def __init__(self, wakes: Any = (), fails: Any = None) -> None:
        super().__init__(wakes)
        self.calls: list[list[str]] = []
        self._fails = fails

    def apply(self, change: Change) -> Iterable[Key]:
        return self.apply_all((change,))

    def apply_all(self, changes: Iterable[Change]) -> Iterable[Key]:
        self.calls.append([])
        for change in changes:
            if isinstance(change, NodeSeen):
                self.calls[-1].append(change.node.name)
                if change.node.name == "bad" and self._fails is not None:
                    return self._fails()  # type: ignore[no-any-return]  # what a plugin may do
        return self.wakes  # type: ignore[no-any-return]  # as above


def together(index: Nodes, *things: Any, settings: Settings | None = None) -> tuple[PluginAdvice, World]:
    def runs_index() -> Nodes:
        return index

    def runs_hold(view: Any) -> None:
        assert view.index(type(index)) is index

    world = a_world(*things)
    advice = advice_of({"racks": a_plugin(runs_index, runs_hold)}, settings)
    advice.attach(world, world)
    if isinstance(index, Together):
        index.calls.clear()
    return advice, world


def nodes(*names: str) -> list[NodeSeen]:
    return [NodeSeen(a_node(name)) for name in names]


def asked(advice: PluginAdvice) -> int:
    return next(tally.asked for tally in advice.tallies if tally.hook == "runs_index")


def test_an_index_that_can_takes_up_what_comes_together_in_one_call_in_its_order() -> None:
    index = Together(wakes=[RUN.key])
    advice, world = together(index, RUN)
    world.touched.clear()
    before = asked(advice)
    world.apply_all(nodes("b", "a", "c"), [])
    assert index.calls == [["b", "a", "c"]]
    assert asked(advice) == before + 1
    assert RUN.key in world.touched


def test_any_other_index_gets_each_before_the_world_takes_it_up() -> None:
    class Before(Nodes):
        def __init__(self, view: Any) -> None:
            super().__init__()
            self.view, self.known = view, list[str]()

        def apply(self, change: Change) -> Iterable[Key]:
            if isinstance(change, NodeSeen):
                self.known.append(f"{change.node.name} after {[node.name for node in self.view.nodes()]}")
            return ()

    world = a_world()
    index = Before(world)
    advice_of({"racks": counting(index)}).attach(world, world)
    world.apply_all(nodes("a", "b"), [])
    assert index.known == ["a after []", "b after ['a']"]


def test_what_comes_together_comes_in_calls_of_at_most_a_hundred() -> None:
    index = Together()
    _, world = together(index)
    world.apply_all(nodes(*(f"n{number:03}" for number in range(250))), [])
    assert [len(call) for call in index.calls] == [100, 100, 50]
    assert [name for call in index.calls for name in call] == [f"n{number:03}" for number in range(250)]


def test_a_what_if_is_taken_back_in_one_call_last_first() -> None:
    class Undone(Together):
        def apply_all(self, changes: Iterable[Change]) -> Iterable[Key]:
            self.calls.append([type(change).__name__ + str(getattr(change, "name", "")) for change in changes])
            return ()

    index = Undone()
    _, world = together(index)
    with world.supposing(nodes("a", "b")):
        assert index.calls == [["NodeSeen", "NodeSeen"]]
    assert index.calls[1:] == [["NodeGoneb", "NodeGonea"]]


def spins() -> Any:
    while True:
        pass


def fails() -> Any:
    raise ValueError("no such rack")


HASTY = Settings(hooks=HookSettings(timeout=timedelta(milliseconds=200)))


@pytest.mark.parametrize(
    ("fault", "why", "hung"),
    [
        (fails, "ValueError: no such rack", 0),
        (spins, "no answer within", 1),
        (lambda: None, "got NoneType, want the keys of runs", 0),
        (lambda: ["train"], "got 'train', want the Key of a run", 0),
        (lambda: (fails() for _ in [0]), "ValueError: no such rack", 0),
    ],
)
def test_an_index_that_breaks_amid_several_changes_holds_every_run_and_never_the_world(
    fault: Any, why: str, hung: int
) -> None:
    index = Together(fails=fault)
    advice, world = together(index, RUN, settings=HASTY)
    world.touched.clear()
    inverses: list[Change] = []
    world.apply_all([*nodes("n1", "bad", "n2"), seen(a_run("later"))], inverses)
    assert [node.name for node in world.nodes()] == ["bad", "n1", "n2"]
    assert len(inverses) == 4
    assert world.touched == {RUN.key, a_run("later").key}
    [(by, hold)] = advice.holds(RUN, world, NOW)
    assert (by, hold.code) == ("racks", "PluginFailed")
    assert "its index is broken since it failed to take up NodeSeen, RunSeen: " in hold.message
    assert why in hold.message
    [tally] = [one for one in advice.tallies if one.hook == "runs_index"]
    assert (tally.failed, tally.hung) == (1, hung)
    calls = len(index.calls)
    world.apply_all(nodes("n3"), [])
    assert len(index.calls) == calls


def test_an_index_hears_that_all_was_seen_once_it_has_taken_it_up() -> None:
    class Ends(Together):
        def observed(self) -> None:
            self.calls.append(["observed"])

    index = Ends()
    advice, world = together(index)
    before = asked(advice)
    world.apply_all(nodes("a", "b"), [], seen=True)
    assert index.calls == [["a", "b"], ["observed"]]
    assert asked(advice) == before + 1
    world.apply_all(nodes("c"), [])
    assert index.calls[2:] == [["c"]]


@pytest.mark.parametrize("kind", [Nodes, Together])
def test_an_index_that_fails_once_all_was_seen_is_broken(kind: type[Nodes]) -> None:
    class Fails(kind):  # type: ignore[misc, valid-type]  # either kind
        def observed(self) -> None:
            raise ValueError("no such rack")

    advice, world = together(Fails())
    world.apply_all([], [], seen=True)
    [(_, hold)] = advice.holds(RUN, world, NOW)
    assert "broken since it failed to end an observation: ValueError: no such rack" in hold.message


# -- parts of a run ---------------------------------------------------------------------------------------------------


class OfRuns(Nodes):
    """Counts runs, and changes of their phases; `hears` is as it is given."""

    def __init__(self, hears: Any) -> None:
        super().__init__()
        self.hears = hears

    def apply(self, change: Change) -> Iterable[Key]:
        self.count += isinstance(change, RunSeen)
        return ()


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ((), 4),
        (("spec",), 2),
        (("status.phase",), 2),
        (("spec", "status.phase"), 3),
        (("meta.uid", "spec.owner"), 1),
    ],
)
def test_an_index_is_told_of_a_run_only_where_a_part_is_another_that_it_looks_at(
    parts: tuple[str, ...], told: int
) -> None:
    index = OfRuns({RunSeen: parts})
    _, world = attached(index)
    for run in (RUN, a_run("train", gpus=2), a_run("train", gpus=2, phase=Phase.HELD)):
        world.apply(RunSeen(run))
    world.apply(RunSeen(attrs.evolve(run, status=attrs.evolve(run.status, reason="Other"))))
    assert index.count == told


@pytest.mark.parametrize(
    "hears", [{NodeSeen: ("node",)}, {RunSeen: "spec"}, {RunSeen: ("phase",)}, {RunSeen: ("status.none",)}]
)
def test_parts_that_no_run_has_are_a_start_up_error(hears: Any) -> None:
    with pytest.raises(PluginError, match=r"want parts of RunSeen alone, such as spec or meta\.uid"):
        attached(OfRuns(hears))


# -- time alone -------------------------------------------------------------------------------------------------------


class Hours(Together):
    """Says when time alone matters to it next, and keeps count of the times that it was told of."""

    def __init__(self, moment: Any = None, wakes: Any = ()) -> None:
        super().__init__(wakes)
        self.moment = moment

    def apply_all(self, changes: Iterable[Change]) -> Iterable[Key]:
        self.calls.append([str(getattr(change, "now", NOW) - NOW) for change in changes])
        for change in changes:
            if isinstance(change, TimePassed) and self.moment == "breaks":
                raise ValueError("no such hour")
        return self.wakes  # type: ignore[no-any-return]  # as above

    def next_moment(self) -> Any:
        return NOW + self.moment if isinstance(self.moment, timedelta) else self.moment


HOUR = timedelta(hours=1)


def passes(world: World, hours: int, *changes: Change) -> None:
    world.apply_all([TimePassed(NOW + hours * HOUR), *changes], [], seen=True)


def test_time_alone_waits_until_something_else_comes() -> None:
    index = Hours()
    _, world = together(index)
    passes(world, 1)
    passes(world, 2)
    assert index.calls == []
    world.apply_all(nodes("n1"), [])
    assert index.calls == [["2:00:00", "0:00:00"]]


def test_time_that_waits_for_nothing_is_told_of_with_what_was_seen() -> None:
    index = Hours()
    _, world = together(index)
    passes(world, 1)
    passes(world, 2, *nodes("n1"))
    assert index.calls == [["1:00:00", "2:00:00", "0:00:00"]]


def test_time_that_comes_to_the_moment_that_an_index_named_does_not_wait() -> None:
    index = Hours(2 * HOUR, wakes=[RUN.key])
    advice, world = together(index, RUN)
    world.touched.clear()
    assert advice.moment(world, NOW) == NOW + 2 * HOUR
    passes(world, 1)
    assert not world.touched
    index.moment = None
    passes(world, 2)
    assert index.calls == [["1:00:00", "2:00:00"]]
    assert world.touched == {RUN.key}
    assert advice.moment(world, world.now) is None


def test_a_what_if_begins_at_the_present_time() -> None:
    index = Hours()
    _, world = together(index)
    passes(world, 1)
    with world.supposing(nodes("n1")):
        assert index.calls == [["1:00:00"], ["0:00:00"]]


def test_an_index_that_breaks_as_a_what_if_begins_is_broken() -> None:
    index = Hours()
    advice, world = together(index, RUN)
    passes(world, 1)
    index.moment = "breaks"
    with world.supposing([]):
        [(_, hold)] = advice.holds(RUN, world, world.now)
    assert "broken since it failed to take up TimePassed: ValueError: no such hour" in hold.message


@pytest.mark.parametrize(
    ("moment", "why"), [("soon", "got str, want a datetime"), (timedelta(), "which is not after now")]
)
def test_an_index_that_names_no_moment_to_come_is_broken(moment: Any, why: str) -> None:
    advice, world = together(Hours(moment), RUN)
    world.apply_all(nodes("n1"), [])
    [(_, hold)] = advice.holds(RUN, world, world.now)
    assert why in hold.message


class Hurried:
    """Always names a moment so long after the last of which it was told."""

    hears: Any = (TimePassed, RunSeen)

    def __init__(self, after: timedelta) -> None:
        self.now, self.after = NOW, after
        self.asked = 0

    def apply(self, change: Change) -> Iterable[Key]:
        self.now = max(self.now, getattr(change, "now", NOW))
        return ()

    def apply_all(self, changes: Iterable[Change]) -> Iterable[Key]:
        for change in changes:
            self.apply(change)
        return ()

    def next_moment(self) -> Any:
        self.asked += 1
        assert self.asked < 1000, "time stands still"
        return self.now + self.after


class Deaf(Hurried):
    """Never hears that its moment has come."""

    hears = (RunSeen,)


def hurried(index: Hurried) -> Harness:
    def runs_index() -> Hurried:
        return index

    stage = Harness(a_run("train"), plugins={"clock": a_plugin(runs_index)})
    stage.settle()
    return stage


def test_an_index_that_always_names_the_next_instant_is_asked_once_a_second_after_a_while() -> None:
    index = Hurried(timedelta(microseconds=1))
    stage = hurried(index)
    stage.advance(seconds=30)
    assert index.asked == pytest.approx(100 + 30, abs=5)


def test_an_index_may_name_moments_that_are_close_to_each_other() -> None:
    index = Hurried(timedelta(milliseconds=20))
    hurried(index).advance(seconds=1)
    assert index.asked == pytest.approx(1 / 0.02, abs=5)


def test_a_moment_that_an_index_does_not_hear_of_comes_once_a_second() -> None:
    index = Deaf(timedelta(seconds=5))
    stage = hurried(index)
    assert stage.loop.next_moment() == stage.now + timedelta(seconds=5)
    stage.advance(seconds=5)
    assert stage.loop.next_moment() == stage.now + timedelta(seconds=1)

# ruff: noqa: ANN401 - plugins that lie declare what no type allows
"""A plugin that declares what cannot be is broken in one sentence, and whoever else is there is not."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import attrs
import pytest

from runs_core.hooks import loading
from runs_core.hooks.permission import Permission
from runs_core.hooks.registry import Found, Registry, State, registry
from runs_core.testing.plugins import a_plugin
from runs_core.values.fields import Fact, field
from runs_core.values.funding import Stage
from runs_core.values.lease import Closed
from runs_core.values.section import Section


class Every:
    def allows(self, name: str) -> bool:
        return bool(name)


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


class Aborted(BaseException):
    pass


@attrs.frozen(kw_only=True)
class Fields:
    size: int | None = field(Fact(doc="How much."), default=None)


@attrs.define
class Changeable:
    size: int = field(Fact(doc="How much."), default=1)


@attrs.frozen(kw_only=True)
class Small:
    size: int = field(Fact(doc="How much.", minimum=5), default=1)


@attrs.frozen(kw_only=True)
class Unwritable:
    size: object = field(Fact(doc="How much."), default=None)


def raises(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


def plugin(hook: str, answer: Any) -> Any:
    """Declares that."""

    def implementation() -> Any:
        return answer() if callable(answer) and not isinstance(answer, type) else answer

    implementation.__name__ = hook
    return a_plugin(implementation)


def beside_a_sound_one(load: Callable[[], object]) -> Registry:
    def runs_hold() -> Any:
        return None

    sound = Found(name="sound", load=lambda: a_plugin(runs_hold))
    return registry(Every(), [Found(name="liar", load=load), sound])


def why(load: Callable[[], object]) -> str:
    """The one sentence about it. The other plugin is enabled."""
    found = beside_a_sound_one(load)
    assert [one.state for one in found.plugins] == [State.BROKEN, State.ENABLED]
    [sentence] = found.problems
    assert sentence.startswith("plugin liar ")
    assert "switch it off with `plugins: {liar: {enabled: false}}`" in sentence
    assert "\n" not in sentence
    return sentence


@contextmanager
def sigint(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def served() -> Iterator[None]:
    """SIGINT has a handler, as in `runs serve`."""
    with sigint(lambda _, __: None):
        yield


@pytest.fixture
def at_hand() -> Iterator[None]:
    """A person may press Ctrl-C, also where the tests were started in the background, which ignores it."""
    with sigint(signal.default_int_handler):
        yield


@pytest.mark.parametrize("error", [Aborted("no"), asyncio.CancelledError("no"), SystemExit("no")])
def test_whatever_its_import_raises_breaks_it_alone(error: BaseException) -> None:
    assert f"cannot be imported: {type(error).__name__}: no" in why(raises(error))


@pytest.mark.parametrize("hook", ["runs_sections", "runs_settings", "runs_stages", "runs_permissions"])
def test_whatever_a_declaration_raises_breaks_it_alone(hook: str) -> None:
    assert f"failed in {hook}: Aborted: no" in why(lambda: plugin(hook, raises(Aborted("no"))))


def test_a_keyboard_interrupt_is_the_plugins_own_where_no_person_could_cause_it(served: None) -> None:
    assert "cannot be imported: KeyboardInterrupt" in why(raises(KeyboardInterrupt()))


def test_a_persons_ctrl_c_is_not_the_plugins_fault(at_hand: None) -> None:
    with pytest.raises(KeyboardInterrupt):
        beside_a_sound_one(raises(KeyboardInterrupt()))


def test_an_import_that_does_not_come_back_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "LONGEST_START", 0.2)
    assert "cannot be imported: no answer within" in why(lambda: time.sleep(60))


def a_section(**other: Any) -> Any:
    return Section(**{"plugin": "liar", "kind": "Run", "name": "x", "cls": Fields, **other})


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Unshowable(), "failed in runs_sections: RuntimeError: no words"),
        ([a_section(cls=[]), a_section(cls=[])], "has the class [], want an attrs class"),
        ([a_section(kind=["Run"])], "is of no known kind"),
        ([a_section(name=None)], "has the name None, want a field's"),
        ([a_section(name="a.b c")], "has the name 'a.b c', want a field's"),
        ([a_section(rules=("x",))], "has 'x' among its rules, want a Rule"),
        ([a_section(rules=None)], "failed in runs_sections: TypeError"),
        ([a_section(cls=Changeable)], "can be changed once they are there; declare Changeable with attrs.frozen"),
        ([a_section(cls=Unwritable)], "cannot be written down: Unwritable.size: the type object has no notation"),
    ],
)
def test_sections_that_cannot_be(answer: Any, sentence: str) -> None:
    assert sentence in why(lambda: plugin("runs_sections", answer))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Unshowable(), "failed in runs_settings: RuntimeError: no words"),
        (Changeable, "its settings can be changed once they are there"),
        (Small, "its settings cannot be what their defaults say: size: got 1, want at least 5"),
        (Unwritable, "its settings cannot be written down: Unwritable.size"),
    ],
)
def test_settings_that_cannot_be(answer: Any, sentence: str) -> None:
    assert sentence in why(lambda: plugin("runs_settings", answer))


def a_stage(**other: Any) -> Any:
    return Stage(**{"name": "loans", "order": 1, "closure": Closed.PREEMPTED, **other})


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ([a_stage(order="x")], "its stage loans has the order 'x', want a whole number"),
        ([a_stage(order=1.5)], "its stage loans has the order 1.5, want a whole number"),
        ([a_stage(name=None)], "its stage None wants a name of lower-case letters"),
        ([a_stage(name="a b\n")], "its stage 'a b\\n' wants a name of lower-case letters"),
        ([a_stage(closure="gone")], "its stage loans has the closure 'gone', want one of Closed"),
        ([a_stage(drawn="no")], "its stage loans has drawn or at_once that is neither True nor False"),
        ([a_stage(), a_stage(order=2)], "declares the stage loans twice"),
        ([a_stage(name="lottery")], "declares the stage lottery, which is core's"),
    ],
)
def test_stages_that_cannot_be(answer: Any, sentence: str) -> None:
    assert sentence in why(lambda: plugin("runs_stages", answer))


def test_a_permission_has_verbs_and_not_letters() -> None:
    letters: Any = "get"
    allowed = Permission(api_group="", resource="pods", verbs=letters)
    assert "its permission on pods wants tuples of verbs" in why(lambda: plugin("runs_permissions", [allowed]))


def test_two_plugins_with_one_stage_are_both_named_in_the_list() -> None:
    loads = {name: plugin("runs_stages", [a_stage()]) for name in ("a", "b")}
    found = registry(Every(), [Found(name=name, load=partial(loads.get, name)) for name in loads])
    assert [one.state for one in found.plugins] == [State.BROKEN, State.BROKEN]
    assert all("the stage loans is declared by a and b" in problem for problem in found.problems)
    assert found.stages == ()


def keyword_only() -> Any:
    def runs_hold(*, run: Any) -> Any:
        return run

    return runs_hold


def with_all() -> Any:
    def runs_hold(**everything: Any) -> Any:
        return everything

    return runs_hold


def with_a_default() -> Any:
    def runs_hold(run: Any, settings: Any = None) -> Any:
        return run, settings

    return runs_hold


def with_a_clock() -> Any:
    def runs_hold(run: Any, clock: Any) -> Any:
        return run, clock

    return runs_hold


@pytest.mark.parametrize(
    ("implementation", "sentence"),
    [
        (keyword_only(), "has the keyword run in runs_hold, which would get nothing; name plain arguments"),
        (with_all(), "has **everything in runs_hold, which would get nothing"),
        (with_a_default(), "has a default for settings in runs_hold, and would get nothing else; take it away"),
        (with_a_clock(), "wants clock in runs_hold, which has no such argument; it may take run, view, now, settings"),
    ],
)
def test_an_argument_that_would_get_nothing_is_refused(implementation: Any, sentence: str) -> None:
    assert sentence in why(lambda: a_plugin(implementation))


@pytest.mark.parametrize("hook", ["runs_demand", "runs_classify", "runs_meter"])
def test_two_that_answer_what_has_one_answer_are_both_named_in_the_list(hook: str) -> None:
    loads = {name: plugin(hook, None) for name in ("a", "b")}
    found = registry(Every(), [Found(name=name, load=partial(loads.get, name)) for name in loads])
    assert [one.state for one in found.plugins] == [State.BROKEN, State.BROKEN]
    assert all(f"a and b would all answer {hook}, which has one answer" in problem for problem in found.problems)

# ruff: noqa: ANN401 - plugins that lie answer what no type allows

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import attrs
import pytest

from runs_core.errors import PluginError
from runs_core.hooks.permission import Permission
from runs_core.hooks.registry import GROUP, State, installed, of, registry
from runs_core.hooks.specs import concerning, hookimpl
from runs_core.testing.plugins import a_plugin
from runs_core.values.fields import Fact, Rule, field
from runs_core.values.section import Section

GOOD = """
from runs_core import hookimpl
RUNS_HOOK_API = (1, 1)

@hookimpl
def runs_hold(run):
    return None
"""


@attrs.frozen(kw_only=True)
class Limits:
    most: int = 4


@attrs.frozen(kw_only=True)
class Fields:
    max_gpus: int | None = field(Fact(doc="Most."), default=None)


@attrs.frozen(kw_only=True)
class Clashing:
    max_gpus: int | None = field(Fact(doc="Most, again."), default=None)


class Install(Protocol):
    def __call__(self, name: str, source: str, *, of: str | None = None) -> None: ...


class Only:
    def __init__(self, *names: str) -> None:
        self.names = names

    def allows(self, name: str) -> bool:
        return name in self.names


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution with one plugin where Python finds it: install(name, source, of="dist-name")."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(name: str, source: str, *, of: str | None = None) -> None:
        dist = of or f"runs-{name}"
        module = dist.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        meta = tmp_path / f"{module}-1.5.dist-info"
        meta.mkdir()
        (meta / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.5\n")
        (meta / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {module}\n")

    yield put
    for module in [name for name in sys.modules if name.startswith("runs_t")]:
        del sys.modules[module]


def broken(plugin: object, name: str = "t") -> str:
    """Why it cannot be used."""
    with pytest.raises(PluginError) as refused:
        of(**{name: plugin})
    return str(refused.value)


def test_an_installed_plugin_is_found_by_its_entry_point(install: Install) -> None:
    install("t1", GOOD)
    [plugin] = [one for one in registry(Only("t1")).sound().plugins if one.name == "t1"]
    assert (plugin.version, plugin.distribution, plugin.state) == ("1.5", "runs-t1", State.ENABLED)
    assert (plugin.api, plugin.hooks) == ((1, 1), ("runs_hold",))


def test_a_plugin_that_is_switched_off_is_listed_and_never_imported(install: Install) -> None:
    install("t2", "raise SystemExit('imported')")
    [plugin] = [one for one in registry(Only()).sound().plugins if one.name == "t2"]
    assert plugin.state is State.DISABLED
    assert "runs_t2" not in sys.modules


def test_a_plugin_that_cannot_be_imported_is_broken_and_spoils_no_other(install: Install) -> None:
    install("t3", "import no_such_library")
    install("t4", GOOD)
    found = registry(Only("t3", "t4"))
    assert [impl.plugin for impl in found.impls] == ["t4"]
    with pytest.raises(
        PluginError, match=r"plugin t3 \(runs-t3 1\.5\) cannot be imported: ModuleNotFoundError: No modu"
    ):
        found.sound()


def test_a_plugin_that_is_installed_twice_is_broken(install: Install) -> None:
    install("t5", GOOD)
    install("t5", GOOD, of="runs-t6")
    assert "is installed twice, by runs-t5 and runs-t6; uninstall one" in "".join(registry(Only("t5")).problems)


def test_the_remedy_names_the_switch() -> None:
    assert "switch it off with `plugins: {t: {enabled: false}}`" in broken(a_plugin())


@pytest.mark.parametrize(
    ("api", "why"),
    [
        ((2, 3), "was written for HOOK_API 2 to 3, and this is 1; install a newer runs-core"),
        ((0, 0), "was written for HOOK_API 0 to 0, and this is 1; install a newer release of it"),
        (None, "does not say RUNS_HOOK_API = (low, high); this is HOOK_API 1"),
        ("1", "says RUNS_HOOK_API = 1, want two whole numbers such as (1, 1)"),
        ((2, 1), "want two whole numbers"),
    ],
)
def test_a_plugin_outside_of_its_range_is_refused_in_one_sentence(api: object, why: str) -> None:
    def runs_hold(run: Any) -> None:
        return None

    assert why in broken(a_plugin(runs_hold, api=api))


def test_an_unknown_hook_is_refused_with_a_suggestion() -> None:
    def runs_holds(run: Any) -> None:
        return None

    assert "implements runs_holds, which is no hook; did you mean runs_hold?" in broken(a_plugin(runs_holds))


def test_an_unknown_argument_is_refused() -> None:
    def runs_hold(rum: Any) -> None:
        return None

    assert "wants rum in runs_hold, which has no such argument" in broken(a_plugin(runs_hold))


def test_an_order_among_plugins_cannot_be_asked_for() -> None:
    plugin = a_plugin()
    plugin.runs_hold = hookimpl(tryfirst=True)(lambda run: None)
    assert "answers merge in any order" in broken(plugin)


def test_an_async_hook_is_refused() -> None:
    async def runs_hold(run: Any) -> None:
        return None

    assert "runs_hold as an async function" in broken(a_plugin(runs_hold))


def test_a_function_that_lacks_its_mark_is_refused() -> None:
    def runs_hold(run: Any) -> None:
        return None

    plugin = a_plugin()
    plugin.runs_hold = runs_hold
    assert "runs_hold without @hookimpl" in broken(plugin)


def test_only_who_pays_can_be_asked_by_section() -> None:
    @concerning(Fields)
    def runs_hold(run: Any) -> None:
        return None

    assert "marks runs_hold with @concerning, which only runs_cover takes" in broken(a_plugin(runs_hold))


@pytest.mark.parametrize(
    ("concerned", "why"),
    [
        ((Fields,), "has runs_cover @concerning Fields, which its runs_sections does not declare for Run"),
        (("funding",), "has runs_cover @concerning funding, which its runs_sections does not declare for Run"),
        (([],), "concerns something else than classes (unhashable type: 'list')"),
        (4, "concerns something else than classes ('int' object is not iterable)"),
    ],
)
def test_who_is_asked_by_section_has_declared_it(concerned: Any, why: str) -> None:
    def runs_cover(ask: Any) -> None:
        return None

    runs_cover.runs_concerning = concerned  # type: ignore[attr-defined]  # as `concerning` would
    assert why in broken(a_plugin(runs_cover))


@pytest.mark.parametrize("named", [(), ("funding",), (lambda ask: None,)])
def test_asking_by_section_names_classes(named: Any) -> None:
    with pytest.raises(TypeError, match="write @concerning\\(YourSection\\)"):
        concerning(*named)


def test_a_class_in_place_of_an_instance_is_refused() -> None:
    class Plugin:
        RUNS_HOOK_API = (1, 1)

    assert "is the class Plugin" in broken(Plugin)


def settings(answer: object) -> object:
    def runs_settings() -> Any:
        return answer

    return a_plugin(runs_settings)


def sections(*answer: object) -> object:
    def runs_sections() -> Any:
        return answer

    return a_plugin(runs_sections)


def test_what_is_declared_can_be_read() -> None:
    allowed = Permission(api_group="batch", resource="jobs", verbs=("get", "list"))

    def runs_permissions() -> Any:
        return [allowed]

    found = of(
        a=settings(Limits),
        b=sections(Section(plugin="b", kind="Run", name="limits", cls=Fields)),
        c=a_plugin(runs_permissions),
    )
    assert dict(found.settings_classes) == {"a": Limits}
    assert [section.cls for section in found.sections] == [Fields]
    assert [str(one) for one in found.permissions] == ["get, list jobs.batch"]


@pytest.mark.parametrize(
    ("plugin", "why"),
    [
        (settings(int), "runs_settings returned <class 'int'>, want an attrs class"),
        (settings(attrs.make_class("Needy", ["token"])), "no default for token"),
        (sections("limits"), "in its sequence, want a Section"),
        (sections(Section(plugin="other", kind="Run", name="x", cls=Fields)), "says plugin='other', want 't'"),
        (
            sections(Section(plugin="t", kind="Pod", name="x", cls=Fields)),
            "of no known kind; want Run.spec or Budget.spec",
        ),
        (sections(Section(plugin="t", kind="Run", name="x", cls=Limits)), "does not say what most means"),
        (
            sections(Section(plugin="t", kind="Run", name="x", cls=Fields, rules=(Rule(cel="true", message="no"),))),
            "has a rule that is about changes; want one with check alone",
        ),
        (
            sections(Section(plugin="t", kind="Run", name="resources", cls=Fields)),
            "Run.spec.resources is declared by core",
        ),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(plugin: object, why: str) -> None:
    assert why in broken(plugin)


def test_a_field_that_two_plugins_declare_is_refused_whoever_came_first() -> None:
    one = sections(Section(plugin="a", kind="Run", name="limits", cls=Fields))
    two = sections(Section(plugin="b", kind="Run", name="limits", cls=Clashing))
    for order in ({"a": one, "b": two}, {"b": two, "a": one}):
        with pytest.raises(PluginError) as refused:
            of(**order)
        assert str(refused.value).count("Run.spec.limits.maxGPUs is declared by a and by b") == 2


def ranks() -> object:
    def runs_rank(run: Any) -> tuple[int]:
        return (run.gpus,)

    return a_plugin(runs_rank)


def test_the_line_has_one_owner_that_the_settings_name() -> None:
    found = of(a=ranks(), b=ranks())
    assert found.ranking("b") == found.implementing("runs_rank")[1]
    with pytest.raises(PluginError, match="a and b would all order the line; name one"):
        found.ranking(None)
    with pytest.raises(PluginError, match="rank: got 'c', want one of a, b"):
        found.ranking("c")


def test_admission_time_orders_the_line_unless_a_plugin_is_named() -> None:
    assert of(a=ranks()).ranking(None) is None
    with pytest.raises(PluginError, match="no enabled plugin orders the line"):
        of().ranking("a")


def test_what_is_installed_is_sorted() -> None:
    names = [one.name for one in installed()]
    assert names == sorted(names)

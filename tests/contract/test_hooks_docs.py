"""The pages about hooks and plugins say what the code does."""

from __future__ import annotations

import ast
import inspect
import re
import runpy
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import pytest
import yaml

import runs_core
from runs_cli.outside import GROUP as COMMANDS
from runs_core.hooks import specs
from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.contract import CONTRACTS, Contract
from runs_core.hooks.registry import GROUP, of
from runs_core.settings import Settings
from runs_core.testing.builders import a_run, a_world
from runs_core.testing.conformance import PluginConformance

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "explanation" / "plugins.md").read_text(encoding="utf-8")
NIGHT = datetime(2026, 1, 6, 2, 30, tzinfo=UTC)
every_contract = pytest.mark.parametrize("contract", CONTRACTS.values(), ids=list(CONTRACTS))


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The plugin of the page, as the module that the page says it is."""
    module = ModuleType("quiet_nights")
    exec(compile(blocks("python")[0], "quiet_nights.py", "exec"), vars(module))  # noqa: S102 - the page's own code
    monkeypatch.setitem(sys.modules, "quiet_nights", module)
    return module


def test_the_reference_is_the_one_that_the_specifications_make() -> None:
    made = runpy.run_path(str(DOCS / "generate" / "hooks.py"))["page"]()
    kept = (DOCS / "reference" / "hooks.md").read_text(encoding="utf-8")
    assert kept == made, "run `python docs/generate/hooks.py`"


def test_every_hook_has_a_contract_and_every_contract_a_hook() -> None:
    hooks = {name for name, _ in inspect.getmembers(specs, inspect.isfunction) if name.startswith("runs_")}
    assert len(hooks) == 19
    assert set(CONTRACTS) == hooks


@every_contract
def test_a_docstring_says_what_the_contract_says(contract: Contract) -> None:
    said = " ".join(contract.asked.split())
    assert contract.asked.splitlines()[0].endswith("?")
    assert re.search(r"Asked: .+ Returns: ", said)
    assert f"Answers merge: {contract.merge.value}." in said
    assert f"A failure: {contract.failure.value}." in said
    assert f"Since: HOOK_API {contract.since}." in said


def test_the_plugin_of_the_page_is_sound_and_does_what_the_page_says(plugin: ModuleType) -> None:
    advice = PluginAdvice(of(quietnights=plugin), Settings())
    world = a_world()
    [(by, hold)] = advice.holds(a_run("wide", gpus=64), world, NIGHT)
    assert (by, hold.code) == ("quietnights", "QuietNight")
    assert hold.until == NIGHT + timedelta(hours=3, minutes=30)
    assert advice.holds(a_run("wide", gpus=64), world, NIGHT + timedelta(hours=6)) == []
    assert advice.holds(a_run("narrow", gpus=8), world, NIGHT) == []


def test_the_settings_of_the_page_are_the_plugins_own(plugin: ModuleType) -> None:
    [text] = blocks("yaml")
    given = plugin.QuietNights(**yaml.safe_load(text)["plugins"]["quietnights"])
    settings = Settings(plugins=MappingProxyType({"quietnights": given}))
    advice = PluginAdvice(of(quietnights=plugin), settings)
    assert advice.holds(a_run("wide", gpus=16), a_world(), NIGHT) == []
    assert advice.holds(a_run("wider", gpus=17), a_world(), NIGHT) != []


def second(more: str = "") -> ModuleType:
    """The other plugin of the page. more: code at its end."""
    module = ModuleType("user_caps")
    exec(compile(blocks("python")[1] + more, "user_caps.py", "exec"), vars(module))  # noqa: S102 - the page's own code
    return module


def test_the_plugin_with_a_field_and_a_count_keeps_what_every_plugin_must() -> None:
    module = second()
    wide = a_run("wide", gpus=64, sections=(module.Caps(user="ann"),))
    suite = type("TestUserCaps", (PluginConformance,), {"name": "usercaps", "plugin": module, "runs": (wide,)})()
    claims = [name for name in dir(suite) if name.startswith("test_")]
    assert len(claims) == 11
    for claim in claims:
        getattr(suite, claim)()


def test_the_plugin_with_a_field_and_a_count_holds_whoever_has_too_many() -> None:
    module = second()
    world = a_world()
    advice = PluginAdvice(of(usercaps=module), Settings())
    advice.attach(world, world)
    run = a_run("wide", gpus=17, sections=(module.Caps(user="ann"),))
    [(by, hold)] = advice.holds(run, world, NIGHT)
    assert (by, hold.message) == ("usercaps", "ann has 0 of 16 GPUs; end a run of ann")
    assert advice.holds(a_run("other", gpus=17), world, NIGHT) == []


def test_the_lines_about_payers_are_a_plugin_that_loads() -> None:
    [lines] = re.findall(r"((?:    .*\n)+)\nThen it has no say", PAGE)
    module = second("\nfrom runs_core import concerning\n" + textwrap.dedent(lines))
    [cover] = of(usercaps=module).implementing("runs_cover")
    assert cover.concerning == {module.Caps}


def test_the_suite_of_the_page_passes(plugin: ModuleType) -> None:
    space: dict[str, Any] = {"__name__": "page"}
    exec(compile(blocks("python")[2], "test_quiet_nights.py", "exec"), space)  # noqa: S102 - the page's own code
    suite = space["TestQuietNights"]()
    claims = [name for name in dir(suite) if name.startswith("test_")]
    assert len(claims) == 11
    for claim in claims:
        getattr(suite, claim)()


def test_the_entry_point_of_the_page_is_of_the_group_that_is_read() -> None:
    plugins, commands = blocks("toml")
    assert f'[project.entry-points."{GROUP}"]' in plugins
    assert f'[project.entry-points."{COMMANDS}"]' in commands


def test_the_page_imports_public_names_only() -> None:
    imported = set(re.findall(r"^from (runs_core\S*) import", "\n".join(blocks("python")), flags=re.MULTILINE))
    assert imported == {"runs_core", "runs_core.testing.builders", "runs_core.testing.conformance"}


def test_each_setting_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`hooks\.(\w+)`", PAGE))
    assert named == {"timeout", "recheck"}
    assert all(hasattr(Settings().hooks, name) for name in named)


def test_every_public_name_is_there_and_typed() -> None:
    text = Path(inspect.getfile(runs_core)).read_text(encoding="utf-8")
    typed = {
        alias.asname or alias.name: node.module
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("runs_core.")
        for alias in node.names
    }
    assert set(runs_core.__all__) == set(typed)
    for name, module in typed.items():
        assert getattr(runs_core, name) is getattr(sys.modules[str(module)], name)


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'runs_core' has no attribute 'Runn'"):
        _ = runs_core.Runn

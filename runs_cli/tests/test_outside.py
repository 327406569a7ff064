"""Commands of plugins."""

import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from click.testing import Result

from runs_cli import main, outside

Runs = Callable[..., Result]
Install = Callable[..., None]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """A module of this source, offered as commands of these names."""

    def install(source: str, *names: str) -> None:
        (tmp_path / "afterhours.py").write_text(source, encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "afterhours", raising=False)
        points = [EntryPoint(name=name, value=f"afterhours:{name}", group=outside.GROUP) for name in names]
        monkeypatch.setattr(outside, "entry_points", lambda group: points)
        for name in names:
            monkeypatch.delitem(main.root.commands, name, raising=False)

    yield install
    main.root.commands.pop("hello", None)


GOOD = """
import click
@click.command()
@click.option("--loud", is_flag=True)
def hello(loud):
    '''Greets.'''
    click.echo("HELLO" if loud else "hello")
"""


def test_a_plugins_command_runs_and_takes_the_global_options(plugin: Install, runs: Runs) -> None:
    plugin(GOOD, "hello")
    answer = runs("hello", "--loud", "-o", "json")
    assert (answer.exit_code, answer.output) == (0, "HELLO\n")


def test_listing_a_plugins_command_does_not_import_it(plugin: Install, runs: Runs) -> None:
    plugin(GOOD, "hello")
    assert "hello " in runs("--help").output
    assert "afterhours" not in sys.modules


def test_a_plugin_that_fails_leaves_a_stub_that_says_why(plugin: Install, runs: Runs) -> None:
    plugin("import nosuchthing", "hello")
    answer = runs("hello", "--loud", "now")
    assert answer.exit_code == 1
    assert "cannot be loaded (ModuleNotFoundError: No module named 'nosuchthing')" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "Traceback" in runs("hello", "--debug").stderr


@pytest.mark.parametrize(
    ("source", "why"),
    [("import sys; sys.exit(0)", "SystemExit: 0"), ("def hello(): pass", "it is function, want a click command")],
)
def test_what_is_no_command_says_so_in_one_sentence(plugin: Install, runs: Runs, source: str, why: str) -> None:
    plugin(source, "hello")
    answer = runs("hello", "--loud", "now")
    assert answer.exit_code == 1
    assert f"'hello' of afterhours cannot be loaded ({why}); update or uninstall afterhours" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_others_work_beside_a_broken_one(plugin: Install, runs: Runs) -> None:
    plugin("import nosuchthing", "hello")
    assert runs("version").exit_code == 0


def test_a_first_party_command_that_is_not_installed_says_where_it_is(runs: Runs) -> None:
    answer = runs("shrink", "train", "--by", "8")
    assert answer.exit_code == 2
    assert "'shrink' comes with the plugin elasticity" in answer.stderr


def test_from_a_source_tree_it_says_how_to_install_it(tmp_path: Path) -> None:
    (tmp_path / "runs_plugins" / "elasticity").mkdir(parents=True)
    (tmp_path / "runs_plugins" / "elasticity" / "pyproject.toml").touch()
    assert "pip install -e runs_plugins/elasticity" in (outside.missing("shrink", tmp_path) or "")
    assert "does not contain" in (outside.missing("loans", tmp_path) or "")
    assert outside.missing("quee", tmp_path) is None


HOLDS = """
from runs_core import Hold, hookimpl
RUNS_HOOK_API = (1, 1)
@hookimpl
def runs_hold(run):
    return [Hold("Closed", "the office is closed; come back at 8:00")] if run.gpus > 4 else None
@hookimpl
def runs_explained(run):
    return [f"asked for {run.gpus} GPUs after hours"]
"""


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed distribution with a plugin and a command of one name."""
    meta = tmp_path / "site" / "afterhours-1.0.dist-info"
    meta.mkdir(parents=True)
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: afterhours\nVersion: 1.0\n", encoding="utf-8")
    points = "[runs.plugins]\nafterhours = afterhours_plugin\n[runs.commands]\nhello = afterhours_commands:hello\n"
    (meta / "entry_points.txt").write_text(points, encoding="utf-8")
    (meta.parent / "afterhours_plugin.py").write_text(HOLDS, encoding="utf-8")
    (meta.parent / "afterhours_commands.py").write_text(GOOD, encoding="utf-8")
    for name in ("afterhours_plugin", "afterhours_commands"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(meta.parent))
    return "afterhours"


def test_a_command_of_a_plugin_that_is_off_says_so_and_is_not_imported(
    distribution: str, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNS_PLUGINS", "")
    answer = runs("hello", "--loud")
    assert answer.exit_code == 2
    assert "'hello' belongs to afterhours, and its plugin afterhours is off" in answer.stderr
    assert not {"afterhours_plugin", "afterhours_commands"} & set(sys.modules)
    monkeypatch.delenv("RUNS_PLUGINS")
    assert runs("hello", "--loud").stdout == "HELLO\n"


def test_explain_shows_a_plugins_hold_and_its_lines(distribution: str, runs: Runs, fleet: str) -> None:
    assert "Held" in runs("--local", fleet, "submit", "late", "--gpus", "8").stdout
    found = json.loads(runs("--local", fleet, "explain", "late", "-o", "json").stdout)
    said = {"by": "afterhours", "code": "Closed", "message": "the office is closed; come back at 8:00"}
    assert found["reasons"] == [said]
    assert {"by": "afterhours", "line": "asked for 8 GPUs after hours"} in found["said"]
    assert "Closed (afterhours): the office is closed" in runs("--local", fleet, "explain", "late").stdout
    assert runs("--local", fleet, "plan", "late").exit_code == 1


def test_plugins_are_listed_with_their_state_and_shown(distribution: str, runs: Runs) -> None:
    listed = json.loads(runs("plugins", "list", "-o", "json").stdout)["items"]
    assert ("afterhours", "Enabled") in [(plugin["name"], plugin["state"]) for plugin in listed]
    shown = json.loads(runs("plugins", "show", "afterhours", "-o", "json").stdout)
    assert (shown["hooks"], shown["api"]) == (["runs_explained", "runs_hold"], [1, 1])


def test_a_broken_plugin_is_listed_as_such_and_nothing_starts_with_it(
    distribution: str, runs: Runs, fleet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site" / "afterhours_plugin.py").write_text("raise RuntimeError('no licence')\n", encoding="utf-8")
    monkeypatch.delitem(sys.modules, "afterhours_plugin")
    listed = runs("plugins", "list")
    assert listed.exit_code == 1
    assert "Broken" in listed.stdout
    refused = runs("--local", fleet, "submit", "a", "--gpus", "1")
    assert refused.exit_code == 2
    assert "no licence" in refused.stderr
    assert "plugins: {afterhours: {enabled: false}}" in refused.stderr


RANKS = """
from runs_core import hookimpl
RUNS_HOOK_API = (1, 1)
@hookimpl
def runs_rank(run):
    return (run.gpus,)
"""


@pytest.fixture
def rankers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two installed plugins that would both order the line; no other is on."""
    site = tmp_path / "site"
    for name in ("largest", "smallest"):
        meta = site / f"{name}-1.0.dist-info"
        meta.mkdir(parents=True)
        (meta / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        (meta / "entry_points.txt").write_text(f"[runs.plugins]\n{name} = {name}_ranks\n", encoding="utf-8")
        (site / f"{name}_ranks.py").write_text(RANKS, encoding="utf-8")
        monkeypatch.delitem(sys.modules, f"{name}_ranks", raising=False)
    monkeypatch.syspath_prepend(str(site))


UNDECIDED = (
    "is not asked about the line "
    "(rank: largest and smallest would all order the line; name one, or switch the others off)"
)


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        ({"PLUGINS": "largest,smallest"}, 1, {"largest": UNDECIDED, "smallest": UNDECIDED}),
        (
            {"PLUGINS": "largest,smallest", "RANK": "smallest"},
            0,
            {
                "largest": "does not order the line: the setting rank names smallest",
                "smallest": "orders the line: the setting rank names smallest",
            },
        ),
        (
            {"PLUGINS": "largest"},
            0,
            {"largest": "does not order the line: admission time does, unless `rank: largest` is set"},
        ),
    ],
)
@pytest.mark.usefixtures("rankers")
def test_it_is_said_which_plugin_orders_the_line(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], code: int, said: dict[str, str]
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"RUNS_{name}", value)
    listed = runs("plugins", "list", "-o", "json")
    assert listed.exit_code == code
    assert {one["name"]: one["why"] for one in json.loads(listed.stdout)["items"] if one["why"]} == said
    assert json.loads(runs("plugins", "show", "largest", "-o", "json").stdout)["why"] == said["largest"]

"""Commands of plugins."""

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

"""Commands of plugins: found by name without an import, loaded when used; one that fails is a stub that says why."""

from __future__ import annotations

import traceback
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import click
from click_plugins import with_plugins

from runs_cli.failures import Code, Stop
from runs_cli.options import Asked, asked

GROUP = "runs.commands"
FIRST_PARTY = {
    "alerts": "metrics",
    "budgets": "budgets",
    "dashboards": "metrics",
    "loans": "borrowing",
    "resize": "elasticity",
    "shrink": "elasticity",
    "spares": "spares",
    "sponsors": "borrowing",
    "who-pays": "borrowing",
}
"""Command → the first-party plugin that brings it."""


def offered() -> dict[str, EntryPoint]:
    """What installed plugins declare, by command name. Of two of one name, the distribution first by name counts."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=_origin, reverse=True)}


def _origin(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value.split(":")[0]


def does(point: EntryPoint) -> str:
    """One line for the list of commands, which imports no plugin."""
    return f"From {_origin(point)}."


def load(point: EntryPoint) -> click.Command:
    """The plugin's command; a stub in its place if it cannot be imported."""
    try:
        found = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises must not take the other commands with it
        return _stub(point, why=f"{type(error).__name__}: {error}", trace=traceback.format_exc())
    if not isinstance(found, click.Command):
        return _stub(point, why=f"it is {type(found).__name__}, want a click command", trace="")
    command: click.Command = next(iter(with_plugins([point])(click.Group()).commands.values()))
    command.name = point.name
    return command


def _stub(point: EntryPoint, *, why: str, trace: str) -> click.Command:
    sentence = f"{point.name!r} of {_origin(point)} cannot be loaded ({why}); update or uninstall {_origin(point)}"
    return _refusing(point, sentence, Code.NO, trace)


def _refusing(point: EntryPoint, sentence: str, code: Code, trace: str = "") -> click.Command:
    """Takes any arguments, and says why it does nothing."""

    def fail() -> None:
        if trace and asked().debug:
            click.echo(trace, err=True)
        raise Stop(sentence, code)

    return click.Command(
        point.name,
        callback=fail,
        help=sentence,
        params=[click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED, expose_value=False)],
        context_settings={"ignore_unknown_options": True},
    )


def missing(name: str, tree: Path | None = None) -> str | None:
    """The sentence for a command of a first-party plugin that is not installed; None for any other name.

    tree: the source tree that this program runs from.
    """
    plugin = FIRST_PARTY.get(name)
    if plugin is None:
        return None
    tree = tree or Path(__file__).resolve().parents[3]
    if (tree / "runs_plugins" / plugin / "pyproject.toml").is_file():
        return f"{name!r} comes with the plugin {plugin}: install it with `pip install -e runs_plugins/{plugin}`"
    return f"{name!r} comes with the plugin {plugin}, which this release does not contain"


def allowed(point: EntryPoint, asked: Asked) -> click.Command:
    """The plugin's command, or, where all plugins of its distribution are off, a stub: what is off is not imported."""
    from runs_cli.enabled import switches  # noqa: PLC0415 - most command lines ask for no plugin's command
    from runs_core.hooks.registry import installed  # noqa: PLC0415

    mates = [plugin.name for plugin in installed() if point.dist and plugin.distribution == point.dist.name]
    if not mates or any(switches(asked).allows(name) for name in mates):
        return load(point)
    sentence = f"{point.name!r} belongs to {_origin(point)}, and its plugin {' and '.join(mates)} is off"
    return _refusing(point, f"{sentence}: switch it on in the settings or in RUNS_PLUGINS", Code.USAGE)

"""`runs plugins`: what is installed, on, off or broken."""

from __future__ import annotations

import click

from runs_cli.command import LazyGroup, Place, declare


@declare("list", examples=(("What is installed?", "runs plugins list"),))
def list_() -> None:
    """Installed plugins. Exit code 1 if nothing starts with them: one is broken, or two would order the line."""


@declare("show", examples=(("What does it do, and what can be set?", "runs plugins show NAME"),))
@click.argument("name")
def show() -> None:
    """One plugin: its hooks, settings with meaning and default, fields and permissions."""


plugins = LazyGroup(
    name="plugins",
    help="Installed plugins. One that is installed is on, unless the settings or RUNS_PLUGINS say otherwise.",
    places={
        "list": Place("runs_cli.commands.plugins:list_", "What is installed, on, off or broken."),
        "show": Place("runs_cli.commands.plugins:show", "Hooks, settings, fields and permissions of one."),
    },
    examples=(
        ("What is installed?", "runs plugins list"),
        ("What can be set?", "runs plugins show NAME"),
        ("The bare core, for once:", "RUNS_PLUGINS= runs plugins list"),
    ),
)

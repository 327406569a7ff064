"""Commands that show examples first, and groups that import a command when it is used."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import click

from runs_cli.failures import nearest
from runs_cli.options import GLOBALS, GlobalOption, with_globals

Example = tuple[str, str]
"""What it does, and the line to type, which begins with `runs`."""


class Place(NamedTuple):
    """Where a command is, and what it does in a few words, so that listing it does not import it."""

    path: str
    does: str


def _program(context: click.Context) -> str:
    return (context.find_root().info_name or "runs").split(" --")[0]


def _write_examples(context: click.Context, formatter: click.HelpFormatter, examples: Sequence[Example]) -> None:
    if not examples:
        return
    program = _program(context)
    with formatter.section("Examples"):
        for index, (does, line) in enumerate(examples):
            formatter.write("\n" if index else "")
            formatter.write(f"{'':>{formatter.current_indent}}# {does}\n")
            formatter.write(f"{'':>{formatter.current_indent}}{program}{line.removeprefix('runs')}\n")
    formatter.write("\n")


def _write_options(command: click.Command, context: click.Context, formatter: click.HelpFormatter) -> None:
    for title, is_global in (("Options", False), ("Global options, before the command or after it", True)):
        records = [
            record
            for parameter in command.get_params(context)
            if isinstance(parameter, GlobalOption) is is_global
            and (record := parameter.get_help_record(context)) is not None
        ]
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


class Command(click.Command):
    """A click command whose help begins with examples and ends with the global options."""

    def __init__(self, *args: Any, examples: Sequence[Example] = (), **settings: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*args, **settings)
        self.examples = examples
        with_globals(self)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_examples(ctx, formatter, self.examples)
        super().format_help(ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_options(self, ctx, formatter)


class LazyGroup(click.Group):
    """A group whose commands are `places`: name → module:attribute and one line of help."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - click's own
        places: Mapping[str, Place] | None = None,
        examples: Sequence[Example] = (),
        **settings: Any,  # noqa: ANN401 - click's own
    ) -> None:
        super().__init__(*args, **settings)
        self.places = places or {}
        self.examples = examples
        self.params.extend(GLOBALS)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self.places, *self.commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.commands or cmd_name not in self.places:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.places[cmd_name].path.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, Command | LazyGroup):
            with_globals(command)
        self.commands[cmd_name] = command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            raise click.UsageError(self.unknown(ctx, name), ctx)
        return super().resolve_command(ctx, args)

    def unknown(self, ctx: click.Context, name: str) -> str:
        """The sentence for a command that is not there."""
        return f"there is no command {name!r}{nearest(name, self.list_commands(ctx))}"

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_examples(ctx, formatter, self.examples)
        super().format_help(ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        _write_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.does(ctx, name)) for name in self.list_commands(ctx)])

    def does(self, ctx: click.Context, name: str) -> str:
        """One line about a command, without importing it."""
        if name in self.places:
            return self.places[name].does
        command = self.get_command(ctx, name)
        return command.get_short_help_str(120) if command else ""


def command(name: str, *, examples: Sequence[Example]) -> Callable[[Callable[..., object]], Command]:
    """Decorator: a command of this name whose help begins with these examples; its text is the docstring."""
    return click.command(name, cls=Command, examples=examples)


def declare(
    name: str, *, examples: Sequence[Example], cls: type[Command] = Command
) -> Callable[[Callable[[], None]], Command]:
    """Decorator: a command whose function here only says what it is about.

    What it does is the function of the same name in the module of the same name in `runs_cli.actions`, which gets the
    parameters by name. It is imported when the command runs, so that help waits for no scheduler.
    """

    def declared(function: Callable[[], None]) -> Command:
        @functools.wraps(function)
        def act(**given: object) -> object:
            module = importlib.import_module(function.__module__.replace(".commands.", ".actions."))
            action: Callable[..., object] = getattr(module, function.__name__)
            return action(**given)

        return click.command(name, cls=cls, examples=examples)(act)

    return declared

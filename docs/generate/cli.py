"""docs/reference/cli.md, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint

import click
from docs.generate.text import code, head, section, table

from runs_cli.command import Command, LazyGroup
from runs_cli.failures import Code
from runs_cli.main import root
from runs_cli.options import GLOBALS, GlobalOption, Output
from runs_cli.outside import FIRST_PARTY, load, offered

WORDS = """
`runs` is also installed as `kubectl-runs`, so that `kubectl runs …` is the same program. A command of a plugin stands
in `runs --help` while the plugin is installed; this page has core's, and then those of budgets and borrowing.
"""
CODES = {
    Code.DONE: "yes, or done",
    Code.NO: "no: refused, not there, or it would wait",
    Code.USAGE: "the command line, a manifest or a setting is invalid",
    Code.UNREACHABLE: "the cluster, or the file of `--local`, cannot be had: unreachable, forbidden, another version",
    Code.TIMED_OUT: "the time of `--timeout` is over",
    Code.INTERRUPTED: "interrupted",
}
OUTPUTS = {
    Output.TABLE: "for people; plain text into a pipe",
    Output.WIDE: "the table with more columns",
    Output.JSON: "Kubernetes objects, or the [view](views.md); sorted keys, times in UTC",
    Output.YAML: "the same as YAML",
    Output.NAME: "names only, one a line",
}


def page() -> str:
    """The whole page. LookupError: an exit code or an output has no line."""
    if set(CODES) != set(Code) or set(OUTPUTS) != set(Output):
        raise LookupError("docs.generate.cli: an exit code or an output has no line, or a line has none")
    context = click.Context(root, info_name="runs")
    found = [*_commands(root, context), *_of_plugins(context)]
    told = "".join(_told(command, inner) for command, inner in found)
    return head("Commands", "runs_cli", WORDS) + _overview() + _common() + told


def _overview() -> str:
    rows = [[f"[`{name}`](#runs-{name})", place.does] for name, place in root.places.items()]
    rows += [
        [f"[`{name}`](#runs-{name})", f"{_first_line(load(point))} ({plugin})"] for name, plugin, point in _points()
    ]
    return section("All commands", table(["command", "does"], rows))


def _common() -> str:
    options = table(["option", "says"], (_option(one, click.Context(root)) for one in GLOBALS))
    outputs = table(["`-o`", "gives"], [[code(str(output)), says] for output, says in OUTPUTS.items()])
    exits = table(["code", "means"], [[code(str(int(number))), says] for number, says in CODES.items()])
    words = (
        "An error is one sentence on stderr: what, where, what to do next. Colour and movement are for terminals only; "
        "`NO_COLOR`, `FORCE_COLOR` and `TERM=dumb` count."
    )
    return (
        section("Global options", "Every command takes them, before its name or after it.", options)
        + section("Output", outputs)
        + section("Exit codes", words, exits)
    )


def _commands(group: LazyGroup, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Core's own, each group before its commands."""
    for name in group.places:
        command = group.get_command(context, name)
        if command is None:
            raise LookupError(f"docs.generate.cli: no command {name}")
        inner = click.Context(command, info_name=name, parent=context)
        yield command, inner
        if isinstance(command, LazyGroup):
            yield from _commands(command, inner)


def _points() -> list[tuple[str, str, EntryPoint]]:
    """(command, plugin, where it is) of what the plugins of this tree bring, by plugin."""
    known = offered()
    found = [(name, plugin, known[name]) for name, plugin in FIRST_PARTY.items() if name in known]
    return sorted(found, key=lambda one: (one[1], one[0]))


def _of_plugins(context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Likewise, of the plugins of this tree."""
    for name, _, point in _points():
        command = load(point)
        inner = click.Context(command, info_name=name, parent=context)
        yield command, inner
        if isinstance(command, LazyGroup):
            yield from _commands(command, inner)


def _first_line(command: click.Command) -> str:
    """The first sentence of its help."""
    return _help(command).split(". ")[0].split("\n")[0].rstrip(".") + "."


def _told(command: click.Command, context: click.Context) -> str:
    usage = f"```text\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```"
    rows = [
        _option(one, context)
        for one in command.get_params(context)
        if isinstance(one, click.Option) and not isinstance(one, GlobalOption) and "--help" not in one.opts
    ]
    options = table(["option", "says"], rows) if rows else ""
    level = 2 if context.parent is not None and context.parent.parent is None else 3
    return section(
        context.command_path, _help(command), usage, _examples(command), options, _inner(command), level=level
    )


def _help(command: click.Command) -> str:
    paragraphs = (command.help or "").replace("\b", "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _inner(command: click.Command) -> str:
    if not isinstance(command, LazyGroup):
        return ""
    return table(["command", "does"], [[code(name), place.does] for name, place in command.places.items()])


def _examples(command: click.Command) -> str:
    examples: Sequence[tuple[str, str]] = command.examples if isinstance(command, Command | LazyGroup) else ()
    if not examples:
        return ""
    lines = "\n\n".join(f"# {does}\n{line}" for does, line in examples)
    return f"```sh\n{lines}\n```"


def _option(option: click.Parameter, context: click.Context) -> list[str]:
    found = option.get_help_record(context)
    if found is None:
        raise LookupError(f"docs.generate.cli: {option.name} has no help")
    names, says = found
    return [code(names), says]

"""Text for people: plain columns into a pipe, colour and movement on a terminal. The only importer of rich."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO, assert_never

import click

from runs_cli.answer import Block, Column, Fields, Notes, Table

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

COLOURS = {
    "Running": "green",
    "Starting": "cyan",
    "Queued": "yellow",
    "Reserved": "blue",
    "Held": "magenta",
    "Succeeded": "bright_black",
    "Failed": "red",
    "Start": "green",
    "Wait": "yellow",
    "Refused": "red",
    "Pending": "yellow",
    "Ready": "green",
    "Cordoned": "yellow",
    "NotReady": "red",
    "Lost": "red",
    "Malformed": "red",
    "Enabled": "green",
    "Disabled": "yellow",
    "Broken": "red",
    "open": "green",
}
"""Of words that stand for a state. The word is always there too."""

_GAP = "   "
_RICH_GAP = 2


def terminal(stream: TextIO) -> bool:
    """Whether a person may be looking, on something that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def colourful(stream: TextIO) -> bool:
    """NO_COLOR and TERM=dumb say no, FORCE_COLOR says yes, else a terminal does."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def show(blocks: Sequence[Block], *, wide: bool = False) -> None:
    """Write the blocks to stdout, an empty line between two."""
    if terminal(sys.stdout):
        console = _console(sys.stdout)
        for index, block in enumerate(blocks):
            if index:
                console.print()
            # what is longer than the terminal is wide wraps there, and is one line when it is copied
            console.print(
                _rich(block, wide=wide, colour=colourful(sys.stdout), width=console.width),
                soft_wrap=not isinstance(block, Fields) and not _fits(block, wide=wide, width=console.width),
            )
        return
    colour = colourful(sys.stdout)
    click.echo("\n\n".join("\n".join(_plain(block, wide=wide, colour=colour)) for block in blocks), color=colour)


def _kept(table: Table, *, wide: bool) -> tuple[list[Column], list[list[str]]]:
    kept = [index for index, column in enumerate(table.columns) if wide or not column.wide]
    return [table.columns[index] for index in kept], [[row[index] for index in kept] for row in table.rows]


def _plain(block: Block, *, wide: bool, colour: bool) -> Iterator[str]:
    match block:
        case Table():
            if block.title:
                yield block.title
            if not block.rows:
                yield block.empty
                return
            yield from _plain_table(*_kept(block, wide=wide), colour=colour)
        case Fields():
            width = max((len(label) for label, _ in block.pairs), default=0) + 1
            for label, value in block.pairs:
                yield f"{label + ':':<{width}} {_painted(value, colour=colour)}".rstrip()
        case Notes():
            yield block.title
            yield from (f"  {line}" for line in block.lines)
        case _:
            assert_never(block)


def _plain_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, colour: bool) -> Iterator[str]:
    cells = [[column.title for column in columns], *rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    for number, row in enumerate(cells):
        parts = []
        for column, width, text in zip(columns, widths, row, strict=True):
            padded = f"{text:>{width}}" if column.right else f"{text:<{width}}"
            parts.append(_painted(padded, colour=colour and column.state and number > 0))
        yield _GAP.join(parts).rstrip()


def _painted(text: str, *, colour: bool) -> str:
    known = COLOURS.get(text.strip())
    return click.style(text, fg=known) if colour and known else text


def _fits(block: Block, *, wide: bool, width: int) -> bool:
    """Whether a terminal of this width has room for the columns: for whole values, and for the words of the last."""
    if not isinstance(block, Table):
        return False
    columns, rows = _kept(block, wide=wide)
    cells = [[column.title for column in columns], *rows]
    last = max(len(word) for row in cells for word in row[-1].split() or [""])
    others = (max(len(row[index]) for row in cells) + _RICH_GAP for index in range(len(columns) - 1))
    return sum(others) + last <= width


def _rich(block: Block, *, wide: bool, colour: bool, width: int) -> RenderableType:
    from rich.text import Text  # noqa: PLC0415 - help and machines do not wait for it

    match block:
        case Table():
            if not block.rows:
                return Text("\n".join(filter(None, (block.title, block.empty))))
            if not _fits(block, wide=wide, width=width):
                return Text.from_ansi("\n".join(_plain(block, wide=wide, colour=colour)))
            return _rich_table(block, wide=wide, colour=colour)
        case Fields():
            return _rich_fields(block, colour=colour)
        case Notes():
            return Text.assemble((block.title, "bold" if colour else ""), *(f"\n  {line}" for line in block.lines))
        case _:
            assert_never(block)


def _rich_table(table: Table, *, wide: bool, colour: bool) -> RenderableType:
    from rich.table import Table as Grid  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    columns, rows = _kept(table, wide=wide)
    grid = Grid(
        box=None,
        pad_edge=False,
        padding=(0, _RICH_GAP, 0, 0),
        title=table.title or None,
        title_justify="left",
        title_style="bold" if colour else "",
        header_style="bold" if colour else "",
    )
    for index, column in enumerate(columns):
        last = index == len(columns) - 1
        grid.add_column(column.title, justify="right" if column.right else "left", no_wrap=not last, overflow="fold")
    for row in rows:
        cells = (
            Text(text, style=COLOURS.get(text, "") if colour and column.state else "")
            for column, text in zip(columns, row, strict=True)
        )
        grid.add_row(*cells)
    return grid


def _rich_fields(fields: Fields, *, colour: bool) -> RenderableType:
    from rich.table import Table as Grid  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Grid.grid(padding=(0, 1, 0, 0))
    for label, value in fields.pairs:
        style = COLOURS.get(value, "") if colour else ""
        grid.add_row(Text(label + ":", style="bold" if colour else ""), Text(value, style=style))
    return grid


def _console(stream: TextIO) -> Console:
    from rich.console import Console  # noqa: PLC0415

    return Console(file=stream, no_color=not colourful(stream), highlight=False, markup=False, soft_wrap=False)


def complain(sentence: str) -> None:
    """An error, on stderr."""
    start = click.style("Error:", fg="red") if colourful(sys.stderr) else "Error:"
    click.echo(f"{start} {sentence}", err=True, color=colourful(sys.stderr))


@contextmanager
def progress(does: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """A bar on stderr where that is a terminal, else nothing. The body calls what it gets with (done, some words)."""
    if not terminal(sys.stderr):
        yield lambda _done, _words: None
        return
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

    percent = TextColumn("{task.percentage:>3.0f}%  {task.fields[words]}")
    columns = (TextColumn("{task.description}"), BarColumn(), percent)
    with Progress(*columns, console=_console(sys.stderr), transient=True) as bar:
        task = bar.add_task(does, total=total, words="")
        yield lambda done, words: bar.update(task, completed=done, words=words)


def live(frames: Iterable[Sequence[Block]]) -> None:
    """Show each frame in place of the one before, on a terminal."""
    from rich.console import Group  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    colour = colourful(sys.stdout)
    console = _console(sys.stdout)
    with Live(console=console, auto_refresh=False) as view:
        for blocks in frames:
            shown = [_rich(block, wide=False, colour=colour, width=console.width) for block in blocks]
            view.update(Group(*shown), refresh=True)

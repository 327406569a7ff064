"""What a command answers: one plain value for machines, blocks of text and tables for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

import attrs
import click

from runs_cli.options import Asked, Output


@attrs.frozen
class Column:
    """wide: shown with -o wide only. state: its word is coloured. right: numbers."""

    title: str
    wide: bool = False
    state: bool = False
    right: bool = False


@attrs.frozen(kw_only=True)
class Table:
    """empty: the sentence in place of a table without rows. title: a line above it."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    empty: str = ""
    title: str = ""


@attrs.frozen(kw_only=True)
class Fields:
    """Labels and values, one below the other."""

    pairs: Sequence[tuple[str, str]]


@attrs.frozen(kw_only=True)
class Notes:
    """Sentences under a title."""

    title: str
    lines: Sequence[str]


Block = Table | Fields | Notes


def as_json(plain: object) -> str:
    """Byte-stable: sorted keys."""
    return json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False)


def as_yaml(plain: object) -> str:
    """Byte-stable: sorted keys."""
    import yaml  # noqa: PLC0415 - most answers are no YAML

    text: str = yaml.safe_dump(plain, sort_keys=True, allow_unicode=True, default_flow_style=False, width=10_000)
    return text.rstrip("\n")


def answer(
    asked: Asked,
    *,
    plain: Callable[[], object],
    names: Callable[[], Iterable[str]],
    blocks: Callable[[], Sequence[Block]],
) -> None:
    """Write what was asked for; the forms that were not asked for are not made."""
    match asked.output:
        case Output.JSON:
            click.echo(as_json(plain()))
        case Output.YAML:
            click.echo(as_yaml(plain()))
        case Output.NAME:
            for name in names():
                click.echo(name)
        case Output.TABLE | Output.WIDE:
            from runs_cli import render  # noqa: PLC0415 - machines do not wait for it

            render.show(blocks(), wide=asked.output is Output.WIDE)


def listed(objects: Sequence[object], *, one: bool) -> object:
    """Kubernetes objects as kubectl gives them: the object if one was named, else a List."""
    if one and len(objects) == 1:
        return objects[0]
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}

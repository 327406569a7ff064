"""Everything that is wrong with a JSON value, held against its shape."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, assert_never

from cattrs import Converter

from runs_core.schema.convert import UNREADABLE, canonical
from runs_core.schema.missing import whose
from runs_core.schema.say import Path, got, guess, one_of, spelling
from runs_core.schema.shape import (
    MOST_WHOLE,
    Choice,
    Flag,
    Items,
    Moment,
    Quantity,
    Real,
    Record,
    Shape,
    Span,
    Table,
    Text,
    Whole,
)
from runs_core.values.fields import Rule, rules_of
from runs_core.values.quantity import parse_count, parse_duration, parse_time

MOST_CHARACTERS = 64
"""Of a duration, a time or a quantity."""


class Fault(NamedTuple):
    """path: from the value that was checked. what: got, want. harmless: the rest can be judged all the same."""

    path: Path
    what: str
    harmless: bool = False


def faults(value: object, shape: Shape, read: Converter, kind: str = "") -> Iterator[Fault]:
    """In the order of the value.

    read: builds the classes whose rules are asked. kind: of the object, and its section, to name the plugin that an
    unknown field is of.
    """
    match shape:
        case Record():
            yield from _record(value, shape, read, kind)
        case Table():
            yield from _table(value, shape, read)
        case Items():
            yield from _items(value, shape, read)
        case _:
            if (what := _plain(value, shape)) is not None:
                yield Fault((), what)


def _under(step: str | int, found: Iterator[Fault]) -> Iterator[Fault]:
    for fault in found:
        yield fault._replace(path=(step, *fault.path))


def _record(value: object, shape: Record, read: Converter, kind: str) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault((), f"got {got(value)}, want a map")
        return
    clean = True
    for fault in _members(value, shape, read, kind):
        clean = clean and fault.harmless
        yield fault
    if clean:
        for at, part in enumerate(shape.parts):
            yield from _rules(value, part, (*rules_of(part), *(() if at else shape.wide)), read)


def _members(value: dict[str, Any], shape: Record, read: Converter, kind: str) -> Iterator[Fault]:
    if not shape.open:
        for name, one in value.items():
            if shape.member(name) is None:
                yield from _foreign(name, one, shape, kind)
    for member in shape.members:
        if value.get(member.name) is not None:
            inside = f"{kind}.{member.name}" if kind else ""
            yield from _under(member.name, faults(value[member.name], member.shape, read, inside))
        elif member.required:
            yield Fault((member.name,), f"got nothing, want {wanted(member.shape)}")


def _foreign(name: str, value: object, shape: Record, kind: str) -> Iterator[Fault]:
    """A field that the shape has not, or, where they are of several plugins, the fields inside."""
    inside = value if isinstance(value, dict) else {}
    theirs = {one: told for one in inside if (told := whose(f"{kind}.{name}", one)) is not None}
    yield from (Fault((name, one), told, harmless=True) for one, told in theirs.items())
    if not theirs or len(theirs) < len(inside):
        yield Fault((name,), _unknown(name, shape, kind), harmless=True)


def _unknown(name: str, shape: Record, kind: str) -> str:
    if (theirs := whose(kind, name)) is not None:
        return theirs
    names = sorted(member.name for member in shape.members)
    return f"got an unknown field{guess(name, names)}, want {one_of(names) if names else 'none'}"


def _rules(value: dict[str, Any], part: type, rules: Sequence[Rule], read: Converter) -> Iterator[Fault]:
    checked = [rule for rule in rules if rule.check is not None]
    if not checked:
        return
    try:
        built: Any = read.structure(value, part)
    except UNREADABLE as error:
        yield Fault((), f"cannot be read: {error}")
        return
    for rule in checked:
        if rule.check is not None and not rule.check(built):
            yield broken_rule(value, rule)


def broken_rule(value: object, rule: Rule) -> Fault:
    """value: what the rule is about, as JSON."""
    path = tuple(rule.field.split(".")) if rule.field else ()
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return Fault(path, f"got {got(value)}, {rule.message}")


def _table(value: object, shape: Table, read: Converter) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault((), f"got {got(value)}, want a map")
        return
    yield from _size(len(value), shape)
    for key, entry in value.items():
        if shape.keys is not None and compiled(shape.keys).fullmatch(key) is None:
            yield Fault((key,), f"got the key {got(key)}, want {spelling(shape.keys)}")
        yield from _under(key, faults(entry, shape.of, read))


def _items(value: object, shape: Items, read: Converter) -> Iterator[Fault]:
    if not isinstance(value, list):
        yield Fault((), f"got {got(value)}, want a list")
        return
    yield from _size(len(value), shape)
    seen: dict[str, int] = {}
    for index, entry in enumerate(value):
        yield from _under(index, faults(entry, shape.of, read))
        if not shape.unique and shape.unique_by is None:
            continue
        same = entry.get(shape.unique_by) if shape.unique_by and isinstance(entry, dict) else entry
        if (first := seen.setdefault(canonical(same), index)) != index:
            what = f"got {got(same)} again, as in entry {first}, want each once"
            yield Fault((index, shape.unique_by) if shape.unique_by else (index,), what)


def _size(length: int, shape: Items | Table) -> Iterator[Fault]:
    if length < shape.minimum:
        yield Fault((), f"got {length} entries, want at least {shape.minimum}")
    if length > shape.maximum:
        yield Fault((), f"got {length} entries, want at most {shape.maximum}")


_Plain = Text | Whole | Real | Flag | Choice | Span | Moment | Quantity


def _plain(value: object, shape: _Plain) -> str | None:
    match shape:
        case Text():
            return _text(value, shape) if isinstance(value, str) else f"got {got(value)}, want text{_quoted(value)}"
        case Whole():
            return _number(value, shape) if type(value) is int else f"got {got(value)}, want {wanted(shape)}"
        case Real():
            return _number(value, shape) if type(value) in (int, float) else f"got {got(value)}, want {wanted(shape)}"
        case Flag():
            return None if isinstance(value, bool) else f"got {got(value)}, want true or false"
        case Choice(options):
            near = guess(value, options) if isinstance(value, str) else ""
            return None if value in options else f"got {got(value)}{near}, want {one_of(options)}"
        case Span() | Moment() | Quantity():
            return _notation(value, shape)
        case _:
            assert_never(shape)


def _quoted(value: object) -> str:
    """YAML makes numbers and truth values of plain words."""
    return "; put it in quotes" if isinstance(value, bool | int | float) else ""


def _text(text: str, shape: Text) -> str | None:
    if len(text) > shape.max_length:
        return f"got {len(text)} characters, want at most {shape.max_length}"
    if shape.pattern is not None and compiled(shape.pattern).fullmatch(text) is None:
        return f"got {got(text)}, want {spelling(shape.pattern)}"
    return None


def _number(value: Any, shape: Whole | Real) -> str | None:
    low = shape.minimum is not None and value < shape.minimum
    high = shape.maximum is not None and value > shape.maximum
    return f"got {got(value)}, want {wanted(shape)}" if low or high else None


def _notation(value: object, shape: Span | Moment | Quantity) -> str | None:
    counted = isinstance(shape, Quantity) and type(value) is int
    if not isinstance(value, str) and not counted:
        return f"got {got(value)}, want {wanted(shape)}"
    if isinstance(value, str) and len(value) > MOST_CHARACTERS:
        return f"got {len(value)} characters, want {wanted(shape)}"
    try:
        match shape:
            case Span():
                parse_duration(str(value))
            case Moment():
                parse_time(str(value))
            case Quantity():
                parse_count(str(value))
    except ValueError as error:
        return str(error)
    return None


def wanted(shape: Shape) -> str:
    """A few words for what may stand there."""
    match shape:
        case Whole():
            return f"a whole number{_between(shape)}"
        case Real():
            return f"a number{_between(shape)}"
        case Flag():
            return "true or false"
        case Choice(options):
            return one_of(options)
        case Span():
            return "a duration such as 90s, 30m or 1h30m"
        case Moment():
            return "a time such as 2026-01-31T08:00:00Z"
        case Quantity():
            return "a quantity such as 2, 500m or 16Gi, in quotes where it has a point"
        case Text():
            return "text"
        case Items():
            return "a list"
        case Table() | Record():
            return "a map"
        case _:
            assert_never(shape)


def _between(shape: Whole | Real) -> str:
    low = shape.minimum if shape.minimum is not None and shape.minimum > -MOST_WHOLE else None
    high = shape.maximum if shape.maximum is not None and shape.maximum < MOST_WHOLE else None
    match low, high:
        case None, None:
            return ""
        case _, None:
            return f" of at least {low}"
        case None, _:
            return f" of at most {high}"
        case _:
            return f" from {low} to {high}"


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)

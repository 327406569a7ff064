"""The shape of a value in manifests, walked once from its attrs class, for checks, CRDs, JSON Schema and settings."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs

from runs_core.errors import PluginError
from runs_core.schema.names import manifest_name
from runs_core.values.fields import Fact, Rule, fact_of, rules_of
from runs_core.values.lease import NodeSlots
from runs_core.values.meta import DNS_NAME, Pairs
from runs_core.values.node import MOST_NODE_GPUS
from runs_core.values.section import Section

MOST_TEXT = 32_768
MOST_ITEMS = 10_000
MOST_WHOLE = 2**63 - 1
NEITHER = object()
"""The default of a field that has none."""

Slots = tuple[NodeSlots, ...]
Amount = str | int
"""A resource quantity as manifests write it: `500m`, `16Gi`, 2."""


@attrs.frozen(kw_only=True)
class Text:
    """max_length: in characters."""

    pattern: str | None = None
    max_length: int = MOST_TEXT


@attrs.frozen(kw_only=True)
class Whole:
    """An integer within bounds, both included."""

    minimum: int = -MOST_WHOLE - 1
    maximum: int = MOST_WHOLE


@attrs.frozen(kw_only=True)
class Real:
    """A number within bounds, both included."""

    minimum: int | None = None
    maximum: int | None = None


@attrs.frozen
class Flag:
    """True or false."""


@attrs.frozen
class Choice:
    """One of an enumeration's texts."""

    options: tuple[str, ...]


@attrs.frozen
class Span:
    """A duration in Go's notation."""


@attrs.frozen
class Moment:
    """A time in RFC 3339."""


@attrs.frozen
class Quantity:
    """A resource quantity, not negative."""


@attrs.frozen(kw_only=True)
class Items:
    """A list. unique: of plain values, each once; unique_by: of records, by this field."""

    of: Shape
    minimum: int = 0
    maximum: int = MOST_ITEMS
    unique: bool = False
    unique_by: str | None = None


@attrs.frozen(kw_only=True)
class Table:
    """A map with keys that nobody lists beforehand."""

    of: Shape
    keys: str | None = None
    minimum: int = 0
    maximum: int = MOST_ITEMS


@attrs.frozen(kw_only=True)
class Record:
    """A map with known keys. parts: the classes whose values it holds, more than one where plugins add fields to it.

    rules: of the parts, and those that sections have about the whole; wide: the latter. open: other keys are kept,
    unread.
    """

    parts: tuple[type, ...]
    members: tuple[Member, ...]
    rules: tuple[Rule, ...] = ()
    wide: tuple[Rule, ...] = ()
    open: bool = False

    def member(self, name: str) -> Member | None:
        return next((member for member in self.members if member.name == name), None)


@attrs.frozen(kw_only=True)
class Member:
    """One field. attribute: its name in Python; empty for a plugin's section. default: a Python value, or NEITHER."""

    name: str
    attribute: str
    shape: Shape
    doc: str
    default: Any = NEITHER
    by: str = "core"

    @property
    def required(self) -> bool:
        return self.default is NEITHER


Shape = Text | Whole | Real | Flag | Choice | Span | Moment | Quantity | Items | Table | Record
OPEN = "__runs_open__"
_WIRE: dict[type, type] = {}


def kept_open(cls: type) -> type:
    """Class decorator: keys that the class does not declare are allowed and kept."""
    setattr(cls, OPEN, True)
    return cls


def written_as(cls: type, wire: type) -> None:
    """Values of cls are written in manifests as `wire` declares."""
    _WIRE[cls] = wire


@cache
def record(cls: type, sections: tuple[Section, ...] = ()) -> Record:
    """The shape of an attrs class, with the sections of plugins merged in. PluginError: two declare one field."""
    hints = get_type_hints(cls)
    members = [
        Member(
            name=manifest_name(attribute.name, fact),
            attribute=attribute.name,
            shape=_shape(hints[attribute.name], fact, f"{cls.__name__}.{attribute.name}"),
            doc=fact.doc,
            default=_default(attribute),
        )
        for attribute in attrs.fields(cls)
        if (fact := fact_of(attribute)) is not None
    ]
    rules = list(rules_of(cls))
    beside: list[type] = []
    for name in sorted({section.name for section in sections}):
        parts = [section for section in sections if section.name == name]
        if name:
            members.append(_section(name, parts))
        else:
            members += [member for part in parts for member in _fields(part)]
            rules += [rule for part in parts for rule in rules_of(part.cls)]
            beside += [part.cls for part in parts]
    wide = tuple(rule for section in sections for rule in section.rules)
    return Record(
        parts=(cls, *beside),
        members=_once(members),
        rules=(*rules, *wide),
        wide=wide,
        open=getattr(cls, OPEN, False),
    )


def _section(name: str, parts: Sequence[Section]) -> Member:
    shared = Record(
        parts=tuple(part.cls for part in parts),
        members=_once([member for part in parts for member in _fields(part)]),
        rules=tuple(rule for part in parts for rule in rules_of(part.cls)),
    )
    by = ", ".join(sorted({part.plugin for part in parts}))
    return Member(name=name, attribute="", shape=shared, doc=f"Read by {by}.", default=None, by=by)


def _fields(part: Section) -> Iterator[Member]:
    if not attrs.has(part.cls):
        raise PluginError(f"plugin {part.plugin}: section {part.name or 'spec'} is {part.cls!r}, want an attrs class")
    for member in record(part.cls).members:
        yield attrs.evolve(member, by=part.plugin)


def _once(members: Sequence[Member]) -> tuple[Member, ...]:
    seen: dict[str, Member] = {}
    for member in members:
        if (first := seen.get(member.name)) is not None:
            raise PluginError(
                f"field {member.name} is declared by {first.by} and by {member.by}: "
                "switch one of them off, or rename the field"
            )
        seen[member.name] = member
    return tuple(seen.values())


def _default(attribute: attrs.Attribute[Any]) -> Any:
    default: Any = attribute.default
    if default is attrs.NOTHING:
        return NEITHER
    return default.factory() if hasattr(default, "factory") else default


def _shape(hint: Any, fact: Fact, where: str) -> Shape:
    """PluginError: a type that has no notation in manifests."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    if hint == Pairs:
        text = Text(pattern=fact.pattern, max_length=fact.max_length or MOST_TEXT)
        return Table(of=text, keys=fact.keys, minimum=fact.min_items or 0, maximum=fact.max_items or MOST_ITEMS)
    if hint == Slots:
        ordinals = Items(
            of=Whole(minimum=0, maximum=MOST_NODE_GPUS - 1), minimum=1, maximum=MOST_NODE_GPUS, unique=True
        )
        return Table(of=ordinals, keys=DNS_NAME, minimum=fact.min_items or 0)
    if hint == Amount:
        return Quantity()
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType) and len(inner) == 2 and type(None) in inner:  # noqa: PLR2004 - X | None
        return _shape(inner[0] if inner[1] is type(None) else inner[1], fact, where)
    if origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
        return _items(_shape(inner[0], fact, where), fact)
    if origin in (Mapping, dict) and inner[0] is str:
        return Table(of=_shape(inner[1], fact, where), keys=fact.keys, maximum=fact.max_items or MOST_ITEMS)
    if isinstance(hint, type):
        return _class(hint, fact, where)
    raise PluginError(f"{where}: the type {hint} has no notation in manifests")


def _items(of: Shape, fact: Fact) -> Items:
    return Items(
        of=of,
        minimum=fact.min_items or 0,
        maximum=fact.max_items or MOST_ITEMS,
        unique=fact.unique,
        unique_by=fact.unique_by,
    )


def _class(hint: type, fact: Fact, where: str) -> Shape:
    if issubclass(hint, StrEnum):
        return Choice(tuple(option.value for option in hint))
    if hint is str:
        return Text(pattern=fact.pattern, max_length=fact.max_length or MOST_TEXT)
    if hint is int:
        return Whole(
            minimum=-MOST_WHOLE - 1 if fact.minimum is None else fact.minimum,
            maximum=MOST_WHOLE if fact.maximum is None else fact.maximum,
        )
    if hint is float:
        return Real(minimum=fact.minimum, maximum=fact.maximum)
    if attrs.has(_WIRE.get(hint, hint)):
        return record(_WIRE.get(hint, hint))
    raise PluginError(f"{where}: the type {hint.__name__} has no notation in manifests")


_PLAIN: dict[Any, Shape] = {bool: Flag(), timedelta: Span(), datetime: Moment()}

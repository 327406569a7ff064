"""How a field of an API object says what its type cannot: meaning, bounds, relations.

One declaration serves the Python validators, the CRD's OpenAPI schema, its CEL and the reference pages.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import attrs

T = TypeVar("T")
Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]
KEY = "runs"
RULES = "__runs_rules__"


@attrs.frozen(kw_only=True)
class Fact:
    """What is declared beside the type.

    minimum, maximum: of a number, or of each of a list. pattern, max_length: of a text, of each text of a list, or of
    each value of a map; keys: the pattern of a map's keys. name: the field's name in manifests where camelCase of the
    Python name is not it. unique: no entry of the list twice. unique_by: the field by which entries of a list of
    objects differ. always: written even where it is the default.
    """

    doc: str
    name: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    pattern: str | None = None
    keys: str | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    unique: bool = False
    unique_by: str | None = None
    always: bool = False


@attrs.frozen(kw_only=True)
class Rule:
    """A relation between fields of one object, twice: as CEL for the API server and as Python for everybody else.

    cel: a boolean over `self`, and over `oldSelf` in a transition rule. What it names and has a default is there: the
    API server has filled it in. unless: where this is so, the rule does not apply; rules that share it are one to the
    API server, which then looks once. field: the manifest path, relative to the object, that a message points at.
    message: what is wanted, with the remedy. A rule has `check`, true when the object is good, or, as a transition
    rule, `change`, true when the new object (second) may follow the old one.
    """

    cel: str
    message: str
    field: str = ""
    unless: str = ""
    check: Callable[[Any], bool] | None = None
    change: Callable[[Any, Any], bool] | None = None


def rules(*declared: Rule) -> Callable[[type[T]], type[T]]:
    """Class decorator: the relations that hold inside one object of this class."""

    def declare(cls: type[T]) -> type[T]:
        setattr(cls, RULES, declared)
        return cls

    return declare


def rules_of(cls: type) -> tuple[Rule, ...]:
    """The relations declared on cls, in order of declaration."""
    found: tuple[Rule, ...] = getattr(cls, RULES, ())
    return found


def fact_of(attribute: attrs.Attribute[Any]) -> Fact | None:
    """What was declared for this attribute; None for one that is not part of the API."""
    found: Fact | None = attribute.metadata.get(KEY)
    return found


def field(fact: Fact, *, default: Any = attrs.NOTHING, factory: Any = None) -> Any:
    """An attrs field that carries its fact and enforces its bounds whenever a value is built."""
    options: dict[str, Any] = {"metadata": {KEY: fact}}
    if factory is not None:
        options["factory"] = factory
    elif default is not attrs.NOTHING:
        options["default"] = default
    if _bounded(fact):
        options["validator"] = _counted(fact) if _only_numbers(fact) else _bounds
    return attrs.field(**options)


def _bounded(fact: Fact) -> bool:
    limits = (fact.minimum, fact.maximum, fact.pattern, fact.keys, fact.max_length, fact.min_items, fact.max_items)
    return fact.unique or any(limit is not None for limit in limits)


def _only_numbers(fact: Fact) -> bool:
    return fact.pattern is None and fact.keys is None and fact.max_length is None


def _counted(fact: Fact) -> Validator:
    """As `_bounds`, with the good case first and cheap: leases and pods are built for every start.

    Of a list of numbers only the length is looked at; what it may hold is judged where it is read.
    """
    least = fact.minimum if fact.minimum is not None else -math.inf
    most = fact.maximum if fact.maximum is not None else math.inf
    fewest = fact.min_items or 0
    longest = fact.max_items if fact.max_items is not None else math.inf

    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if type(value) is int:
            if least <= value <= most:
                return
        elif type(value) is tuple and fewest <= len(value) <= longest:
            return
        _bounds(instance, attribute, value)

    return check


def _bounds(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    for wrong in broken(attribute.metadata[KEY], value):
        raise ValueError(f"{attribute.name}: {wrong}")


def broken(fact: Fact, value: Any) -> Iterator[str]:
    """What of the fact's bounds a value (of the declared type) breaks, a sentence each."""
    match value:
        case None:
            return
        case tuple():
            yield from _entries(fact, value)
        case str():
            yield from _text(fact, value)
        case _ if fact.minimum is not None and value < fact.minimum:
            yield f"got {value}, want at least {fact.minimum}"
        case _ if fact.maximum is not None and value > fact.maximum:
            yield f"got {value}, want at most {fact.maximum}"
        case _:
            return


def _entries(fact: Fact, value: tuple[Any, ...]) -> Iterator[str]:
    if fact.min_items is not None and len(value) < fact.min_items:
        yield f"got {len(value)} entries, want at least {fact.min_items}"
    if fact.max_items is not None and len(value) > fact.max_items:
        yield f"got {len(value)} entries, want at most {fact.max_items}"
    if fact.unique and len(set(value)) < len(value):
        yield "got an entry twice, want each once"
    if all(limit is None for limit in (fact.pattern, fact.keys, fact.max_length, fact.minimum, fact.maximum)):
        return
    for entry in value:
        if isinstance(entry, tuple):
            key, text = entry
            if fact.keys is not None and re.fullmatch(fact.keys, key) is None:
                yield f"got the key {key!r}, want text that matches {fact.keys}"
            yield from _text(fact, text)
        else:
            yield from broken(fact, entry)


def _text(fact: Fact, text: str) -> Iterator[str]:
    if fact.max_length is not None and len(text) > fact.max_length:
        yield f"got {len(text)} characters, want at most {fact.max_length}"
    elif fact.pattern is not None and re.fullmatch(fact.pattern, text) is None:
        yield f"got {text!r}, want text that matches {fact.pattern}"

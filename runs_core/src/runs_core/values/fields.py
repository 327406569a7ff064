"""How a field of an API object says what its type cannot: meaning, bounds, immutability.

One declaration serves the Python validators, the CRD's OpenAPI schema, its CEL and the reference pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import attrs

T = TypeVar("T")
KEY = "runs"
RULES = "__runs_rules__"


@attrs.frozen(kw_only=True)
class Fact:
    """What is declared beside the type. minimum, maximum: for numbers, or the length of a list.

    name: the field's name in manifests where camelCase of the Python name is not it. immutable: the value may
    not change after creation. nullable_doc is not needed: a field whose type admits None is optional.
    """

    doc: str
    name: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    pattern: str | None = None
    max_length: int | None = None
    max_items: int | None = None
    immutable: bool = False


@attrs.frozen(kw_only=True)
class Rule:
    """A relation between fields of one object, twice: as CEL for the API server and as Python for everybody else.

    cel: a boolean over `self` (and `oldSelf`, then a transition rule that `check` does not see). field: the manifest path, relative to
    the object, that a message points at. check: True when the object is good; None where only a transition rule can tell.
    """

    cel: str
    message: str
    field: str = ""
    check: Callable[[Any], bool] | None = None


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
    if any(bound is not None for bound in (fact.minimum, fact.maximum, fact.pattern, fact.max_length, fact.max_items)):
        options["validator"] = _bounds
    return attrs.field(**options)


def _bounds(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    fact = attribute.metadata[KEY]
    if value is None:
        return
    if fact.minimum is not None and value < fact.minimum:
        raise ValueError(f"got {value}, want at least {fact.minimum}")
    if fact.maximum is not None and value > fact.maximum:
        raise ValueError(f"got {value}, want at most {fact.maximum}")
    for text in value if isinstance(value, tuple) else (value,):
        if fact.pattern is not None and re.fullmatch(fact.pattern, text) is None:
            raise ValueError(f"got {text!r}, want text like {fact.pattern}")
        if fact.max_length is not None and len(text) > fact.max_length:
            raise ValueError(f"got {len(text)} characters, want at most {fact.max_length}")
    if fact.max_items is not None and len(value) > fact.max_items:
        raise ValueError(f"got {len(value)} entries, want at most {fact.max_items}")

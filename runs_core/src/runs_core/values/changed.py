"""A frozen value with some fields changed, at a fraction of what `attrs.evolve` costs: for what every decision does."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import attrs

T = TypeVar("T", bound=attrs.AttrsInstance)
KEPT = object()


def changed(value: T, **changes: Any) -> T:  # noqa: ANN401  # fields of the value, checked where they have a validator
    """As `attrs.evolve`, and as valid: what changes is checked, the rest was. TypeError: it has no such field."""
    return changer(type(value))(value, **changes)


def changer(cls: type[T]) -> Callable[..., T]:
    """`changed` for one class, for who changes many of its values: from a value and keywords to a value."""
    return _written_out(cls)


@cache
def _written_out(cls: type[attrs.AttrsInstance]) -> Callable[..., Any]:
    """Field by field, as attrs writes a class's `__init__`.

    It fills an instance of a subclass that is not frozen and then makes it one of the class: setting a field of a
    frozen value takes ten times as long. What is worked out from other fields stays the same object while it is
    equal: keys are found by identity. TypeError: building such a value takes more than setting its fields.
    """
    fields = attrs.fields(cls)
    if hasattr(cls, "__attrs_post_init__") or "_attrs_cached_hash" in vars(cls) or any(f.converter for f in fields):
        raise TypeError(f"{cls.__name__} does more than keep its fields: use attrs.evolve")
    thaw = {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    scope: dict[str, Any] = {
        "cls": cls,
        "thawed": type(cls.__name__, (cls,), thaw),
        "blank": object.__new__,
        "KEPT": KEPT,
    }
    given = [field for field in fields if field.init]
    lines = [
        f"def remake(old, *, {', '.join(f'{field.name}=KEPT' for field in given)}):",
        "    new = blank(thawed)",
        *(f"    new.{field.name} = old.{field.name} if {field.name} is KEPT else {field.name}" for field in given),
    ]
    for field in fields:
        if not field.init:
            scope[f"make_{field.name}"] = field.default.factory
            lines.append(f"    made = make_{field.name}(new)")
            lines.append(f"    new.{field.name} = old.{field.name} if made == old.{field.name} else made")
        elif field.validator is not None:
            scope[f"check_{field.name}"], scope[f"field_{field.name}"] = field.validator, field
            check = f"check_{field.name}(new, field_{field.name}, {field.name})"
            lines.append(f"    if {field.name} is not KEPT: {check}")
    lines += ["    new.__class__ = cls", "    return new"]
    exec("\n".join(lines), scope)  # noqa: S102  # made of the names of fields of our own classes
    return scope["remake"]  # type: ignore[no-any-return]  # as its first line says

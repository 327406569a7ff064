"""A frozen value with some fields changed, at a fraction of what `attrs.evolve` costs: for what every decision does."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import attrs

T = TypeVar("T", bound=attrs.AttrsInstance)
MADE_OF = "runs.made_of"


def made_of(*fields: str, by: Callable[[Any], object]) -> Any:  # noqa: ANN401  # as of `attrs.field`
    """A field that is worked out from these, and from no others, and that nobody gives: it stays while they do."""
    return attrs.field(
        init=False,
        repr=False,
        eq=False,
        default=attrs.Factory(by, takes_self=True),
        metadata={MADE_OF: fields},
    )


def changed(value: T, **changes: Any) -> T:  # noqa: ANN401  # fields of the value, checked where they have a validator
    """As `attrs.evolve`, and as valid: what changes is checked, the rest was. TypeError: it has no such field."""
    remade: T = _written_out(type(value), tuple(changes))(value, *changes.values())
    return remade


def changer(cls: type[T], *names: str) -> Callable[..., T]:
    """`changed` for always the same fields: from a value and their new values, in that order, to a value."""
    return _written_out(cls, names)


@cache
def _written_out(cls: type[attrs.AttrsInstance], names: tuple[str, ...]) -> Callable[..., Any]:
    """Field by field, as attrs writes a class's `__init__`.

    It fills an instance of a subclass that is not frozen and then makes it one of the class: setting a field of a
    frozen value takes ten times as long. What is worked out from other fields stays the same object while it is
    equal: keys are found by identity. TypeError: there is no such field, or building such a value takes more than
    setting its fields.
    """
    fields = attrs.fields(cls)
    if hasattr(cls, "__attrs_post_init__") or "_attrs_cached_hash" in vars(cls) or any(f.converter for f in fields):
        raise TypeError(f"{cls.__name__} does more than keep its fields: use attrs.evolve")
    if strange := set(names).difference(field.name for field in fields if field.init):
        raise TypeError(f"{cls.__name__} has no field {min(strange)}")
    scope: dict[str, Any] = {"cls": cls, "thawed": _thawed(cls), "blank": object.__new__}
    lines = [f"def remake({', '.join(('old', *names))}):", "    new = blank(thawed)"]
    for field in fields:
        name = field.name
        if name in names:
            lines.append(f"    new.{name} = {name}")
            if field.validator is not None:
                scope[f"check_{name}"], scope[f"field_{name}"] = field.validator, field
                lines.append(f"    check_{name}(new, field_{name}, {name})")
        elif field.init or not set(names).intersection(field.metadata[MADE_OF]):
            lines.append(f"    new.{name} = old.{name}")
        else:
            scope[f"make_{name}"] = field.default.factory
            lines.append(f"    made = make_{name}(new)")
            lines.append(f"    new.{name} = old.{name} if made == old.{name} else made")
    lines += ["    new.__class__ = cls", "    return new"]
    exec("\n".join(lines), scope)  # noqa: S102  # made of the names of fields of our own classes
    return scope["remake"]  # type: ignore[no-any-return]  # as its first line says


@cache
def _thawed(cls: type) -> type:
    """A subclass that is not frozen."""
    thaw = {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    return type(cls.__name__, (cls,), thaw)

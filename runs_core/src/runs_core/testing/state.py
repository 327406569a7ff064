"""What an object is made of, as values that compare: to tell whether it is exactly as it was."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import Enum

from runs_core.hooks.sight import Sight
from runs_core.world.world import World


def state_of(thing: object) -> object:
    """Equal for two objects if nothing in them differs. The world is left out; order counts in sequences only."""
    return _state(thing, frozenset())


def _state(thing: object, above: frozenset[int]) -> object:
    if id(thing) in above:
        return "itself"
    within = above | {id(thing)}
    match thing:
        case Sight() | World():
            return "the world"
        case None | bool() | int() | float() | str() | bytes() | Enum() | type():
            return thing
        case Mapping():
            return {_text(key): _state(value, within) for key, value in thing.items()}
        case AbstractSet():
            return sorted(_text(one) for one in thing)
        case list() | tuple():
            return [_state(one, within) for one in thing]
        case _:
            return _parts(thing, within)


def _parts(thing: object, within: frozenset[int]) -> object:
    fields = _fields(thing)
    return (
        (type(thing).__name__, {name: _state(fields[name], within) for name in sorted(fields)})
        if fields
        else _text(thing)
    )


def _fields(thing: object) -> dict[str, object]:
    slots = [name for cls in type(thing).__mro__ for name in _slots(cls)]
    fields = {name: getattr(thing, name) for name in slots if hasattr(thing, name) and not name.startswith("__")}
    return {**fields, **getattr(thing, "__dict__", {})}


def _slots(cls: type) -> tuple[str, ...]:
    slots = getattr(cls, "__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _text(thing: object) -> str:
    return f"{type(thing).__name__} {thing!r}"

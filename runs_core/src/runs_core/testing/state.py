"""What an object is made of, as values that compare: to tell whether it is exactly as it was."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import Enum

from runs_core.hooks.sight import Sight
from runs_core.world.world import World


def state_of(thing: object) -> object:
    """Equal for two objects if nothing in them differs. The world is left out; order counts in sequences only.

    An object met again is named by its number: it costs what there is, however much refers to it.
    """
    return _state(thing, {})


def _state(thing: object, met: dict[int, int]) -> object:
    match thing:
        case Sight() | World():
            return "the world"
        case None | bool() | int() | float() | str() | bytes() | Enum() | type():
            return thing
        case Mapping():
            return {name: _state(value, met) for name, value in sorted(_named(thing), key=lambda named: named[0])}
        case AbstractSet():
            return sorted(_text(one) for one in thing)
        case list() | tuple():
            return [_state(one, met) for one in thing]
        case _ if id(thing) in met:
            return f"object {met[id(thing)]}"
        case _:
            met[id(thing)] = len(met)
            return _parts(thing, met)


def _named(mapping: Mapping[object, object]) -> list[tuple[str, object]]:
    return [(_text(key), value) for key, value in mapping.items()]


def _parts(thing: object, met: dict[int, int]) -> object:
    fields = _fields(thing)
    return (
        (type(thing).__name__, {name: _state(fields[name], met) for name in sorted(fields)}) if fields else _text(thing)
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

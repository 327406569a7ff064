"""What a plugin declares once: settings, sections, permissions. Checked alone, then against core and the others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from runs_core.errors import PluginError
from runs_core.hooks.permission import Permission
from runs_core.schema.names import manifest_name
from runs_core.schema.shape import record
from runs_core.values.budget import BudgetSpec, BudgetStatus
from runs_core.values.fields import Rule, fact_of
from runs_core.values.funding import LOTTERY, Stage
from runs_core.values.lease import Closed
from runs_core.values.run import RunSpec
from runs_core.values.section import Section

MOST_SHOWN = 80
PARTS: Mapping[tuple[str, str], type[attrs.AttrsInstance]] = {
    ("Run", "spec"): RunSpec,
    ("Budget", "spec"): BudgetSpec,
    ("Budget", "status"): BudgetStatus,
}
"""What plugins can add fields to."""
_FIELD = re.compile(r"[a-z][A-Za-z0-9]{0,62}")
_STAGE = re.compile(r"[a-z][a-z0-9-]{0,62}")


class Undeclarable(Exception):
    """A declaration is not what its hook wants."""


def settings_class(answer: object) -> type:
    """A frozen attrs class that can be built from nothing."""
    if not isinstance(answer, type) or not attrs.has(answer):
        raise Undeclarable(f"runs_settings returned {_short(answer)}, want an attrs class")
    needed = [field.name for field in attrs.fields(answer) if field.init and field.default is attrs.NOTHING]
    if needed:
        raise Undeclarable(f"its settings have no default for {', '.join(needed)}; give each field one")
    try:
        answer()
    except Exception as error:
        raise Undeclarable(f"its settings cannot be what their defaults say: {error}") from error
    _readable(answer, "its settings")
    return answer


def _readable(cls: type, what: str) -> None:
    """Its values never change, and there is a notation for what stands in its fields."""
    blank: Any = object.__new__(cls)
    names = [field.name for field in attrs.fields(cls)]
    try:
        for name in names[:1]:
            setattr(blank, name, None)
            raise Undeclarable(f"{what} can be changed once they are there; declare {cls.__name__} with attrs.frozen")
    except attrs.exceptions.FrozenInstanceError:
        pass
    try:
        record(cls)
    except (PluginError, NameError) as error:
        raise Undeclarable(f"{what} cannot be written down: {error}") from error


def sections(answer: object, plugin: str) -> tuple[Section, ...]:
    """Each of a known kind, with an attrs class whose fields say what they are."""
    if isinstance(answer, str) or not isinstance(answer, Sequence):
        raise Undeclarable(f"runs_sections returned {_short(answer)}, want a sequence of Section")
    found: list[Section] = []
    for one in answer:
        if not isinstance(one, Section):
            raise Undeclarable(f"runs_sections returned {_short(one)} in its sequence, want a Section")
        where = f"its section {one.kind}.{one.part}{'.' if one.name else ''}{one.name}"
        _placed(one, plugin, where)
        if any(one.kind == other.kind and one.cls is other.cls for other in found):
            raise Undeclarable(f"{where} has the class of another section of {one.kind}; give each its own")
        _declares(one, where)
        found.append(one)
    return tuple(found)


def _placed(one: Section, plugin: str, where: str) -> None:
    if one.plugin != plugin:
        raise Undeclarable(f"{where} says plugin={one.plugin!r}, want {plugin!r}, the name of its entry point")
    if not any((one.kind, one.part) == place for place in PARTS):
        raise Undeclarable(f"{where} is of no known kind; want {' or '.join(f'{k}.{p}' for k, p in PARTS)}")
    if one.name != "" and not _is(_FIELD, one.name):
        raise Undeclarable(f"{where} has the name {_short(one.name)}, want a field's, such as houseRules")


def _declares(one: Section, where: str) -> None:
    cls = _any(one.cls)
    if not isinstance(cls, type) or not attrs.has(cls):
        raise Undeclarable(f"{where} has the class {_short(cls)}, want an attrs class")
    for rule in one.rules:
        if not isinstance(rule, Rule):
            raise Undeclarable(f"{where} has {_short(rule)} among its rules, want a Rule")
        if rule.check is None or rule.change is not None:
            raise Undeclarable(f"{where} has a rule that is about changes; want one with check alone")
    for field in attrs.fields(one.cls):
        if fact_of(field) is None:
            raise Undeclarable(f"{where} does not say what {field.name} means; declare it with field(Fact(doc=…))")
    _readable(one.cls, where)


def permissions(answer: object) -> tuple[Permission, ...]:
    """Sorted."""
    if isinstance(answer, str) or not isinstance(answer, Sequence):
        raise Undeclarable(f"runs_permissions returned {_short(answer)}, want a sequence of Permission")
    for one in answer:
        if not isinstance(one, Permission):
            raise Undeclarable(f"runs_permissions returned {_short(one)} in its sequence, want a Permission")
        if any(not isinstance(words, tuple) for words in (_any(one.verbs), _any(one.names))):
            raise Undeclarable(f"its permission on {one.resource} wants tuples of verbs and of names, not a text")
    return tuple(sorted(answer, key=str))


def stages(answer: object) -> tuple[Stage, ...]:
    """Sorted by their order."""
    if isinstance(answer, str) or not isinstance(answer, Sequence):
        raise Undeclarable(f"runs_stages returned {_short(answer)}, want a sequence of Stage")
    for one in answer:
        if not isinstance(one, Stage):
            raise Undeclarable(f"runs_stages returned {_short(one)} in its sequence, want a Stage")
        _stage(one)
    names = [one.name for one in answer]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Undeclarable(f"declares the stage {twice[0]} twice; give each a name of its own")
    return tuple(sorted(answer, key=lambda stage: (stage.order, stage.name)))


def _stage(one: Stage) -> None:
    order, closure, said = _any(one.order), _any(one.closure), (_any(one.drawn), _any(one.at_once))
    if not _is(_STAGE, one.name):
        raise Undeclarable(f"its stage {_short(one.name)} wants a name of lower-case letters, digits, and -")
    if one.name == LOTTERY.name:
        raise Undeclarable(f"declares the stage {one.name}, which is core's; give it another name")
    if type(order) is not int:
        raise Undeclarable(f"its stage {one.name} has the order {_short(order)}, want a whole number")
    if not isinstance(closure, Closed):
        raise Undeclarable(f"its stage {one.name} has the closure {_short(closure)}, want one of Closed")
    if any(type(flag) is not bool for flag in said):
        raise Undeclarable(f"its stage {one.name} has drawn or at_once that is neither True nor False")


def _is(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _any(value: Any) -> Any:  # noqa: ANN401 - a plugin's value may be another than its type says
    return value


def contested(stages: Sequence[tuple[str, Stage]]) -> list[tuple[tuple[str, ...], str]]:
    """Stages by plugin: of which name there are several; as `clashes`."""
    owners: dict[str, list[str]] = {}
    for plugin, stage in sorted(stages, key=lambda one: (one[1].name, one[0])):
        owners.setdefault(stage.name, []).append(plugin)
    return [
        (tuple(who), f"the stage {name} is declared by {' and by '.join(who)}")
        for name, who in owners.items()
        if len(who) > 1
    ]


def clashes(sections: Sequence[Section]) -> list[tuple[tuple[str, ...], str]]:
    """The same field twice: the plugins concerned, sorted, and a sentence. Core's fields are nobody else's."""
    claims: dict[tuple[str, str], list[str]] = {}
    for (kind, part), cls in PARTS.items():
        for field in _fields(cls):
            claims[f"{kind}.{part}", field] = ["core"]
    found = []
    for one in sorted(sections, key=lambda section: (section.plugin, section.kind, section.part, section.name)):
        place = f"{one.kind}.{one.part}"
        paths = [f"{one.name}.{field}".removeprefix(".") for field in _fields(one.cls)]
        whole = [one.name] if one.name and claims.get((place, one.name)) == ["core"] else []
        for path in [*paths, *whole]:
            claims.setdefault((place, path), []).append(one.plugin)
            others = claims[place, path]
            if len(others) > 1:
                who = " and by ".join(others)
                found.append((tuple(sorted(set(others) - {"core"})), f"{place}.{path} is declared by {who}"))
    return found


def _fields(cls: type[attrs.AttrsInstance]) -> list[str]:
    return [manifest_name(field.name, fact) for field in attrs.fields(cls) if (fact := fact_of(field)) is not None]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."

"""What a plugin declares once: settings, sections, permissions. Checked alone, then against core and the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from runs_core.hooks.permission import Permission
from runs_core.schema.names import manifest_name
from runs_core.values.budget import BudgetSpec, BudgetStatus
from runs_core.values.fields import fact_of
from runs_core.values.funding import Stage
from runs_core.values.run import RunSpec
from runs_core.values.section import Section

MOST_SHOWN = 80
PARTS: Mapping[tuple[str, str], type[attrs.AttrsInstance]] = {
    ("Run", "spec"): RunSpec,
    ("Budget", "spec"): BudgetSpec,
    ("Budget", "status"): BudgetStatus,
}
"""What plugins can add fields to."""


class Undeclarable(Exception):
    """A declaration is not what its hook wants."""


def settings_class(answer: object) -> type:
    """A frozen attrs class that can be built from nothing."""
    if not isinstance(answer, type) or not attrs.has(answer):
        raise Undeclarable(f"runs_settings returned {_short(answer)}, want an attrs class")
    needed = [field.name for field in attrs.fields(answer) if field.init and field.default is attrs.NOTHING]
    if needed:
        raise Undeclarable(f"its settings have no default for {', '.join(needed)}; give each field one")
    return answer


def sections(answer: object, plugin: str) -> tuple[Section, ...]:
    """Each of a known kind, with an attrs class whose fields say what they are."""
    if isinstance(answer, str) or not isinstance(answer, Sequence):
        raise Undeclarable(f"runs_sections returned {_short(answer)}, want a sequence of Section")
    for one in answer:
        if not isinstance(one, Section):
            raise Undeclarable(f"runs_sections returned {_short(one)} in its sequence, want a Section")
        where = f"its section {one.kind}.{one.part}{'.' if one.name else ''}{one.name}"
        if one.plugin != plugin:
            raise Undeclarable(f"{where} says plugin={one.plugin!r}, want {plugin!r}, the name of its entry point")
        if (one.kind, one.part) not in PARTS:
            raise Undeclarable(f"{where} is of no known kind; want {' or '.join(f'{k}.{p}' for k, p in PARTS)}")
        if (one.kind, one.cls) in {(other.kind, other.cls) for other in answer if other is not one}:
            raise Undeclarable(f"{where} has the class of another section of {one.kind}; give each its own")
        if not attrs.has(one.cls):
            raise Undeclarable(f"{where} has the class {_short(one.cls)}, want an attrs class")
        if any(rule.check is None or rule.change is not None for rule in one.rules):
            raise Undeclarable(f"{where} has a rule that is about changes; want one with check alone")
        for field in attrs.fields(one.cls):
            if fact_of(field) is None:
                raise Undeclarable(f"{where} does not say what {field.name} means; declare it with field(Fact(doc=…))")
    return tuple(answer)


def permissions(answer: object) -> tuple[Permission, ...]:
    """Sorted."""
    if isinstance(answer, str) or not isinstance(answer, Sequence):
        raise Undeclarable(f"runs_permissions returned {_short(answer)}, want a sequence of Permission")
    for one in answer:
        if not isinstance(one, Permission):
            raise Undeclarable(f"runs_permissions returned {_short(one)} in its sequence, want a Permission")
    return tuple(sorted(answer, key=str))


def stages(answer: object) -> tuple[Stage, ...]:
    """Sorted by their order."""
    if isinstance(answer, str) or not isinstance(answer, Sequence):
        raise Undeclarable(f"runs_stages returned {_short(answer)}, want a sequence of Stage")
    for one in answer:
        if not isinstance(one, Stage):
            raise Undeclarable(f"runs_stages returned {_short(one)} in its sequence, want a Stage")
    return tuple(sorted(answer, key=lambda stage: (stage.order, stage.name)))


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

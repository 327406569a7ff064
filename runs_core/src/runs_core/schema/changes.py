"""What may follow what: the transition rules of an update, as the API server holds them with CEL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from runs_core.errors import Problem
from runs_core.schema.convert import Ours
from runs_core.schema.names import manifest_name
from runs_core.schema.say import Path, spell
from runs_core.values.fields import fact_of, rules_of

_ROOT = ("spec", "status")


def changes_refused(old: Ours, new: Ours) -> list[Problem]:
    """What of the step from old to new is refused; both are of one kind, and valid by themselves. where: the field."""
    return list(_refused(old, new, ()))


def _refused(old: Any, new: Any, path: Path) -> Iterator[Problem]:
    for rule in rules_of(type(new)):
        if rule.change is not None and not rule.change(old, new):
            where = spell((*path, *rule.field.split("."))) if rule.field else spell(path)
            yield Problem(where, f"got a change, {rule.message}")
    for attribute in attrs.fields(type(new)):
        before, after = getattr(old, attribute.name), getattr(new, attribute.name)
        if attribute.name == "sections":
            for cls in before.keys() & after.keys():
                yield from _refused(before[cls], after[cls], path)
        elif attrs.has(type(after)) and type(before) is type(after):
            fact = fact_of(attribute)
            name = attribute.name if fact is None else manifest_name(attribute.name, fact)
            if fact is not None or name in _ROOT:
                yield from _refused(before, after, (*path, name))

"""Rules as the API server is asked them, in CEL."""

from __future__ import annotations

from collections.abc import Sequence

from runs_core.schema.authors import RULES
from runs_core.schema.convert import Object
from runs_core.values.fields import Rule


def asked(rules: Sequence[Rule]) -> Object:
    """As a part of the schema of what they are about; empty where there are none."""
    alone = [_rule(rule) for rule in rules if rule.cel and not rule.unless]
    shared = dict.fromkeys(rule.unless for rule in rules if rule.unless)
    found = alone + [_joined(unless, [rule for rule in rules if rule.unless == unless]) for unless in shared]
    return {RULES: found} if found else {}


def _rule(rule: Rule) -> Object:
    found = {"rule": rule.cel, "message": rule.message}
    named = rule.field and not rule.field.startswith("metadata")  # the API server's own, and no field of the schema
    return found | ({"fieldPath": f".{rule.field}"} if named else {})


def _joined(unless: str, rules: Sequence[Rule]) -> Object:
    """One for all: each look at a field of a wide object costs the API server as much as the object is wide."""
    (message,) = {rule.message for rule in rules}
    (within,) = {rule.field.rpartition(".")[0] for rule in rules}
    fields = ", ".join(rule.field.rpartition(".")[2] for rule in rules)
    all_hold = " && ".join(f"({rule.cel})" for rule in rules)
    return {"rule": f"{unless} || ({all_hold})", "message": f"{fields}: {message}", "fieldPath": f".{within}"}

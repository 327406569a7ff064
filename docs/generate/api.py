"""docs/reference/api.md: kinds, fields, rules, phases and reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from docs.generate import codes
from docs.generate.text import code, head, section, table

from runs_core.schema.check import wanted
from runs_core.schema.crd import json_default
from runs_core.schema.metadata import ObjectMeta
from runs_core.schema.names import API_VERSION, KINDS, Kind
from runs_core.schema.pods import ATTEMPT_LABEL, GROUP_LABEL, RANK_LABEL, RETRY_LABEL, RUN_LABEL, UID_LABEL
from runs_core.schema.say import spelling
from runs_core.schema.shape import (
    MOST_ITEMS,
    MOST_TEXT,
    Choice,
    Items,
    Member,
    Record,
    Shape,
    Span,
    Table,
    Text,
    record,
)
from runs_core.values.fields import Rule, rules_of

WORDS = f"""
All kinds are of `{API_VERSION}`. `runs manifests crds` prints their CustomResourceDefinitions, made of the same
declarations as this page. A manifest with an unknown field, or a value out of bounds, is refused with its file, line
and field. A field with a default may be left out; so may one that is optional. In a status, what has its default is
mostly left out.

Notations: a duration is as Go writes it (`90s`, `30m`, `1h30m`), a time is RFC 3339 (`2026-01-31T08:00:00Z`), a
quantity is Kubernetes' own (`2`, `500m`, `16Gi`). `[]` stands for each entry of a list.
"""
KINDS_ORDER = ("Run", "GPULease", "Budget", "Reservation", "Resolution")
LABELS = {
    RUN_LABEL: "the run's name",
    UID_LABEL: "its uid",
    ATTEMPT_LABEL: "the run's start that the pod belongs to, from 1",
    RETRY_LABEL: "restarts of the gang within that start, from 0",
    RANK_LABEL: "the rank, from 0",
    GROUP_LABEL: "the placement group, from 0",
}


def page() -> str:
    """The whole page. LookupError: a reason, phase or closure has no line."""
    codes.checked()
    start = head("The API", "the classes in runs_core/values and from docs/generate/codes.py", WORDS)
    kinds = "".join(_kind(KINDS[name]) for name in KINDS_ORDER)
    return start + _overview() + kinds + _metadata() + _phases() + _reasons() + _ledger() + _pods()


def _overview() -> str:
    rows = [
        [
            f"[`{kind.name}`](#{kind.name.lower()})",
            code(kind.plural),
            code(kind.short),
            "namespaced" if kind.namespaced else "cluster",
            kind.doc,
        ]
        for kind in (KINDS[name] for name in KINDS_ORDER)
    ]
    return section("Kinds", table(["kind", "plural", "short", "scope", "is"], rows))


def _kind(kind: Kind) -> str:
    columns = table(["column", "type", "from"], [[name, type_, code(path)] for name, type_, path in kind.columns])
    return (
        section(kind.name, kind.doc)
        + section(f"{kind.name} columns", "What `kubectl get` prints.", columns, level=3)
        + section(f"{kind.name}.spec", _fields(record(kind.spec), "spec"), level=3)
        + section(
            f"{kind.name}.status", "Written by the scheduler only.", _fields(record(kind.status), "status"), level=3
        )
        + section(f"{kind.name} rules", _rules(kind), level=3)
    )


def _fields(shape: Record, path: str) -> str:
    return table(["field", "type", "default", "meaning"], _rows(shape, path))


def _rows(shape: Record, path: str) -> Iterator[list[str]]:
    for member in shape.members:
        here = f"{path}.{member.name}"
        yield [code(here), type_of(member.shape), _default(member), member.doc]
        inner = member.shape.of if isinstance(member.shape, Items) else member.shape
        if isinstance(inner, Record):
            yield from _rows(inner, f"{here}[]" if isinstance(member.shape, Items) else here)


def _default(member: Member) -> str:
    if member.required:
        return "required"
    if isinstance(member.shape, Record):
        return "optional"
    default = json_default(member)
    if default is None:
        return "empty" if isinstance(member.shape, Items | Table) else "optional"
    return code(str(default).lower() if isinstance(default, bool) else str(default))


def type_of(shape: Shape) -> str:
    """In words, with the bounds."""
    match shape:
        case Text():
            most = f", at most {shape.max_length} characters" if shape.max_length != MOST_TEXT else ""
            return f"text{most}" + (f": {spelling(shape.pattern)}" if shape.pattern else "")
        case Choice(options):
            return " or ".join(code(option) for option in options)
        case Span():
            return "duration"
        case Items():
            once = ", each once" if shape.unique else f", by `{shape.unique_by}`" if shape.unique_by else ""
            return f"list of {_plural(shape.of)}{_size(shape)}{once}"
        case Table():
            keys = f", keys: {spelling(shape.keys)}" if shape.keys else ""
            return f"map to {type_of(shape.of)}{_size(shape)}{keys}"
        case Record():
            return "map; other keys are kept" if shape.open else "map"
        case _:
            return wanted(shape).removeprefix("a ").split(" such as")[0]


def _plural(shape: Shape) -> str:
    return "maps" if isinstance(shape, Record) else type_of(shape)


def _size(shape: Items | Table) -> str:
    least = f", at least {shape.minimum}" if shape.minimum else ""
    return least + (f", at most {shape.maximum:,} entries" if shape.maximum != MOST_ITEMS else "")


def _rules(kind: Kind) -> str:
    parts: list[tuple[str, Sequence[Rule]]] = [("", rules_of(kind.value))]
    parts += _nested(record(kind.spec), "spec")
    parts += _nested(record(kind.status), "status")
    rows = [
        [
            code(".".join(filter(None, (path, rule.field))) or kind.name),
            rule.message + ("" if rule.cel else " (held by runs, not by the API server)"),
            "on an edit" if rule.change else "always",
        ]
        for path, rules in parts
        for rule in rules
    ]
    words = "Relations between fields. runs holds a manifest to them, and the API server does by the CEL of the CRD."
    return words + "\n\n" + table(["field", "rule", "holds"], rows) if rows else "None beside the bounds above."


def _nested(shape: Record, path: str) -> list[tuple[str, Sequence[Rule]]]:
    found: list[tuple[str, Sequence[Rule]]] = [(path, shape.rules)]
    for member in shape.members:
        inner = member.shape.of if isinstance(member.shape, Items) else member.shape
        if isinstance(inner, Record):
            found += _nested(inner, f"{path}.{member.name}")
    return found


def _metadata() -> str:
    words = "The part of Kubernetes' ObjectMeta that runs reads, of every kind."
    return section("metadata", words, _fields(record(ObjectMeta), "metadata"))


def _phases() -> str:
    phases = [[code(phase.value), codes.PHASES[phase]] for phase in codes.PHASES]
    conditions = [[code(name), says] for name, says in codes.CONDITIONS.items()]
    return section("Phases", table(["phase of a run", "means"], phases)) + section(
        "Conditions", "Of a run.", table(["condition", "is True when"], conditions), level=3
    )


def _reasons() -> str:
    words = "The reason of a run's status. Where several hold, `status.reason` is the first and `explain` shows all."
    groups = (
        ("Reasons to be held", "Phase `Held`. A plugin that holds runs adds its own.", codes.HOLDS),
        ("Reasons to wait", "Phase `Queued`, and in line.", codes.WAITS),
        ("On the way", "", codes.STANDING),
        ("Reasons why an attempt ended", "", codes.ENDS),
    )
    told = [section(title, said, _lines("reason", lines), level=3) for title, said, lines in groups]
    rows = [[code(name), where, says] for name, (where, says) in codes.ELSEWHERE.items()]
    elsewhere = section("Elsewhere", table(["reason", "in", "means"], rows), level=3)
    return section("Reasons", words) + "".join(told) + elsewhere


def _lines(title: str, lines: dict[str, str]) -> str:
    return table([title, "means"], [[code(name), says] for name, says in lines.items()])


def _ledger() -> str:
    opened = {reason.value: says for reason, says in codes.OPENED.items()}
    closed = {reason.value: says for reason, says in codes.CLOSED.items()}
    words = (
        "`spec.reason` of a GPULease says why it was opened, `status.closureReason` why it closed. "
        "A lease closes when its pods have ended, not when they are told to."
    )
    return section("Reasons of leases", words, _lines("opened", opened), _lines("closed", closed))


def _pods() -> str:
    rows = [[code(label), says] for label, says in LABELS.items()]
    return section("Labels of pods", "Each rank's pod has them.", table(["label", "says"], rows))

"""CustomResourceDefinitions: structural schemas, defaults, bounds and CEL, from the attrs classes and nothing else.

Source: Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions" and "Common Expression
Language in Kubernetes".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, assert_never

import attrs

from runs_core.schema.asked import asked
from runs_core.schema.authors import WHOLE, in_parts
from runs_core.schema.check import MOST_CHARACTERS
from runs_core.schema.convert import Object
from runs_core.schema.kept import OPEN, as_it_comes, looked_at, rules_beside
from runs_core.schema.names import GROUP, KINDS, VERSION, Kind, manifest_name
from runs_core.schema.say import spelling
from runs_core.schema.shape import (
    MOST_WHOLE,
    Choice,
    Flag,
    Items,
    Member,
    Moment,
    Quantity,
    Real,
    Record,
    Shape,
    Span,
    Table,
    Text,
    Whole,
    record,
)
from runs_core.values.fields import Rule, fact_of
from runs_core.values.quantity import LARGEST_DURATION, format_duration
from runs_core.values.section import Section

_SPAN = r"^\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$"
_DAY, _CLOCK = r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}", r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
_MOMENT = rf"^{_DAY}[Tt]{_CLOCK}([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
_AMOUNT = r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3}|[numkMGTPE]|[KMGTPE]i)?$"
_LONGEST = f"{LARGEST_DURATION // timedelta(hours=1)}h"
_LIST = "x-kubernetes-list-type"


def crds(sections: Sequence[Section] = ()) -> list[Object]:
    """One for each kind, by plural. PluginError: two plugins declare one field."""
    return [_crd(kind, sections) for kind in sorted(KINDS.values(), key=lambda kind: kind.plural)]


def _crd(kind: Kind, sections: Sequence[Section]) -> Object:
    columns = [{"name": name, "type": type_, "jsonPath": path} for name, type_, path in kind.columns]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short],
            },
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _root(kind, sections)},
                    **({"subresources": {"status": {}}} if kind.status_apart else {}),
                    "additionalPrinterColumns": columns,
                }
            ],
        },
    }


def _root(kind: Kind, sections: Sequence[Section]) -> Object:
    """The status has a default, so that its columns are filled before anybody has written it."""
    mine, told = (tuple(one for one in sections if one.within(kind.name, part)) for part in ("spec", "status"))
    wanted, status = record(kind.spec, mine), record(kind.status, told)
    spec = as_it_comes(kind, "spec", wanted, schema(wanted)) if "spec" in kind.as_it_comes else _said(kind, wanted)
    found: Object = {
        "type": "object",
        "description": kind.doc,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": in_parts(spec) if kind.status_apart else {**spec, **WHOLE},
            "status": {**_told(kind, status), **WHOLE},
        },
    }
    return found | asked(rules_beside(kind))


def _said(kind: Kind, shape: Record) -> Object:
    """What nobody says is left out of a spec, as the local cluster does, unless a rule or a column looks at it.

    Of what is said in part the rest is filled in.
    """
    found = schema(shape)
    columns = {path.split(".")[2] for _, _, path in kind.columns if path.startswith(".spec.")}
    seen = columns | looked_at(shape.rules) | looked_at(rules_beside(kind), "spec.")
    parts = found["properties"].items()
    silent = {name: {key: value for key, value in part.items() if key != "default"} for name, part in parts}
    return {**found, "properties": {name: part if name in seen else silent[name] for name, part in parts}}


def _told(kind: Kind, shape: Record) -> Object:
    """The API server fills in what is always written, and no more: with each write it handles each field that is there.

    What is left out of a status is zero, or empty, as in those of Kubernetes' own kinds.
    """
    found = schema(shape)
    facts = [(attribute.name, fact_of(attribute)) for attribute in attrs.fields(kind.status)]
    always = {manifest_name(name, fact) for name, fact in facts if fact is not None and fact.always}
    if "status" in kind.as_it_comes:
        filled = {name: found["properties"][name]["default"] for name in sorted(always)}
        return {**as_it_comes(kind, "status", shape, found), "default": filled}
    parts = {name: part if name in always else _unfilled(part) for name, part in found["properties"].items()}
    return {**found, "properties": parts, "default": {}}


def _unfilled(found: Object) -> Object:
    """Without defaults, at any depth."""
    kept = {key: value for key, value in found.items() if key != "default"}
    for inside in ("items", "additionalProperties"):
        if inside in kept:
            kept[inside] = _unfilled(kept[inside])
    if "properties" in kept:
        kept["properties"] = {name: _unfilled(part) for name, part in kept["properties"].items()}
    return kept


def schema(shape: Shape) -> Object:
    """The structural schema of one value."""
    match shape:
        case Record():
            return _record(shape)
        case Table():
            return _table(shape)
        case Items():
            return _items(shape)
        case Text():
            return _text(shape)
        case Whole():
            return {"type": "integer", "format": "int64", **_bounds(shape)}
        case Real():
            return {"type": "number", **_bounds(shape)}
        case Flag():
            return {"type": "boolean"}
        case Choice(options):
            return {"type": "string", "enum": list(options)}
        case Span():
            within = Rule(cel=f"duration(self) <= duration('{_LONGEST}')", message=f"want at most {_LONGEST}")
            return {"type": "string", "pattern": _SPAN, "maxLength": MOST_CHARACTERS, **asked([within])}
        case Moment():
            return {"type": "string", "format": "date-time", "pattern": _MOMENT, "maxLength": MOST_CHARACTERS}
        case Quantity():
            return {"x-kubernetes-int-or-string": True, "minimum": 0, "pattern": _AMOUNT, "maxLength": MOST_CHARACTERS}
        case _:
            assert_never(shape)


def _record(shape: Record) -> Object:
    found: Object = {"type": "object", "properties": {member.name: _member(member) for member in shape.members}}
    if required := sorted(member.name for member in shape.members if member.required):
        found["required"] = required
    if shape.open:
        found[OPEN] = True
    return found | asked(shape.rules)


def _member(member: Member) -> Object:
    found = schema(member.shape)
    if member.doc:
        found["description"] = member.doc
    if (default := json_default(member)) is not None:
        found["default"] = default
    return found


def json_default(member: Member) -> Any:
    """As JSON; None where there is none that the API server should fill in: lists and maps are empty by themselves."""
    if isinstance(member.shape, Record):
        filled = member.attribute and member.default is not None and not member.required and not member.shape.open
        return {} if filled else None
    match member.default:
        case timedelta():
            return format_duration(member.default)
        case StrEnum():
            return member.default.value
        case bool() | int() | float():
            return member.default
        case str() if member.default:
            return member.default
        case _:
            return None


def _table(shape: Table) -> Object:
    found: Object = {"type": "object", "additionalProperties": schema(shape.of), "maxProperties": shape.maximum}
    if shape.minimum:
        found["minProperties"] = shape.minimum
    if shape.keys is not None:
        matches = f"self.all(key, key.matches(r'^(?:{shape.keys})$'))"
        found |= asked([Rule(cel=matches, message=f"want as keys {spelling(shape.keys)}")])
    return found


def _items(shape: Items) -> Object:
    found: Object = {"type": "array", "items": schema(shape.of), "maxItems": shape.maximum, _LIST: "atomic"}
    if shape.minimum:
        found["minItems"] = shape.minimum
    if shape.unique:
        found[_LIST] = "set"
    if shape.unique_by is not None:
        found |= {_LIST: "map", "x-kubernetes-list-map-keys": [shape.unique_by]}
    return found


def _text(shape: Text) -> Object:
    found: Object = {"type": "string", "maxLength": shape.max_length}
    if shape.pattern is not None:
        found["pattern"] = f"^(?:{shape.pattern})$"
    return found


def _bounds(shape: Whole | Real) -> Object:
    found: Object = {}
    if shape.minimum is not None and shape.minimum > -MOST_WHOLE:
        found["minimum"] = shape.minimum
    if shape.maximum is not None and shape.maximum < MOST_WHOLE:
        found["maximum"] = shape.maximum
    return found

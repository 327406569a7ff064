"""JSON Schema (draft 2020-12) of what people write, for editors; the same walk as the CRDs'.

What only CEL can say (relations between fields) is left to `runs_core.schema.manifest` and to the API server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runs_core.errors import InvalidInput, Problem
from runs_core.schema.convert import Object
from runs_core.schema.crd import json_default, schema
from runs_core.schema.metadata import ObjectMeta
from runs_core.schema.names import API_VERSION, KINDS
from runs_core.schema.say import got, guess, one_of
from runs_core.schema.shape import Items, Record, Shape, Table, record
from runs_core.values.section import Section

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(kind: str, sections: Sequence[Section] = ()) -> Object:
    """Of a Run, a Budget or a GPULease. InvalidInput: of no kind of ours."""
    if kind not in KINDS:
        raise InvalidInput([Problem("kind", f"got {got(kind)}{guess(kind, KINDS)}, want {one_of(tuple(KINDS))}")])
    meant = KINDS[kind]
    mine, told = (tuple(one for one in sections if one.within(kind, part)) for part in ("spec", "status"))
    return {
        "$schema": DRAFT,
        "title": kind,
        "description": meant.doc,
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind},
            "metadata": {**_schema(record(ObjectMeta)), "additionalProperties": True},
            "spec": _schema(record(meant.spec, mine)),
            "status": _schema(record(meant.status, told)),
        },
        "additionalProperties": False,
    }


def _schema(shape: Shape) -> Object:
    match shape:
        case Record():
            return _record(shape)
        case Items():
            found = _standard(schema(shape)) | {"items": _schema(shape.of)}
            return found | ({"uniqueItems": True} if shape.unique else {})
        case Table():
            names = {"propertyNames": {"pattern": f"^(?:{shape.keys})$"}} if shape.keys else {}
            return _standard(schema(shape)) | {"additionalProperties": _schema(shape.of)} | names
        case _:
            return _standard(schema(shape))


def _record(shape: Record) -> Object:
    properties: Object = {}
    for member in shape.members:
        properties[member.name] = _schema(member.shape) | {"description": member.doc}
        if (default := json_default(member)) is not None:
            properties[member.name]["default"] = default
    found: Object = {"type": "object", "properties": properties, "additionalProperties": shape.open}
    required = sorted(member.name for member in shape.members if member.required)
    return found | ({"required": required} if required else {})


def _standard(found: Object) -> dict[str, Any]:
    """Without what only Kubernetes knows."""
    plain = {name: value for name, value in found.items() if not name.startswith("x-kubernetes-") and value != "int64"}
    if "x-kubernetes-int-or-string" in found:
        plain["type"] = ["integer", "string"]
    return plain

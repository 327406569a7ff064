"""Manifests that people write: read strictly, and every problem named by file, line and field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from runs_core.errors import InvalidInput, Problem
from runs_core.schema.check import Fault, broken_rule, faults
from runs_core.schema.convert import Object, converter, from_object
from runs_core.schema.metadata import UNREAD, ObjectMeta
from runs_core.schema.names import API_VERSION, KINDS, Kind
from runs_core.schema.say import Path, got, guess, one_of, spell
from runs_core.schema.shape import record
from runs_core.schema.storage import KINDS as STORAGE
from runs_core.schema.storage import VERSIONS
from runs_core.schema.text import parse
from runs_core.values.budget import Budget
from runs_core.values.fields import rules_of
from runs_core.values.run import Run
from runs_core.values.section import Section

WRITTEN = ("Run", "Budget", "Node", "Namespace", "Pod", *STORAGE)
"""Kinds that people write; GPULeases, Reservations and Resolutions are the scheduler's."""
_TOP = ("apiVersion", "kind", "metadata", "spec", "status")


@attrs.frozen(kw_only=True)
class Document:
    """One object of a manifest. body: as it was written. value: what a Run or a Budget says, with a fresh status.

    where: file and line, for whatever is said about it later.
    """

    kind: str
    where: str
    body: Object
    value: Run | Budget | None


def read_manifests(
    text: str, source: str, sections: Sequence[Section] = (), kinds: Sequence[str] = WRITTEN
) -> tuple[Document, ...]:
    """All objects of a YAML or JSON text, in order; a List counts as its items.

    kinds: what the reader can use. InvalidInput has every problem of every object, each at `FILE:LINE FIELD`.
    """
    problems: list[Problem] = []
    documents: list[Document] = []
    for parsed in parse(text, source):
        wrong = [(line, path, "got this key a second time, want it once") for path, line in parsed.twice]
        for path, body in _objects(parsed.value, ()):
            found = [((*path, *fault.path), fault.what) for fault in _object(body, sections, kinds)]
            wrong += [(parsed.line(whole), whole, what) for whole, what in found]
            if not wrong:
                documents.append(_document(body, f"{source}:{parsed.line(path)}", sections))
        wrong.sort(key=lambda one: one[0])
        problems += (Problem(f"{source}:{line} {spell(path)}".rstrip(), what) for line, path, what in wrong)
    if not problems and not documents:
        problems.append(Problem(source, f"got no object, want {one_of(kinds)}"))
    if problems:
        raise InvalidInput(problems)
    return tuple(documents)


def _objects(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value.get("kind") == "List" and isinstance(value.get("items"), list):
        for index, item in enumerate(value["items"]):
            yield from _objects(item, (*path, "items", index))
    else:
        yield path, value


def _document(body: Object, where: str, sections: Sequence[Section]) -> Document:
    kind = body["kind"]
    value = from_object({**body, "status": None}, sections) if kind in KINDS else None
    return Document(kind=kind, where=where, body=body, value=value if isinstance(value, Run | Budget) else None)


def _object(body: Any, sections: Sequence[Section], kinds: Sequence[str]) -> Iterator[Fault]:
    if not isinstance(body, dict):
        yield Fault((), f"got {got(body)}, want a map with apiVersion, kind and metadata")
        return
    name = body.get("kind")
    if not isinstance(name, str) or name not in kinds:
        near = guess(name, kinds) if isinstance(name, str) else ""
        yield Fault(("kind",), f"got {got(name)}{near}, want {one_of(kinds)}")
        return
    expected = API_VERSION if name in KINDS else VERSIONS.get(name, "v1")
    if body.get("apiVersion") != expected:
        yield Fault(("apiVersion",), f"got {got(body.get('apiVersion'))}, want {expected}")
    elif name in KINDS:
        yield from _ours(body, KINDS[name], sections)
    else:
        yield from _named(body)


def validate(obj: Mapping[str, Any], sections: Sequence[Section] = ()) -> list[Problem]:
    """All that is wrong with an object of a kind of ours by itself. where: the field."""
    return [Problem(spell(fault.path), fault.what) for fault in _object(obj, sections, tuple(KINDS))]


def _ours(body: Mapping[str, Any], kind: Kind, sections: Sequence[Section]) -> Iterator[Fault]:
    read = converter(tuple(sections))
    mine, told = (tuple(one for one in sections if one.within(kind.name, part)) for part in ("spec", "status"))
    found = [
        Fault((name,), f"got an unknown field{guess(name, _TOP)}, want {one_of(_TOP)}", harmless=True)
        for name in body
        if name not in _TOP
    ]
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        metadata = {name: value for name, value in metadata.items() if name not in UNREAD}
        if not kind.namespaced and metadata.pop("namespace", None):
            found.append(
                Fault(("metadata", "namespace"), f"got a namespace, want none: a {kind.name} belongs to the cluster")
            )
    parts = (
        ("metadata", metadata, record(ObjectMeta)),
        ("spec", body.get("spec"), record(kind.spec, mine)),
        ("status", body.get("status") or {}, record(kind.status, told)),
    )
    for name, value, shape in parts:
        about = kind.name if name == "spec" else ""
        found += (fault._replace(path=(name, *fault.path)) for fault in faults(value, shape, read, about))
    yield from found
    if all(fault.harmless for fault in found):
        yield from _whole(body, kind, sections)


def _whole(body: Mapping[str, Any], kind: Kind, sections: Sequence[Section]) -> Iterator[Fault]:
    try:
        value = from_object(body, sections)
    except InvalidInput as error:
        yield Fault((), str(error))
        return
    for rule in rules_of(kind.value):
        if rule.check is not None and not rule.check(value):
            yield broken_rule(body, rule)


def _named(body: Mapping[str, Any]) -> Iterator[Fault]:
    """What else a node, namespace or pod says is read, and judged, by whoever uses it."""
    metadata = body.get("metadata")
    if not isinstance(metadata, dict):
        yield Fault(("metadata",), f"got {got(metadata)}, want a map with a name")
        return
    said = {part: metadata[part] for part in ("name", "namespace") if metadata.get(part) is not None}
    yield from (Fault(("metadata", *fault.path), fault.what) for fault in faults(said, record(ObjectMeta), converter()))

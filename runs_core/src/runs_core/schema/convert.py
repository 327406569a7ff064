"""The only (de)serialiser: values to Kubernetes objects and back.

Reading trusts what a cluster stored, and so is fast; what a person wrote goes through `runs_core.schema.manifest`
first. Fields that are at their default are not written, unless their fact says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeVar, assert_never, cast

import attrs
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from runs_core.errors import InvalidInput, Problem
from runs_core.schema.judged import judge, slots_from
from runs_core.schema.metadata import meta_from, meta_to
from runs_core.schema.names import API_VERSION, BUDGET, KINDS, LEASE, RESERVATION, RESOLUTION, RUN, Kind, manifest_name
from runs_core.schema.podread import template_of
from runs_core.schema.podspec import Amounts, PodTemplateSpec
from runs_core.schema.say import got
from runs_core.schema.shape import Slots
from runs_core.values.budget import Budget, BudgetSpec, BudgetStatus, Namespace
from runs_core.values.fields import fact_of
from runs_core.values.lease import Lease
from runs_core.values.meta import Pairs, pairs
from runs_core.values.quantity import format_duration, format_time, parse_duration, parse_time
from runs_core.values.reservation import Reservation
from runs_core.values.resolution import Resolution
from runs_core.values.run import Run, RunSpec
from runs_core.values.section import Section
from runs_core.values.template import PodTemplate

Object = dict[str, Any]
"""A Kubernetes object, or a part of one, as JSON has it."""
Ours = Run | Lease | Budget | Reservation | Resolution | Namespace
T = TypeVar("T")
_EXTENSIBLE: Mapping[type, tuple[str, str]] = {
    RunSpec: ("Run", "spec"),
    BudgetSpec: ("Budget", "spec"),
    BudgetStatus: ("Budget", "status"),
}
"""The classes that hold plugins' sections."""
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError)
"""What reading an object raises that is not what it should be."""


def to_object(value: Ours, sections: Sequence[Section] = ()) -> Object:
    """The Kubernetes object that says the same."""
    if isinstance(value, Namespace):
        labels = {"labels": dict(value.labels)} if value.labels else {}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": value.name, **labels}}
    kind = next(kind for kind in KINDS.values() if isinstance(value, kind.value))
    written = converter(tuple(sections))
    found = {"apiVersion": API_VERSION, "kind": kind.name, "metadata": meta_to(value.meta)}
    found["spec"] = written.unstructure(value.spec, kind.spec)
    if status := written.unstructure(value.status, kind.status):
        found["status"] = status
    return found


def from_object(obj: Mapping[str, Any], sections: Sequence[Section] = ()) -> Ours:
    """The value that a stored object says. InvalidInput names an object that says none."""
    match obj.get("kind"):
        case "Run":
            return run_from_object(obj, sections)
        case "GPULease":
            return lease_from_object(obj)
        case "Budget":
            return budget_from_object(obj, sections)
        case "Reservation":
            return reservation_from_object(obj)
        case "Resolution":
            return resolution_from_object(obj)
        case "Namespace":
            return namespace_from_object(obj)
        case kind:
            known = "Run, GPULease, Budget, Reservation, Resolution or Namespace"
            raise InvalidInput([Problem("kind", f"got {kind!r}, want {known}")])


def run_from_object(obj: Mapping[str, Any], sections: Sequence[Section] = ()) -> Run:
    """As `from_object`."""
    return cast("Run", _read(RUN, obj, sections))


def budget_from_object(obj: Mapping[str, Any], sections: Sequence[Section] = ()) -> Budget:
    """As `from_object`."""
    return cast("Budget", _read(BUDGET, obj, sections))


def lease_from_object(obj: Mapping[str, Any]) -> Lease:
    """As `from_object`."""
    return cast("Lease", _read(LEASE, obj, ()))


def reservation_from_object(obj: Mapping[str, Any]) -> Reservation:
    """As `from_object`."""
    return cast("Reservation", _read(RESERVATION, obj, ()))


def resolution_from_object(obj: Mapping[str, Any]) -> Resolution:
    """As `from_object`."""
    return cast("Resolution", _read(RESOLUTION, obj, ()))


def namespace_from_object(obj: Mapping[str, Any]) -> Namespace:
    """As `from_object`."""
    try:
        meta = meta_from(obj["metadata"])
    except UNREADABLE as error:
        raise unreadable("Namespace", obj, error) from error
    return Namespace(name=meta.name, labels=meta.labels)


def unreadable(kind: str, obj: Mapping[str, Any], error: Exception) -> InvalidInput:
    """The refusal of a stored object, with its kind and name as far as it has them."""
    metadata = obj.get("metadata")
    known = metadata if isinstance(metadata, Mapping) else {}
    name = "/".join(str(known[part]) for part in ("namespace", "name") if known.get(part))
    why = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
    what = f"cannot be read ({why}); mend or delete the object"
    return InvalidInput([Problem(f"{kind} {name or 'without a name'}", what)])


def again(known: Run | Lease, obj: Mapping[str, Any], sections: Sequence[Section] = ()) -> Run | Lease:
    """As `from_object`, of what was read before: a spec that cannot have changed since is not read anew.

    The API server counts the edits of a run's spec; a lease's is what it was when it was minted.
    """
    metadata = obj["metadata"]
    same = metadata.get("uid") == known.meta.uid != ""
    match known:
        case Run():
            spec = known.spec if same and metadata.get("generation") == known.meta.generation else None
            return cast("Run", _read(RUN, obj, sections, spec))
        case Lease():
            return cast("Lease", _read(LEASE, obj, (), known.spec if same else None))
        case _:
            assert_never(known)


def _read(kind: Kind, obj: Mapping[str, Any], sections: Sequence[Section], spec: object = None) -> Any:
    read = converter(tuple(sections))
    try:
        found = kind.value(
            meta=meta_from(obj["metadata"]),
            spec=read.structure(obj["spec"], kind.spec) if spec is None else spec,
            status=read.structure(obj.get("status") or {}, kind.status),
        )
        judge(kind, found)
    except UNREADABLE as error:
        raise unreadable(kind.name, obj, error) from error
    return found


@lru_cache(maxsize=64)
def converter(sections: tuple[Section, ...] = ()) -> Converter:
    """One for each set of sections. Its errors are UNREADABLE."""
    made = Converter(detailed_validation=False, unstruct_collection_overrides={tuple: list})
    for plain in (str, int, bool):
        made.register_structure_hook(plain, _plain)
    made.register_structure_hook(float, _real)
    made.register_structure_hook(timedelta, lambda text, _: parse_duration(_exactly(text, str)))
    made.register_unstructure_hook(timedelta, format_duration)
    made.register_structure_hook(datetime, lambda text, _: parse_time(_exactly(text, str)))
    made.register_unstructure_hook(datetime, format_time)
    made.register_unstructure_hook(StrEnum, lambda choice: choice.value)  # by class: by predicate, str would go before
    made.register_structure_hook_func(lambda hint: hint == Amounts, lambda amounts, _: dict(amounts))
    made.register_structure_hook_func(lambda hint: hint == Pairs, _pairs_from)
    made.register_unstructure_hook_func(lambda hint: hint == Pairs, dict)
    made.register_structure_hook_func(lambda hint: hint == Slots, slots_from)
    made.register_unstructure_hook_func(lambda hint: hint == Slots, _slots_to)
    made.register_structure_hook_factory(attrs.has, lambda cls: _structure(made, cls, sections))
    made.register_unstructure_hook_factory(attrs.has, lambda cls: _unstructure(made, cls, sections))
    made.register_structure_hook(PodTemplate, lambda obj, _: _template(canonical(obj)))
    made.register_unstructure_hook(PodTemplate, lambda template: json.loads(template.text))
    return made


def canonical(obj: object) -> str:
    """JSON with sorted keys and nothing between them: equal text for equal objects."""
    return json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@lru_cache(maxsize=4096)
def _template(text: str) -> PodTemplate:
    """Runs of one researcher share their template more often than not."""
    return template_of(converter().structure(json.loads(text), PodTemplateSpec), text)


def _names(cls: type) -> dict[str, Any]:
    """How cattrs names and omits the fields: what has no fact is not part of the object."""
    found: dict[str, Any] = {}
    for attribute in attrs.fields(cls):
        fact = fact_of(attribute)
        found[attribute.name] = (
            override(omit=True)
            if fact is None
            else override(rename=manifest_name(attribute.name, fact), omit_if_default=not fact.always)
        )
    return found


def _structure(made: Converter, cls: type, sections: tuple[Section, ...]) -> Callable[[Any, Any], Any]:
    base: Callable[[Any, Any], Any] = make_dict_structure_fn(
        cls, made, _cattrs_detailed_validation=False, **_names(cls)
    )

    def known(obj: Any, hint: Any) -> Any:
        if not isinstance(obj, Mapping):
            raise TypeError(f"got {obj!r}, want a map")
        if None in obj.values():
            obj = {name: value for name, value in obj.items() if value is not None}
        return base(obj, hint)

    declared = _sections_of(cls, sections)
    if not declared:
        return known

    def spec(obj: Any, hint: Any) -> Any:
        parts = {section.cls: part for section in declared if (part := _part(obj, section)) is not None}
        found: dict[type, Any] = {cls: made.structure(part, cls) for cls, part in parts.items()}
        value = known(obj, hint)
        return attrs.evolve(value, sections=MappingProxyType(found)) if found else value

    return spec


def _unstructure(made: Converter, cls: type, sections: tuple[Section, ...]) -> Callable[[Any], Any]:
    base: Callable[[Any], Object] = make_dict_unstructure_fn(cls, made, **_names(cls))
    declared = _sections_of(cls, sections)
    if not declared:
        return base

    def spec(value: Any) -> Object:
        found: Object = base(value)
        for section in declared:
            if section.cls in value.sections:
                part = made.unstructure(value.sections[section.cls], section.cls)
                (found.setdefault(section.name, {}) if section.name else found).update(part)
        return found

    return spec


def _sections_of(cls: type, sections: Sequence[Section]) -> tuple[Section, ...]:
    found = _EXTENSIBLE.get(cls)
    return tuple(section for section in sections if found is not None and section.within(*found))


def _part(obj: Mapping[str, Any], section: Section) -> Mapping[str, Any] | None:
    """The section's part of a spec; fields of the spec itself are a part where at least one of them is there."""
    if section.name:
        return obj.get(section.name)
    facts = ((attribute, fact_of(attribute)) for attribute in attrs.fields(section.cls))
    names = [manifest_name(attribute.name, fact) for attribute, fact in facts if fact is not None]
    return {name: obj[name] for name in names if name in obj} or None


def _plain(value: Any, hint: type[T]) -> T:
    """Enumerations of texts come to the hook of texts, too."""
    return hint(value) if issubclass(hint, StrEnum) else _exactly(value, hint)


def _exactly(value: Any, plain: type[T]) -> T:
    if type(value) is not plain:
        raise TypeError(f"got {got(value)}, want {plain.__name__}")
    return value


def _real(value: Any, _: object) -> float:
    if type(value) not in (int, float):
        raise TypeError(f"got {got(value)}, want a number")
    return float(value)


def _pairs_from(mapping: Any, _: object) -> Pairs:
    return pairs({_exactly(key, str): _exactly(value, str) for key, value in mapping.items()})


def _slots_to(slots: Slots) -> Object:
    return {one.node: list(one.ordinals) for one in slots}

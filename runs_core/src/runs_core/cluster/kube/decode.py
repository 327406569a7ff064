"""What an API server answers, as objects.

Of what is listed and watched only what somebody reads is made into objects: more than a third of it is notes of who
wrote which field (`managedFields`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict, cast

import msgspec

from runs_core.schema.convert import Object
from runs_core.values.meta import Key

Decode = Callable[[bytes], Object]
Malformed = msgspec.DecodeError
"""It is no JSON, or not what was asked for."""


class _Metadata(TypedDict, total=False):
    """ObjectMeta, but for `managedFields` and what Kubernetes itself reads no more."""

    name: Any
    namespace: Any
    uid: Any
    resourceVersion: Any
    generation: Any
    creationTimestamp: Any
    deletionTimestamp: Any
    deletionGracePeriodSeconds: Any
    labels: Any
    annotations: Any
    ownerReferences: Any
    finalizers: Any


class _Item(TypedDict, total=False):
    """An object of any watched kind."""

    apiVersion: Any
    kind: Any
    metadata: _Metadata
    spec: Any
    status: Any
    volumeBindingMode: Any
    allowedTopologies: Any


class _Page(TypedDict, total=False):
    metadata: Any
    items: list[_Item] | None


class _Event(TypedDict, total=False):
    type: Any
    object: msgspec.Raw


class _Pieces(msgspec.Struct):
    metadata: dict[str, Any]
    items: list[msgspec.Raw] | None = None


class _Name(msgspec.Struct, rename="camel"):
    name: str
    resource_version: str
    namespace: str = ""


class _Head(msgspec.Struct):
    metadata: _Name


_ITEM = msgspec.json.Decoder(_Item)
_PAGE = msgspec.json.Decoder(_Page)
_EVENT = msgspec.json.Decoder(_Event)
_PIECES = msgspec.json.Decoder(_Pieces)
_HEAD = msgspec.json.Decoder(_Head)


def whole(data: bytes) -> Object:
    """All of it. Malformed: it is no JSON."""
    found: Object = msgspec.json.decode(data)
    return found


def page(data: bytes) -> Object:
    """A list of a watched kind."""
    return cast("Object", _PAGE.decode(data))


def news(known: Callable[[Key, int], bool]) -> Decode:
    """A list in which what is known at that version, or a later one, has no more than its name and its version."""

    def item(raw: msgspec.Raw) -> Mapping[str, Any]:
        head = _HEAD.decode(raw).metadata
        if known(Key(head.namespace, head.name), int(head.resource_version)):
            return {"metadata": msgspec.to_builtins(head)}
        return _ITEM.decode(raw)

    def decode(data: bytes) -> Object:
        pieces = _PIECES.decode(data)
        return {"metadata": pieces.metadata, "items": [item(raw) for raw in pieces.items or ()]}

    return decode


def event(line: bytes) -> tuple[str, Object]:
    """What a watch tells, and of which object. An ERROR comes with a Status, as it is."""
    told = _EVENT.decode(line)
    error = told["type"] == "ERROR"
    return told["type"], whole(told["object"]) if error else cast("Object", _ITEM.decode(told["object"]))

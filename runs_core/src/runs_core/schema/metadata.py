"""ObjectMeta: the part that runs reads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

from runs_core.schema.say import got
from runs_core.values.fields import Fact, Rule, field, rules
from runs_core.values.meta import DNS_LABEL, DNS_NAME, LABEL_KEY, LABEL_VALUE, Meta, Pairs, pairs
from runs_core.values.quantity import format_time, parse_time

MOST_GRACE_SECONDS = 2**31 - 1
"""A grace of more is one without an end, and no date could be made of some that an API server takes."""
UNREAD = ("finalizers", "generateName", "managedFields", "ownerReferences", "selfLink")
"""What else Kubernetes keeps there; runs does not look at it."""
_MOST_ANNOTATIONS = 256 * 1024


@rules(
    Rule(
        cel="",
        message=f"want at most {_MOST_ANNOTATIONS} bytes in all",
        field="annotations",
        check=lambda meta: sum(len(f"{key}{text}".encode()) for key, text in meta.annotations) <= _MOST_ANNOTATIONS,
    ),
)
@attrs.frozen(kw_only=True)
class ObjectMeta:
    """What a person may write. The API server itself holds it to the same: no CRD declares it."""

    name: str = field(Fact(doc="Unlike others' of its kind.", pattern=DNS_NAME, max_length=253))
    namespace: str | None = field(Fact(doc="Where it is.", pattern=DNS_LABEL, max_length=63), default=None)
    uid: str | None = field(Fact(doc="Unlike any other's, ever."), default=None)
    generation: int | None = field(Fact(doc="Counts the edits of spec.", minimum=0), default=None)
    resource_version: str | None = field(Fact(doc="Counts the writes."), default=None)
    creation_timestamp: datetime | None = field(Fact(doc="When it was made."), default=None)
    deletion_timestamp: datetime | None = field(Fact(doc="When it will be gone."), default=None)
    deletion_grace_period_seconds: int | None = field(Fact(doc="Seconds that it has for going."), default=None)
    labels: Pairs = field(
        Fact(doc="To select by.", keys=LABEL_KEY, pattern=LABEL_VALUE, max_length=63, max_items=1000), default=()
    )
    annotations: Pairs = field(Fact(doc="Anything else.", keys=LABEL_KEY, max_length=_MOST_ANNOTATIONS), default=())


def meta_from(metadata: Mapping[str, Any]) -> Meta:
    """ValueError, TypeError, KeyError or AttributeError: it is not Kubernetes' ObjectMeta."""
    return Meta(
        name=text(metadata["name"]),
        namespace=text(metadata.get("namespace") or ""),
        uid=text(metadata.get("uid") or ""),
        created=moment(metadata, "creationTimestamp"),
        generation=metadata.get("generation") or 1,
        resource_version=text(metadata.get("resourceVersion") or ""),
        labels=strings(metadata.get("labels")),
        annotations=strings(metadata.get("annotations")),
        deleting=asked_to_go(metadata),
    )


def meta_to(meta: Meta) -> dict[str, Any]:
    """What is empty is left out."""
    found = {
        "name": meta.name,
        "namespace": meta.namespace,
        "uid": meta.uid,
        "resourceVersion": meta.resource_version,
        "generation": meta.generation if meta.generation != 1 else None,
        "creationTimestamp": meta.created and format_time(meta.created),
        "deletionTimestamp": meta.deleting and format_time(meta.deleting),
        "labels": dict(meta.labels),
        "annotations": dict(meta.annotations),
    }
    return {name: value for name, value in found.items() if value}


def strings(mapping: Mapping[str, Any] | None) -> Pairs:
    """A map of labels or annotations."""
    return pairs({text(key): text(value) for key, value in mapping.items()}) if mapping else ()


def moment(metadata: Mapping[str, Any], name: str) -> datetime | None:
    """A time; None where it is not set."""
    told = metadata.get(name)
    return None if told is None else parse_time(text(told))


def asked_to_go(metadata: Mapping[str, Any]) -> datetime | None:
    """Kubernetes says when the grace ends; a person asked for it that much earlier."""
    end = moment(metadata, "deletionTimestamp")
    return end and end - timedelta(seconds=min(metadata.get("deletionGracePeriodSeconds") or 0, MOST_GRACE_SECONDS))


def text(value: Any) -> str:
    """The value, if it is one."""
    if not isinstance(value, str):
        raise TypeError(f"got {got(value)}, want text")
    return value

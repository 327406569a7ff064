"""What every object has: who it is, and when it was made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

import attrs

from runs_core.values.changed import made_of

Pairs = tuple[tuple[str, str], ...]
"""A map of strings as a sorted tuple: frozen, hashable, and the same whatever the order it was written in."""

DNS_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
DNS_NAME = rf"{DNS_LABEL}(\.{DNS_LABEL})*"
LABEL_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
LABEL_KEY = r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
EXTENDED_RESOURCE = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
"""The syntax of names and labels. Source: Kubernetes documentation, "Object Names and IDs", "Labels and Selectors"; an
extended resource is named as a label key with its domain ("Manage Resources: Extended Resources")."""

SIMULATED = "runs.dev/simulated-"


def pairs(mapping: Mapping[str, str]) -> Pairs:
    """Sorted by key."""
    return tuple(sorted(mapping.items()))


class Key(NamedTuple):
    """namespace/name of a namespaced object; orders as text does."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Named(Protocol):
    """What a key is made of."""

    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...


def key_of(named: Named) -> Key:
    """Worked out once for each value: keys are asked for far more often than values are built."""
    return Key(named.namespace, named.name)


@attrs.frozen(kw_only=True)
class Meta:
    """The part of Kubernetes' ObjectMeta that runs reads.

    created, deleting: UTC; deleting: since when it is asked to go.
    """

    name: str
    namespace: str = ""
    uid: str = ""
    created: datetime | None = None
    generation: int = 1
    resource_version: str = ""
    labels: Pairs = ()
    annotations: Pairs = ()
    deleting: datetime | None = None
    key: Key = made_of("namespace", "name", by=key_of)

    def annotation(self, name: str) -> str | None:
        """The annotation's text, None without it."""
        return next((value for key, value in self.annotations if key == name), None)


class Described(Protocol):
    """What has its name in its meta."""

    @property
    def meta(self) -> Meta: ...


def key_within(described: Described) -> Key:
    """The very key of its meta."""
    return described.meta.key

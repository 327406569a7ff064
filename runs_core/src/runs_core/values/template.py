"""The researcher's pod template: the parts that scheduling reads, and the whole text to make pods from."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

import attrs

from runs_core.values.meta import Pairs


@attrs.frozen(kw_only=True, cache_hash=True)
class Requests:
    """What one pod asks of its node beside GPUs: thousandths of a core, bytes, bytes."""

    cpu_milli: int = 0
    memory_bytes: int = 0
    ephemeral_bytes: int = 0


class Operator(StrEnum):
    """Operators of a node selector requirement, as Kubernetes spells them."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


@attrs.frozen(kw_only=True)
class Requirement:
    """One expression over a node's labels, or over its name where `on_name` is set."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()
    on_name: bool = False


Terms = tuple[tuple[Requirement, ...], ...]
"""Any of them, each all of its requirements."""


@attrs.frozen(kw_only=True)
class Toleration:
    """key None: every key. value None: every value. effect None: every effect."""

    key: str | None = None
    value: str | None = None
    effect: str | None = None


@attrs.frozen(kw_only=True)
class PodTemplate:
    """text: the PodTemplateSpec as canonical JSON.

    terms: required node affinity, any of them, each all of its requirements.

    extended: what a pod asks for of each extended resource that it names, sorted.

    grace: the template's own terminationGracePeriodSeconds (30s where it says none). claims: the names of the
    PersistentVolumeClaims that its volumes are, sorted.
    """

    text: str = "{}"
    requests: Requests = Requests()
    extended: tuple[tuple[str, int], ...] = ()
    node_selector: Pairs = ()
    terms: Terms = ()
    tolerations: tuple[Toleration, ...] = ()
    claims: tuple[str, ...] = ()
    grace: timedelta = timedelta(seconds=30)
    annotations: Pairs = ()

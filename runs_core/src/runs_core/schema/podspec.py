"""The part of Kubernetes' PodTemplateSpec that scheduling reads, as it is written in manifests.

Source: Kubernetes API reference, core/v1. Everything else in a template is kept as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import attrs

from runs_core.schema.shape import Amount, kept_open, written_as
from runs_core.values.fields import Fact, field
from runs_core.values.meta import DNS_LABEL, DNS_NAME, LABEL_KEY, LABEL_VALUE, Pairs
from runs_core.values.template import Operator, PodTemplate

Amounts = Mapping[str, Amount]


def _none() -> Amounts:
    return {}


class Match(StrEnum):
    """How a toleration compares a taint's value."""

    EQUAL = "Equal"
    EXISTS = "Exists"


@kept_open
@attrs.frozen(kw_only=True)
class ContainerResources:
    """A limit without a request is the request as well."""

    requests: Amounts = field(Fact(doc="Asked for.", max_items=64), factory=_none)
    limits: Amounts = field(Fact(doc="Allowed at most.", max_items=64), factory=_none)


@kept_open
@attrs.frozen(kw_only=True)
class Container:
    """restart_policy Always makes an init container a sidecar."""

    name: str = field(Fact(doc="Its name, unlike the others'.", pattern=DNS_LABEL, max_length=63))
    resources: ContainerResources = field(Fact(doc="What it asks for."), factory=ContainerResources)
    restart_policy: str | None = field(Fact(doc="Always, for a sidecar.", max_length=63), default=None)


@kept_open
@attrs.frozen(kw_only=True)
class Expression:
    """One requirement on a label, or on the field metadata.name."""

    key: str = field(Fact(doc="Label, or field.", max_length=317))
    operator: Operator = field(Fact(doc="How it compares."))
    values: tuple[str, ...] = field(Fact(doc="With what.", max_length=253, max_items=1000), default=())


@kept_open
@attrs.frozen(kw_only=True)
class Term:
    """All of its expressions; none at all matches no node."""

    match_expressions: tuple[Expression, ...] = field(Fact(doc="On labels.", max_items=64), default=())
    match_fields: tuple[Expression, ...] = field(Fact(doc="On metadata.name.", max_items=64), default=())


@kept_open
@attrs.frozen(kw_only=True)
class Terms:
    """Any one of them."""

    node_selector_terms: tuple[Term, ...] = field(Fact(doc="Any one of them.", max_items=64))


@kept_open
@attrs.frozen(kw_only=True)
class NodeAffinity:
    """Preferences are not read."""

    required_during_scheduling_ignored_during_execution: Terms | None = field(
        Fact(doc="Which nodes will do."), default=None
    )


@kept_open
@attrs.frozen(kw_only=True)
class Affinity:
    """Affinity to other pods is not read."""

    node_affinity: NodeAffinity | None = field(Fact(doc="To nodes."), default=None)


@kept_open
@attrs.frozen(kw_only=True)
class Tolerated:
    """A taint that does not keep the pod away."""

    key: str = field(Fact(doc="The taint's key; empty, with Exists: every one.", max_length=317), default="")
    operator: Match = field(Fact(doc="Equal or Exists."), default=Match.EQUAL)
    value: str = field(Fact(doc="The taint's value, with Equal.", max_length=63), default="")
    effect: str = field(Fact(doc="The taint's effect; empty: every one.", max_length=63), default="")


@kept_open
@attrs.frozen(kw_only=True)
class ClaimSource:
    """By name, in the pod's namespace."""

    claim_name: str = field(Fact(doc="The PersistentVolumeClaim.", pattern=DNS_NAME, max_length=253))


@kept_open
@attrs.frozen(kw_only=True)
class PodVolume:
    """Of its sources, only claims are read."""

    persistent_volume_claim: ClaimSource | None = field(Fact(doc="A claim."), default=None)


@kept_open
@attrs.frozen(kw_only=True)
class PodSpec:
    """What a pod asks of its node."""

    containers: tuple[Container, ...] = field(Fact(doc="What runs.", min_items=1, max_items=100, unique_by="name"))
    init_containers: tuple[Container, ...] = field(
        Fact(doc="What runs before, or beside.", max_items=100, unique_by="name"), default=()
    )
    node_selector: Pairs = field(
        Fact(doc="Node labels wanted.", keys=LABEL_KEY, pattern=LABEL_VALUE, max_length=63, max_items=64), default=()
    )
    affinity: Affinity | None = field(Fact(doc="Which nodes will do."), default=None)
    tolerations: tuple[Tolerated, ...] = field(
        Fact(doc="Taints that do not keep the pod away.", max_items=100), default=()
    )
    volumes: tuple[PodVolume, ...] = field(Fact(doc="What its containers can mount.", max_items=1000), default=())
    overhead: Amounts = field(Fact(doc="What its sandbox takes.", max_items=64), factory=_none)
    resources: ContainerResources | None = field(Fact(doc="What the pod as a whole asks for."), default=None)
    termination_grace_period_seconds: int | None = field(
        Fact(doc="Seconds between SIGTERM and the kill; 30 where nothing is said.", minimum=0, maximum=2**31 - 1),
        default=None,
    )


@kept_open
@attrs.frozen(kw_only=True)
class TemplateMeta:
    """What the pods are marked with."""

    annotations: Pairs = field(Fact(doc="Of each pod.", keys=LABEL_KEY, max_items=1000), default=())


@kept_open
@attrs.frozen(kw_only=True)
class PodTemplateSpec:
    """As in a Job."""

    metadata: TemplateMeta = field(Fact(doc="What the pods are marked with."), factory=TemplateMeta)
    spec: PodSpec = field(Fact(doc="The pod."))


written_as(PodTemplate, PodTemplateSpec)

"""From a pod's spec as it is written to what scheduling reads of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal

import attrs

from runs_core.schema.podspec import (
    Amounts,
    Container,
    ContainerResources,
    Match,
    PodSpec,
    PodTemplateSpec,
    Term,
    Tolerated,
)
from runs_core.schema.podspec import Terms as Written
from runs_core.values.quantity import parse_count, parse_milli, parse_quantity
from runs_core.values.template import PodTemplate, Requests, Requirement, Terms, Toleration

_GRACE = timedelta(seconds=30)
_WHOLE_POD = ("cpu", "memory", "hugepages-")


def template_of(written: PodTemplateSpec, text: str) -> PodTemplate:
    """text: the same template as canonical JSON."""
    return attrs.evolve(rules_of(written.spec), text=text, annotations=written.metadata.annotations)


def rules_of(spec: PodSpec) -> PodTemplate:
    """What a pod's spec asks of its node, and how long it takes to end."""
    seconds = spec.termination_grace_period_seconds
    return PodTemplate(
        requests=requests_of(spec),
        extended=_extended(spec),
        node_selector=spec.node_selector,
        terms=() if (required := _required(spec)) is None else terms_of(required),
        tolerations=tuple(_toleration(written) for written in spec.tolerations),
        claims=_claims(spec),
        grace=_GRACE if seconds is None else timedelta(seconds=seconds),
    )


def requests_of(spec: PodSpec) -> Requests:
    """What the pod takes of its node beside GPUs."""
    return Requests(
        cpu_milli=parse_milli(str(_asked(spec, "cpu"))),
        memory_bytes=parse_count(str(_asked(spec, "memory"))),
        ephemeral_bytes=parse_count(str(_asked(spec, "ephemeral-storage"))),
    )


def gpus_of(spec: PodSpec, resources: Iterable[str]) -> int:
    """The sum of these extended resources."""
    return sum(parse_count(str(_asked(spec, resource))) for resource in sorted(set(resources)))


def _extended(spec: PodSpec) -> tuple[tuple[str, int], ...]:
    """Those that Kubernetes does not define itself.

    Source: Kubernetes documentation, "Extended resources": their names have a domain, and it is not kubernetes.io.
    """
    containers: Sequence[Container] = spec.containers + spec.init_containers
    parts = [part for one in containers for part in (one.resources.requests, one.resources.limits)]
    names = {name for part in parts for name in part if "/" in name and not name.startswith("kubernetes.io/")}
    return tuple((name, parse_count(str(_asked(spec, name)))) for name in sorted(names))


def _asked(spec: PodSpec, resource: str) -> Decimal:
    """What Kubernetes' scheduler counts.

    All containers with their sidecars at once, or the most that any step of initialising takes, whichever is more; and
    the overhead. A request of the pod as a whole replaces what its containers ask for.

    Source: Kubernetes documentation, "Init Containers", "Sidecar Containers" and "Assign Pod-level CPU and memory".
    """
    running = sum((_request(container.resources, resource) for container in spec.containers), Decimal())
    beside = most = Decimal()
    for container in spec.init_containers:
        request = _request(container.resources, resource)
        if container.restart_policy == "Always":
            beside += request
            most = max(most, beside)
        else:
            most = max(most, beside + request)
    total = max(running + beside, most)
    if spec.resources is not None and resource.startswith(_WHOLE_POD):
        total = _whole(spec, spec.resources, resource, total)
    return total + _amount(spec.overhead, resource)


def _whole(spec: PodSpec, whole: ContainerResources, resource: str, total: Decimal) -> Decimal:
    if resource in whole.requests:
        return _amount(whole.requests, resource)
    containers: Sequence[Container] = spec.containers + spec.init_containers
    parts = [part for one in containers for part in (one.resources.requests, one.resources.limits)]
    if any(resource in part for part in parts):
        return total
    return _amount(whole.limits, resource)


def _request(resources: ContainerResources, resource: str) -> Decimal:
    return _amount(resources.requests if resource in resources.requests else resources.limits, resource)


def _amount(amounts: Amounts, resource: str) -> Decimal:
    amount = parse_quantity(amounts.get(resource, 0))
    if amount < 0:
        raise ValueError(f"{resource}: got {amounts[resource]!r}, want no less than 0")
    return amount


def _claims(spec: PodSpec) -> tuple[str, ...]:
    sources = [volume.persistent_volume_claim for volume in spec.volumes]
    return tuple(sorted({source.claim_name for source in sources if source is not None}))


def _required(spec: PodSpec) -> Written | None:
    affinity = spec.affinity.node_affinity if spec.affinity else None
    return affinity.required_during_scheduling_ignored_during_execution if affinity else None


def terms_of(written: Written) -> Terms:
    """Of nodes, any of them."""
    return tuple(_term(term) for term in written.node_selector_terms)


def _term(term: Term) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(key=expression.key, operator=expression.operator, values=expression.values, on_name=on_name)
        for expressions, on_name in ((term.match_expressions, False), (term.match_fields, True))
        for expression in expressions
    )


def _toleration(written: Tolerated) -> Toleration:
    return Toleration(
        key=written.key or None,
        value=None if written.operator is Match.EXISTS else written.value,
        effect=written.effect or None,
    )

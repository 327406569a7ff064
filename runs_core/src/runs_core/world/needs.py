"""From a run's spec to its need."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

import attrs

from runs_core.settings import FleetSettings, ReclaimSettings
from runs_core.values.demand import Demand
from runs_core.values.funding import Ask
from runs_core.values.meta import Pairs
from runs_core.values.need import Need, NodeFilter
from runs_core.values.node import Domain, Node
from runs_core.values.run import Run, RunSpec, Spread
from runs_core.values.template import PodTemplate, Terms
from runs_core.world.filters import located

BARE = PodTemplate()
ANY_NODE = NodeFilter()
"""One for all runs that want nothing special: what is remembered by filter is then found by identity."""


def _by_default(selector: Pairs, fleet: FleetSettings) -> tuple[str, ...]:
    places = (fleet.region_label, fleet.cluster_label, fleet.domain_label)
    return tuple(key for key, place in selector if key in places and place == Domain().name)


def need_of(
    spec: RunSpec,
    fleet: FleetSettings,
    made: PodTemplate = BARE,
    volumes: tuple[Terms, ...] = (),
    demand: Demand | None = None,
) -> Need:
    """Flavor is empty where the run names none: then the one flavor of the fleet is meant.

    made: where the pods that somebody else made for it may run; a template of its own goes before. volumes: from where
    each of those that it uses is reached. demand: how wide it may be; the need is that of its least width.
    """
    template = spec.template or made
    per_pod = spec.resources.gpus_per_pod
    group = spec.topology.group_gpus
    return Need(
        flavor=spec.resources.flavor or "",
        pods=(spec.resources.gpus if demand is None else demand.least) // per_pod,
        gpus_per_pod=per_pod,
        group_pods=None if group is None else group // per_pod,
        single_domain=spec.topology.spread is Spread.SINGLE_DOMAIN,
        filter=_filter(spec.topology.selector, template, fleet, volumes),
        requests=template.requests,
        demand=demand,
    )


def narrowed(wanted: NodeFilter, selector: Pairs, fleet: FleetSettings) -> NodeFilter:
    """With more labels wanted, as of an envelope that pays only for some places."""
    if not selector:
        return wanted
    both = tuple(sorted({*wanted.selector, *selector}))
    return attrs.evolve(wanted, selector=both, by_default=_by_default(both, fleet))


LONGEST = timedelta(days=3650)
"""No estimate is longer."""


def declared_end(run: Run) -> datetime | None:
    """By the owner's own estimate; None: there is none, or it has not started."""
    started, length = run.status.started_at, run.spec.runtime.expected_duration
    return None if started is None or length is None else started + min(length, LONGEST)


def min_runtime_of(spec: RunSpec, settings: ReclaimSettings) -> timedelta:
    """How long nothing is taken back from it once it has started: its own word, capped, or the cluster's."""
    asked = spec.runtime.min_runtime
    return settings.min_runtime if asked is None else min(asked, settings.most_min_runtime)


def lies_in(node: Node, selector: Pairs, fleet: FleetSettings) -> bool:
    """Whether the node has all of these labels; one that says of no place has `default`."""
    return located(narrowed(ANY_NODE, selector, fleet), node)


def ask_of(spec: RunSpec, owner: str | None, settings: ReclaimSettings, demand: Demand | None = None) -> Ask:
    """What the run wants paid for. owner: who spends. demand: how wide it may be."""
    resources = spec.resources
    return Ask(
        owner=owner,
        flavor=resources.flavor or "",
        gpus=resources.gpus if demand is None else demand.most,
        unit=resources.gpus_per_pod,
        demand=demand,
        selector=spec.topology.selector,
        min_runtime=min_runtime_of(spec, settings),
        sections=spec.sections,
    )


def _filter(selector: Pairs, template: PodTemplate, fleet: FleetSettings, volumes: tuple[Terms, ...]) -> NodeFilter:
    if selector or template is not BARE or fleet.tolerated:
        return _first_of_equal(
            NodeFilter(
                selector=selector,
                by_default=_by_default(selector, fleet),
                node_selector=template.node_selector,
                terms=template.terms,
                volumes=volumes,
                tolerations=template.tolerations,
                tolerated=fleet.tolerated,
            )
        )
    return ANY_NODE


@lru_cache(maxsize=1024)
def _first_of_equal(filter_: NodeFilter) -> NodeFilter:
    """One object for all runs that want the same, found by identity as `ANY_NODE` is."""
    return filter_

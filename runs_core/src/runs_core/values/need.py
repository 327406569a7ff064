"""What a gang asks of the fleet, without its name: two runs of equal need have the same answer."""

from __future__ import annotations

import attrs

from runs_core.values.demand import Demand
from runs_core.values.meta import Pairs
from runs_core.values.template import Requests, Terms, Toleration


@attrs.frozen(kw_only=True, cache_hash=True)
class NodeFilter:
    """Which nodes will do. selector, node_selector: labels wanted; terms: any of them, each all of its requirements.

    by_default: labels of the selector that a node has without saying so: places called `default`.
    volumes: as terms, for each volume. tolerations: what the pods tolerate; tolerated: taint keys that every pod of
    ours tolerates. location_only: of all this only selector counts.
    """

    selector: Pairs = ()
    by_default: tuple[str, ...] = ()
    node_selector: Pairs = ()
    terms: Terms = ()
    volumes: tuple[Terms, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    tolerated: tuple[str, ...] = ()
    location_only: bool = False


@attrs.frozen(kw_only=True, cache_hash=True)
class Need:
    """pods of gpus_per_pod each. group_pods: ranks that must share a domain; None: no groups wanted.

    demand: of a gang that may be wider than these pods; None: that is all it is.
    """

    flavor: str
    pods: int
    gpus_per_pod: int
    group_pods: int | None = None
    single_domain: bool = False
    filter: NodeFilter = NodeFilter()
    requests: Requests = Requests()
    demand: Demand | None = None

    @property
    def gpus(self) -> int:
        return self.pods * self.gpus_per_pod

    @property
    def wanted(self) -> int:
        """GPUs that it would take if there were enough."""
        return self.gpus if self.demand is None else self.demand.most

    def as_wide(self, gpus: int) -> Need:
        """The same gang, of exactly this width."""
        if self.demand is None and gpus == self.gpus:
            return self
        return attrs.evolve(self, pods=gpus // self.gpus_per_pod, demand=None)

"""A node of the fleet: the part of a Kubernetes Node that scheduling reads."""

from __future__ import annotations

from typing import NamedTuple

import attrs

from runs_core.values.meta import Pairs
from runs_core.values.request import Request

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
MOST_NODE_GPUS = 1024


class Domain(NamedTuple):
    """A fabric domain: where GPUs reach each other fast. Orders by region, then cluster, then name."""

    region: str = "default"
    cluster: str = "default"
    name: str = "default"

    def __str__(self) -> str:
        return "/".join(self)


@attrs.frozen(kw_only=True)
class Taint:
    """effect: NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"


@attrs.frozen(kw_only=True)
class Node:
    """Allocatable amounts: gpus of its flavor's resource, thousandths of a core, bytes, bytes, pods.

    ready: its Ready condition is True. cordoned: spec.unschedulable. uid: tells it from a later node of the same name.
    request: what an administrator asks of the scheduler here.
    """

    name: str
    uid: str = ""
    flavor: str = "default"
    resource: str = "nvidia.com/gpu"
    domain: Domain = Domain()
    gpus: int = 0
    cpu_milli: int = 0
    memory_bytes: int = 0
    ephemeral_bytes: int = 0
    pods: int = 0
    ready: bool = True
    cordoned: bool = False
    taints: tuple[Taint, ...] = ()
    labels: Pairs = ()
    request: Request | None = None

    @property
    def lost(self) -> bool:
        """Declared out of service: nothing on it runs any more, and nobody will say so."""
        return any(taint.key == OUT_OF_SERVICE for taint in self.taints)


@attrs.frozen(kw_only=True)
class MalformedNode:
    """A node that is set aside by name, with the reason; it takes nothing and spoils nothing else."""

    name: str
    why: str

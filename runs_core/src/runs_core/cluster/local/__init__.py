"""The embedded cluster: SQLite and a simulated kubelet."""

from runs_core.cluster.local.cluster import LocalCluster
from runs_core.cluster.local.objects import Objects
from runs_core.cluster.local.store import Store, usable

__all__ = ["LocalCluster", "Objects", "Store", "usable"]

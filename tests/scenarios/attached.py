"""The loop of a stage, with its plugins as a scheduler has them."""

from __future__ import annotations

from collections.abc import Mapping

from runs_core.cluster.port import Cluster
from runs_core.settings import Settings
from runs_core.testing.plugins import advice_of
from runs_core.testing.stage import CheckedLoop


def attached(cluster: Cluster, settings: Settings, plugins: Mapping[str, object]) -> CheckedLoop:
    """plugins: by name; none: the bare core."""
    advice = advice_of(plugins, settings)
    loop = CheckedLoop(cluster, settings, advice, told=advice.recorded)
    advice.attach(loop.world, loop.world)
    return loop

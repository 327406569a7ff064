"""Where a gang goes."""

from __future__ import annotations

from typing import NamedTuple

import attrs

from runs_core.values.node import Domain


class PlacedPod(NamedTuple):
    """One rank with its node and its places there."""

    rank: int
    node: str
    ordinals: tuple[int, ...]


class PlacedGroup(NamedTuple):
    """One placement group inside one domain."""

    group: int
    domain: Domain
    pods: tuple[PlacedPod, ...]


@attrs.frozen(kw_only=True)
class Placement:
    """Where a whole gang goes."""

    groups: tuple[PlacedGroup, ...]

    @property
    def gpus(self) -> int:
        """Places in all."""
        return sum(len(pod.ordinals) for group in self.groups for pod in group.pods)

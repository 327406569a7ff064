"""Which plugins' indexes are told of a change, by its class."""

from __future__ import annotations

from collections.abc import Mapping

from runs_core.values.change import ChainSeen, NoncesSeen
from runs_core.world.view import Index

OF_DRAWS = frozenset({ChainSeen, NoncesSeen})
"""What draws are made from is no plugin's business."""


class Hearers(dict[type, tuple[Index, ...]]):
    """Found out once for each class: those that hear of it, or of everything."""

    def __init__(self, indexes: Mapping[type, Index]) -> None:
        self._indexes = indexes

    def __missing__(self, kind: type) -> tuple[Index, ...]:
        hears = [(index, getattr(index, "hears", None)) for index in self._indexes.values() if kind not in OF_DRAWS]
        found = self[kind] = tuple(index for index, kinds in hears if kinds is None or kind in kinds)
        return found

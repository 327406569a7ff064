"""What the loop needs of a cluster. The loop does not know which one it has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from runs_core.values.change import Change
from runs_core.values.effect import Effect
from runs_core.values.record import Record


class Cluster(Protocol):
    """kube, local and trace are the three adapters.

    plays_pods: it simulates the pods of a run without a template itself; elsewhere somebody else makes them.
    outlives: what is written here outlives the process that writes it, so that another can go on from there.
    """

    @property
    def plays_pods(self) -> bool: ...
    @property
    def outlives(self) -> bool: ...

    def observe(self) -> tuple[datetime, Sequence[Change]]:
        """The present time and what others did since the last call, in order; everything, the first time.

        What this process committed itself is not repeated, but where the cluster cannot tell it is harmless.
        """
        ...

    def commit(self, effects: Sequence[Effect], records: Sequence[Record]) -> None:
        """Write all of it or nothing. Conflict: somebody wrote since `observe`; nothing was written."""
        ...

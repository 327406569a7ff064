"""What decisions ask of plugins. The hooks package answers from the plugins that are on; `Silent` from none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from runs_core.values.decision import Hold
from runs_core.values.need import Need
from runs_core.values.node import Domain
from runs_core.values.run import Run
from runs_core.world.view import View

Rank = tuple[float | int | str, ...]


class Advice(Protocol):
    """Merged answers. A plugin that fails to answer holds (`holds`), and has no opinion elsewhere."""

    def holds(self, run: Run, view: View, now: datetime) -> Sequence[tuple[str, Hold]]:
        """Reasons to wait, each with the plugin's name, sorted."""
        ...

    def scores(self, domains: Sequence[Domain], need: Need, view: View) -> Sequence[float] | None:
        """Tie-break among domains of equal free GPUs: lower first; the sum over plugins. None: no opinion."""
        ...

    def rank(self, run: Run, view: View) -> Rank | None:
        """A static sort key inside a band of the line, in place of admission time. None: admission time."""
        ...

    def moment(self, view: View, now: datetime) -> datetime | None:
        """The next instant after now at which time alone changes some plugin's answer."""
        ...

    @property
    def scoring(self) -> bool:
        """Whether any plugin scores, so that nobody is asked in vain."""
        ...


class Silent:
    """The bare core's advice: none."""

    scoring = False

    def holds(self, run: Run, view: View, now: datetime) -> Sequence[tuple[str, Hold]]:
        return ()

    def scores(self, domains: Sequence[Domain], need: Need, view: View) -> Sequence[float] | None:
        return None

    def rank(self, run: Run, view: View) -> Rank | None:
        return None

    def moment(self, view: View, now: datetime) -> datetime | None:
        return None

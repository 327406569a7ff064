"""What decisions ask of plugins. The hooks package answers from the plugins that are on; `Silent` from none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from runs_core.values.budget import Budget
from runs_core.values.classes import Class, Split
from runs_core.values.decision import Hold
from runs_core.values.demand import Demand
from runs_core.values.funding import Account, Ask, Offers, Proposal, Stage, Unit
from runs_core.values.lease import Lease
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

    def demand(self, run: Run, view: View) -> Demand | None:
        """How wide it may be; None: as its spec says."""
        ...

    @property
    def funding(self) -> bool:
        """Whether any plugin answers who pays; where none does every run counts as fundable, and has no class."""
        ...

    def offers(self, ask: Ask, view: View, now: datetime) -> Offers:
        """All that is offered, by tier, order and payer."""
        ...

    def classify(self, lease: Lease, view: View, now: datetime) -> Class | None:
        """What an open lease is now; None: nobody classifies."""
        ...

    def meter(self, lease: Lease, view: View, now: datetime) -> Split | None:
        """GPU-seconds of an open lease so far; None: nobody meters, or not now."""
        ...

    def account(self, budget: Budget, view: View, now: datetime) -> Account | None:
        """What plugins have to say in its status; None: nothing."""
        ...

    @property
    def stages(self) -> Sequence[Stage]:
        """What can be taken back, in order."""
        ...

    def victims(self, stage: Stage, flavor: str, view: View, now: datetime) -> Sequence[Unit]:
        """Candidates of a stage, sorted."""
        ...

    def protected(self, run: Run, view: View, now: datetime) -> Sequence[tuple[str, str]]:
        """Why it must not be cut now, each reason with the plugin's name, sorted; none: it may."""
        ...

    def proposals(self, run: Run, ask: Ask, short: int, view: View) -> Sequence[Proposal]:
        """Changes that might make somebody pay for it, by plugin. short: GPUs that nobody pays for."""
        ...

    @property
    def scoring(self) -> bool:
        """Whether any plugin scores, so that nobody is asked in vain."""
        ...


class Silent:
    """The bare core's advice: none."""

    scoring = False
    funding = False
    stages: Sequence[Stage] = ()

    def demand(self, run: Run, view: View) -> Demand | None:
        return None

    def offers(self, ask: Ask, view: View, now: datetime) -> Offers:
        return Offers()

    def classify(self, lease: Lease, view: View, now: datetime) -> Class | None:
        return None

    def meter(self, lease: Lease, view: View, now: datetime) -> Split | None:
        return None

    def account(self, budget: Budget, view: View, now: datetime) -> Account | None:
        return None

    def victims(self, stage: Stage, flavor: str, view: View, now: datetime) -> Sequence[Unit]:
        return ()

    def protected(self, run: Run, view: View, now: datetime) -> Sequence[tuple[str, str]]:
        return ()

    def proposals(self, run: Run, ask: Ask, short: int, view: View) -> Sequence[Proposal]:
        return ()

    def holds(self, run: Run, view: View, now: datetime) -> Sequence[tuple[str, Hold]]:
        return ()

    def scores(self, domains: Sequence[Domain], need: Need, view: View) -> Sequence[float] | None:
        return None

    def rank(self, run: Run, view: View) -> Rank | None:
        return None

    def moment(self, view: View, now: datetime) -> datetime | None:
        return None

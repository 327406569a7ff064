"""What administrators can set."""

from __future__ import annotations

from datetime import timedelta

import attrs

from runs_core import Fact, field


@attrs.frozen(kw_only=True)
class BudgetSettings:
    """Of the budgets plugin."""

    min_runtime: timedelta = field(
        Fact(doc="An envelope covers a run only while its GPU-hours left would pay for so long."),
        default=timedelta(minutes=30),
    )
    expires_soon: timedelta = field(
        Fact(doc="A Budget says ExpiresSoon when a window of it closes within so long."), default=timedelta(days=7)
    )

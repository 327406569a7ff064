"""What an administrator may set."""

from __future__ import annotations

from datetime import timedelta

import attrs

from runs_core import Fact, field


@attrs.frozen(kw_only=True)
class BudgetSettings:
    """expires_soon, min_runtime: spans of time."""

    expires_soon: timedelta = field(
        Fact(doc="So long before an envelope closes, or before its hours end, its Budget says ExpiresSoon."),
        default=timedelta(days=3),
    )
    min_runtime: timedelta = field(
        Fact(doc="An envelope with GPU-hours covers only what its hours left would pay for so long."),
        default=timedelta(minutes=30),
    )

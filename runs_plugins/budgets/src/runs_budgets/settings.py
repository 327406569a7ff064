"""What an administrator may set."""

from __future__ import annotations

from datetime import timedelta

import attrs

from runs_core import Fact, field


@attrs.frozen(kw_only=True)
class BudgetSettings:
    """Of the budgets plugin."""

    expires_soon: timedelta = field(
        Fact(doc="So long before an envelope closes, or before its hours end, its Budget says ExpiresSoon."),
        default=timedelta(days=3),
    )

"""What administrators can set."""

from __future__ import annotations

from datetime import timedelta

import attrs

from runs_core import Fact, field


@attrs.frozen(kw_only=True)
class BorrowingSettings:
    """Of the borrowing plugin."""

    min_runtime: timedelta = field(
        Fact(doc="An envelope lends only while its GPU-hours left would pay for so long."),
        default=timedelta(minutes=30),
    )

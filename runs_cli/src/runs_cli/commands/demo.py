"""`runs demo`: a fleet, a day of work, and what a person wants to see of it."""

from __future__ import annotations

import click

from runs_cli.command import declare
from runs_cli.options import DEMO_STATE


@declare(
    "demo",
    examples=(
        ("Look at it:", "runs demo"),
        ("Keep its state where you like:", "runs demo --state day.db"),
    ),
)
@click.option(
    "--state", metavar="FILE", help=f"Where to leave the cluster; {DEMO_STATE}, made anew each time, unless given."
)
def demo() -> None:
    """Live through a day of 64 nodes, 512 GPUs and three teams: queue, fleet, one explanation, and what to try next.

    The clock is virtual, so that the day takes less than a minute; the scheduler is the real one.
    """

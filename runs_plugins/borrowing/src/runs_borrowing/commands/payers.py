"""`runs who-pays`: the payers of a run, now and so far."""

from __future__ import annotations

import click

from runs_cli.command import declare
from runs_cli.completion import RUN


@declare(
    "who-pays",
    examples=(
        ("Who pays for it, and who has?", "runs who-pays train"),
        ("GPU-hours that were borrowed so far:", "runs who-pays train -o json | jq .gpuHours.borrowed"),
    ),
)
@click.argument("name", metavar="RUN", type=RUN)
def who_pays() -> None:
    """GPUs by payer and class now, and GPU-hours by class and by payer over the run's whole life.

    What nobody pays for has no payer. Hours are rounded down to hundredths.
    """

"""`runs explain`: why a run is where it is."""

from __future__ import annotations

import click

from runs_cli.command import declare
from runs_cli.completion import RUN


@declare(
    "explain",
    examples=(
        ("Why does it wait, and what would help?", "runs explain train"),
        ("What was decided for it so far?", "runs explain train --history"),
    ),
)
@click.argument("name", metavar="RUN", type=RUN)
@click.option("--history", is_flag=True, help="Also every decision and Event so far.")
def explain() -> None:
    """Why a run is in its phase: every reason, the fleet step by step, who was asked to pay, what would start it.

    Also who may be cut for it, the last taking-back that it was part of, with its seed and whether it verifies, and
    what plugins say.
    """

"""`runs plan`: what would happen, without doing it."""

from __future__ import annotations

import click

from runs_cli.command import declare
from runs_cli.completion import RUN
from runs_cli.options import one_file


@declare(
    "plan",
    examples=(
        ("Would this start now, and where?", "runs plan -f train.yaml"),
        ("What would make this run start:", "runs plan train"),
        ("In a script (0 starts now, 1 would wait, 2 refused):", "runs plan -f train.yaml -o json"),
    ),
)
@click.argument("name", metavar="[RUN]", type=RUN, required=False)
@click.option(
    "-f", "--filename", multiple=True, callback=one_file, metavar="FILE", help="Manifests to plan for, - for stdin."
)
def plan() -> None:
    """What would happen now to a run, or to the runs of a file, without writing anything.

    Each document is planned for by itself, on the cluster as it is: where it goes, who is asked to pay, and who may be
    cut for it, with exact odds. Exit code 0: starts now, once those who are cut have gone, or has started; 1: would
    wait, is held, or is over; 2: refused or invalid.
    """

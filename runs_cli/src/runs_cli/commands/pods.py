"""`runs pods`: the ranks of a run."""

from __future__ import annotations

import click

from runs_cli.command import declare
from runs_cli.completion import RUN


@declare("pods", examples=(("Where its ranks are:", "runs pods train"), ("For a program:", "runs pods train -o json")))
@click.argument("name", metavar="RUN", type=RUN)
def pods() -> None:
    """The pods of a run, by rank, those of earlier attempts last."""

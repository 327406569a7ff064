"""`runs cancel`, `suspend` and `resume`: edits of a run's spec that end it, or take it out of line and back."""

from __future__ import annotations

import click

from runs_cli.command import declare
from runs_cli.completion import RUN


@declare(
    "cancel",
    examples=(("End a run, and keep its record:", "runs cancel train"), ("Several:", "runs cancel train ablation-3")),
)
@click.argument("names", nargs=-1, metavar="RUN...", required=True, type=RUN)
def cancel() -> None:
    """End runs for ever. They keep their record; a canceled run cannot be resumed."""


@declare(
    "suspend",
    examples=(("Give its GPUs back for now:", "runs suspend train"), ("And take it up again:", "runs resume train")),
)
@click.argument("names", nargs=-1, metavar="RUN...", required=True, type=RUN)
def suspend() -> None:
    """Give the GPUs of runs back, and keep the runs. Resumed, they take a new place in line."""


@declare("resume", examples=(("Back in line:", "runs resume train"),))
@click.argument("names", nargs=-1, metavar="RUN...", required=True, type=RUN)
def resume() -> None:
    """Put suspended runs in line again, at a new place."""

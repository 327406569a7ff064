"""`runs watch`: runs as they change."""

from __future__ import annotations

import click

from runs_cli.command import declare
from runs_cli.completion import RUN


@declare(
    "watch",
    examples=(
        ("All runs of the namespace, as they change:", "runs watch"),
        ("One run, until it is over:", "runs watch train"),
        ("One line an event, into a file:", "runs watch -A > events.log"),
    ),
)
@click.argument("name", metavar="[RUN]", type=RUN, required=False)
@click.option("--timeout", metavar="D", help="Stop after that long; exit code 4.")
def watch() -> None:
    """Runs as they change, until interrupted; one run, until it is over. Into a pipe: one line for each change."""

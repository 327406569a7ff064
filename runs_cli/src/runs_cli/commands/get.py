"""`runs get`: runs with their phase, and why."""

from __future__ import annotations

import click

from runs_cli.command import declare
from runs_cli.completion import RUN


@declare(
    "get",
    examples=(
        ("Runs of the namespace:", "runs get"),
        ("Those of everybody, with more columns:", "runs get -A -o wide"),
        ("One run, as the Kubernetes object:", "runs get train -o yaml"),
    ),
)
@click.argument("names", nargs=-1, metavar="[RUN]...", type=RUN)
def get() -> None:
    """Runs with their phase, width and reason. RUN is a name, or namespace/name.

    A table of an embedded cluster says why a run waits now; the object, and a table of a live one, why it did when the
    scheduler last had something new to say. `explain` and `queue` always tell of now.
    """

"""`runs logs`: what a rank of a run wrote."""

from __future__ import annotations

import click

from runs_cli.command import declare
from runs_cli.completion import RUN


@declare(
    "logs",
    examples=(
        ("What its first rank wrote:", "runs logs train"),
        ("What rank 3 writes, as it comes:", "runs logs train --rank 3 -f"),
        ("What the rank wrote before the gang was restarted:", "runs logs train --previous"),
    ),
)
@click.argument("name", metavar="RUN", type=RUN)
@click.option("--rank", type=click.IntRange(0), metavar="N", default=0, show_default=True, help="Of which pod.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the pod ends.")
@click.option("--previous", is_flag=True, help="Of the pod that was this rank before, where it is still there.")
@click.option("-c", "--container", metavar="NAME", help="Of which container, where the pod has several.")
def logs() -> None:
    """What a rank of a run wrote, from the node that it runs on. Live only: simulated pods write nothing."""

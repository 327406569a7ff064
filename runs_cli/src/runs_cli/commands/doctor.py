"""`runs doctor`: what is wrong with this cluster."""

from __future__ import annotations

import click

from runs_cli.command import declare


@declare(
    "doctor",
    examples=(
        ("What is wrong, and which command mends it?", "runs doctor"),
        ("An installation of another name:", "runs doctor --system-namespace gang --service-account scheduler"),
        ("In a script (0 nothing found, 1 something):", "runs doctor -o json"),
    ),
)
@click.option(
    "--system-namespace",
    metavar="NAME",
    default="runs-system",
    show_default=True,
    help="Where the scheduler keeps its Lease and its journal.",
)
@click.option("--service-account", metavar="NAME", default="runs", show_default=True, help="As whom it acts.")
def doctor() -> None:
    """What is wrong with this cluster, as far as your rights let you see, each with the command that mends it.

    Looks at kinds, nodes, the leading scheduler and its rights, webhooks with their certificates, policies, budgets,
    and pods that pass runs by. It changes nothing. Exit code 0: nothing found; 1: something. Live only.
    """

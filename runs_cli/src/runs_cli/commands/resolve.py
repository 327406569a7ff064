"""`runs resolve`: who was cut for whom, and whether the draw was fair."""

from __future__ import annotations

import click

from runs_cli.command import LazyGroup, Place, declare
from runs_cli.completion import RESOLUTION


@declare(
    "list",
    examples=(
        ("Who was cut for whom?", "runs resolve list"),
        ("Only those that are not over:", "runs resolve list --open"),
    ),
)
@click.option("--open", "only_open", is_flag=True, help="Not released or canceled yet.")
def list_() -> None:
    """Resolutions by number: who needed how much, and what was taken back for it."""


@declare(
    "show",
    examples=(
        ("Who was cut, by which stage, and what the draw was made from:", "runs resolve show 7"),
        ("With the evidence, for a check of your own:", "runs resolve show 7 -o json > resolution.json"),
    ),
)
@click.argument("name", metavar="NAME|NUMBER", type=RESOLUTION)
def show() -> None:
    """One resolution: need, scope, cuts by stage, draws, seed. JSON has all of its evidence."""


@declare(
    "verify",
    examples=(
        ("Work the draw out again, and compare:", "runs resolve verify 7"),
        ("In a script (0 all of it follows, 1 something differs):", "runs resolve verify resolution-7 -o json"),
    ),
)
@click.argument("name", metavar="NAME|NUMBER", type=RESOLUTION)
@click.option(
    "--system-namespace",
    metavar="NAME",
    default="runs-system",
    show_default=True,
    help="Where the scheduler keeps its journal, which has the commitment that the first resolution is held to.",
)
def verify() -> None:
    """Work a resolution out again from its evidence: seed, draws, give-backs, cuts, sums, places.

    Exit code 0: all of it follows; 1: something differs. The nonce is held against the commitment in the resolution
    before it; where that one is gone, only against the resolution's own word.
    """


@declare(
    "run",
    examples=(
        ("Who would be cut for 16 GPUs in one domain?", "runs resolve run --flavor h100 --gpus 16 --domain rack-7"),
        (
            "Take them back (cordon the nodes before, to keep them free):",
            "runs resolve run --flavor h100 --gpus 16 --domain rack-7 --apply",
        ),
    ),
)
@click.option("--flavor", required=True, metavar="NAME", help="GPU flavor.")
@click.option(
    "--gpus", required=True, type=click.IntRange(1, 10_000_000), metavar="N", help="GPUs that are to be free."
)
@click.option("--domain", metavar="NAME", help="In this fabric domain (its name, or region/cluster/name); any without.")
@click.option("--apply", is_flag=True, help="Do it; without it nothing is changed.")
def run() -> None:
    """GPUs taken back by hand, for maintenance: who may be cut and how likely, and with --apply the taking-back itself.

    Runs are cut in the order of the stages, by the same draw, and with the same protections as for a run that waits;
    but what comes free is bound to nobody, so that cordoned nodes count as well and the others are anybody's again. The
    request is an annotation of a node, so that it takes the right to patch nodes, as cordoning does. Exit code 1: there
    would not be enough, or nothing came of it.
    """


resolve = LazyGroup(
    name="resolve",
    help="Who was cut for whom, and whether the draw was fair.",
    places={
        "list": Place("runs_cli.commands.resolve:list_", "Who was cut for whom."),
        "show": Place("runs_cli.commands.resolve:show", "Need, cuts, draws and seed of one."),
        "run": Place("runs_cli.commands.resolve:run", "Take GPUs back by hand."),
        "verify": Place("runs_cli.commands.resolve:verify", "Work one out again, and compare."),
    },
    examples=(
        ("Who was cut for whom?", "runs resolve list"),
        ("Was the draw fair?", "runs resolve verify 7"),
    ),
)

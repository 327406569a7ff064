"""`runs sponsors`: whom a run asks to lend."""

from __future__ import annotations

import click

from runs_cli.command import LazyGroup, Place, declare
from runs_cli.completion import RUN


@declare("list", examples=(("Whom does it ask, and who pays?", "runs sponsors list train"),))
@click.argument("name", metavar="RUN", type=RUN)
def list_() -> None:
    """The sponsors of a run in the order in which they are asked, and what each lends it now."""


@declare(
    "add",
    examples=(
        ("Ask the vision team as well, after those that it asks already:", "runs sponsors add train vision"),
        ("Ask it first:", "runs sponsors add train vision --first"),
    ),
)
@click.argument("name", metavar="RUN", type=RUN)
@click.argument("owners", nargs=-1, metavar="OWNER...", required=True)
@click.option("--first", is_flag=True, help="Before those that it asks already.")
def add() -> None:
    """Name more sponsors, and allow the run to borrow. What it holds already stays as it is paid for."""


@declare("remove", examples=(("Ask them no more:", "runs sponsors remove train vision"),))
@click.argument("name", metavar="RUN", type=RUN)
@click.argument("owners", nargs=-1, metavar="OWNER...", required=True)
def remove() -> None:
    """Take sponsors out of a run's list. A loan that it has goes on until its leases end."""


sponsors = LazyGroup(
    name="sponsors",
    help="Whom a run asks to lend, beyond its own family.",
    places={
        "list": Place("runs_borrowing.commands.sponsors:list_", "Whom a run asks, and what each lends."),
        "add": Place("runs_borrowing.commands.sponsors:add", "Ask more owners."),
        "remove": Place("runs_borrowing.commands.sponsors:remove", "Ask them no more."),
    },
    examples=(
        ("Whom does it ask?", "runs sponsors list train"),
        ("Ask the vision team as well:", "runs sponsors add train vision"),
    ),
)

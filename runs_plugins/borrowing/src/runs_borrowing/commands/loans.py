"""`runs loans`: what is lent to whom."""

from __future__ import annotations

import click

from runs_cli.command import declare


@declare(
    "loans",
    examples=(
        ("Who lends to whom?", "runs loans"),
        ("What did the vision team lend?", "runs loans --lender vision"),
        ("What does the audio team owe?", "runs loans --borrower audio"),
        ("What was lent in the last week?", "runs loans --since 168h"),
    ),
)
@click.option("--lender", metavar="OWNER", help="Lent by that owner only.")
@click.option("--borrower", metavar="OWNER", help="Lent to that owner only.")
@click.option("--since", metavar="TIME", help="With those that ended after this time, or after so long ago (24h).")
def loans() -> None:
    """Loans that stand now, of all namespaces unless -n names one: since when, and GPU-hours lent to that run so far.

    Hours are rounded down to hundredths.
    """

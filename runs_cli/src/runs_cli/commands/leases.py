"""`runs leases`: who held which GPUs, from when to when."""

from __future__ import annotations

import click

from runs_cli.command import declare
from runs_cli.completion import RUN


@declare(
    "leases",
    examples=(
        ("Who holds GPUs now:", "runs leases -A --open"),
        ("Who used a node last night:", "runs leases -A --node node-003 --since 12h"),
        ("The ledger of a run:", "runs leases train"),
        ("Everything, one JSON object a line:", "runs leases export -A > ledger.jsonl"),
    ),
)
@click.argument("what", metavar="[RUN|export]", required=False, type=RUN)
@click.option("--owner", metavar="NAME", help="Of this owner only.")
@click.option("--node", metavar="NAME", help="With GPUs of this node only.")
@click.option("--since", metavar="TIME", help="That held GPUs after this time, or after so long ago (24h).")
@click.option("--until", metavar="TIME", help="That held GPUs before this time, or before so long ago.")
@click.option("--open", "only_open", is_flag=True, help="Not closed yet.")
def leases() -> None:
    """The ledger: which run held which GPUs, from when to when. A run named `export` is meant by NAMESPACE/export."""

"""`runs serve`: the scheduler as a process."""

from __future__ import annotations

from runs_cli.command import declare


@declare(
    "serve",
    examples=(
        ("Let the embedded cluster's time pass as ours does:", "runs --local fleet.db serve"),
        ("In the meantime, from another shell:", "runs --local fleet.db submit train --gpus 8 --wait"),
    ),
)
def serve() -> None:
    """Schedule until told to stop (SIGTERM, or Ctrl-C), which is always safe.

    The embedded cluster's clock goes on from where it stands, in real time. Other commands may write to the same
    file meanwhile.
    """

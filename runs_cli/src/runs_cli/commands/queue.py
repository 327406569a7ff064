"""`runs queue`: the line."""

from __future__ import annotations

from runs_cli.command import declare


@declare(
    "queue",
    examples=(
        ("Who waits, first in line first:", "runs queue"),
        ("The same for a program:", "runs queue -o json"),
    ),
)
def queue() -> None:
    """The line of the whole cluster: position, GPUs wanted, and how many GPUs of that flavor are wanted ahead.

    REASON is why each waits now. AHEAD leaves out runs that the present fleet could never take.
    """

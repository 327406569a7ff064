"""`runs budgets`: who may use what, and who does."""

from __future__ import annotations

from runs_budgets.views import Line, item, usage, when
from runs_cli.answer import Column, Table, answer
from runs_cli.command import LazyGroup, Place, command
from runs_cli.options import asked
from runs_cli.session import opened

_HEAD = ("BUDGET", "ENVELOPE", "OWNER", "FLAVOR")
_COUNTS = ("GPUS", "OWNED", "SHARED", "BORROWED", "HEADROOM", "HOURS USED", "HOURS LEFT")

budgets = LazyGroup(
    name="budgets",
    places={"usage": Place("runs_budgets.commands:usage_command", "Each envelope: who uses it, and what it has left.")},
    examples=(("Who uses what, and what is left?", "runs budgets usage"),),
    help="Quota: who may use how many GPUs, and who does.",
)


@command(
    "usage",
    examples=(
        ("Who uses what, and what is left?", "runs budgets usage"),
        (
            "What the owner of each envelope could still be given:",
            "runs budgets usage -o json | jq '.items[].headroom'",
        ),
    ),
)
def usage_command() -> None:
    """Each envelope by class of use: OWNED by its owner, SHARED by its family, BORROWED by others.

    HEADROOM is what its owner could still be given; its family yields. Hours are GPU-hours of its window. As the
    scheduler wrote it last, at most a minute ago.
    """
    with opened(asked(), ("Budget",)) as session:
        lines = list(usage(session.world.budgets()))
        answer(
            session.asked,
            plain=lambda: {"items": [item(line) for line in lines]},
            names=lambda: [f"{line.budget}/{line.envelope}" for line in lines],
            blocks=lambda: [_table(lines)],
        )


def _table(lines: list[Line]) -> Table:
    columns = [
        *(Column(title) for title in _HEAD),
        *(Column(title, right=True) for title in _COUNTS),
        Column("OPENS", wide=True),
        Column("CLOSES"),
    ]
    return Table(columns=columns, rows=[_row(line) for line in lines], empty="No Budget has an envelope.")


def _row(line: Line) -> list[str]:
    counts = (line.gpus, line.owned, line.shared, line.borrowed, line.headroom, line.hours_used, line.hours_left)
    return [
        line.budget,
        line.envelope,
        line.owner,
        line.flavor,
        *("-" if count is None else f"{count:g}" if isinstance(count, float) else str(count) for count in counts),
        when(line.opens) or "-",
        when(line.closes) or "-",
    ]

"""`runs budgets list`, `tree` and `usage`: who may use what, and who does."""

from __future__ import annotations

from collections.abc import Sequence

from runs_budgets.branches import Branch, Share, branch_item, tree
from runs_budgets.sections import NOTHING, Quota
from runs_budgets.views import Line, item, usage, when
from runs_cli.answer import Column, Table, answer, listed
from runs_cli.command import command
from runs_cli.options import asked
from runs_cli.session import opened
from runs_core import Budget, section

_HEAD = ("BUDGET", "ENVELOPE", "OWNER", "FLAVOR")
_BAR = 20
COUNTS = ("GPUS", "OWNED", "SHARED", "BORROWED", "HEADROOM", "HOURS USED", "HOURS LEFT")


@command("list", examples=(("Which Budgets are there, and is any of them not in order?", "runs budgets list"),))
def list_command() -> None:
    """Each Budget: whose it is, its parents, its GPUs, and whether it is in order, as the scheduler wrote it last."""
    with opened(asked(), ("Budget",)) as session:
        found = session.world.budgets()
        answer(
            session.asked,
            plain=lambda: listed([session.stored("Budget", one.meta.key) for one in found], one=False),
            names=lambda: [one.name for one in found],
            blocks=lambda: [_list(found)],
        )


def _list(budgets: Sequence[Budget]) -> Table:
    titles = ("BUDGET", "OWNER", "PARENTS", "ENVELOPES", "GPUS", "READY", "REASON")
    columns = [Column(title, right=title in ("ENVELOPES", "GPUS")) for title in titles]
    return Table(columns=columns, rows=[_budget(one) for one in budgets], empty="There is no Budget.")


def _budget(budget: Budget) -> list[str]:
    quota = section(budget.spec.sections, Quota) or NOTHING
    ready = next((one for one in budget.status.conditions if one.type == "Ready"), None)
    return [
        budget.name,
        budget.spec.owner,
        ", ".join(quota.parents) or "-",
        str(len(quota.envelopes)),
        str(sum(envelope.gpus for envelope in quota.envelopes)),
        ready.status if ready is not None else "-",
        ready.reason if ready is not None else "-",
    ]


@command("tree", examples=(("Who belongs to whom, and who uses what?", "runs budgets tree"),))
def tree_command() -> None:
    """Each owner below its parents, with its quota by flavor; the bar is the part that pays for somebody now.

    OWNED is used by the owner itself, SHARED by its family, BORROWED by others.
    As the scheduler wrote it last, at most a minute ago. Who has several parents stands below each, and its children
    below the first of them.
    """
    with opened(asked(), ("Budget",)) as session:
        found = list(tree(session.world.budgets()))
        answer(
            session.asked,
            plain=lambda: {"items": [branch_item(branch) for branch in found]},
            names=lambda: list(dict.fromkeys(branch.owner for branch in found)),
            blocks=lambda: [_tree(found)],
        )


def _tree(branches: Sequence[Branch]) -> Table:
    counts = ("GPUS", "USED", "OWNED", "SHARED", "BORROWED")
    columns = [Column("OWNER"), Column("FLAVOR"), *(Column(title, right=True) for title in counts), Column("")]
    rows = []
    for branch in branches:
        name = "  " * branch.depth + branch.owner + (" (see above)" if branch.again else "")
        if not branch.shares:
            rows.append([name, *["-"] * (len(counts) + 1), ""])
        for at, share in enumerate(branch.shares):
            told = (share.gpus, share.used, share.owned, share.shared, share.borrowed)
            rows.append([name if not at else "", share.flavor, *(str(count) for count in told), _bar(share)])
    return Table(columns=columns, rows=rows, empty="There is no Budget.")


def _bar(share: Share) -> str:
    full = min(_BAR, share.used * _BAR // share.gpus) if share.gpus else 0
    return "#" * full + "." * (_BAR - full)


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
        *(Column(title, right=True) for title in COUNTS),
        Column("OPENS", wide=True),
        Column("CLOSES"),
    ]
    return Table(columns=columns, rows=[_row(line) for line in lines], empty="No Budget has an envelope.")


def _row(line: Line) -> list[str]:
    edges = (when(line.opens) or "-", when(line.closes) or "-")
    return [line.budget, line.envelope, line.owner, line.flavor, *counts_of(line), *edges]


def counts_of(line: Line) -> list[str]:
    """What stands below COUNTS."""
    counts = (line.gpus, line.owned, line.shared, line.borrowed, line.headroom, line.hours_used, line.hours_left)
    return ["-" if count is None else f"{count:g}" if isinstance(count, float) else str(count) for count in counts]

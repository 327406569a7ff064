"""`runs budgets show`: one Budget."""

from __future__ import annotations

from collections.abc import Sequence

import click

from runs_budgets.commands.overview import COUNTS, counts_of
from runs_budgets.sections import Envelope
from runs_budgets.views import Line, when
from runs_budgets.whole import Part, Whole, whole, whole_item
from runs_cli.answer import Block, Column, Fields, Table, answer
from runs_cli.command import command
from runs_cli.completion import BUDGET
from runs_cli.options import asked
from runs_cli.session import opened

NONE = "-"


@command(
    "show",
    examples=(
        ("What has the Budget vision, and who uses it?", "runs budgets show vision"),
        ("To whom does it lend now?", "runs budgets show vision -o json | jq '.envelopes[].lent'"),
    ),
)
@click.argument("name", metavar="NAME", type=BUDGET)
def show_command(name: str) -> None:
    """One Budget: its family, each envelope by class of use, its aggregate caps, its conditions.

    HEADROOM is what its owner could still be given; its family yields. Hours are GPU-hours of the window. As the
    scheduler wrote it last, at most a minute ago.
    """
    with opened(asked(), ("Namespace", "Budget")) as session:
        budget, world = session.budget_named(name), session.world
        spend = [space.name for space in world.namespaces() if budget.spec.owner in world.owners(space.name)]
        found = whole(budget, world.budgets(), spend)
        answer(
            session.asked,
            plain=lambda: whole_item(found),
            names=lambda: [f"{found.budget}/{part.spec.name}" for part in found.envelopes],
            blocks=lambda: _blocks(found),
        )


def _blocks(found: Whole) -> list[Block]:
    ignored = ", ".join(found.ignored)
    pairs = [
        ("Budget", found.budget),
        ("Owner", found.owner),
        ("Parents", _names(found.parents) + (f" (and without effect {ignored})" if ignored else "")),
        ("Children", _names(found.children)),
        ("Namespaces", _names(found.namespaces)),
    ]
    blocks: list[Block] = [Fields(pairs=pairs), _envelopes(found.envelopes)]
    if found.envelopes:
        blocks.append(_terms_table(found.envelopes))
    lent = [(part, one) for part in found.envelopes for one in part.lent]
    if lent:
        columns = [Column("ENVELOPE"), Column("TO"), Column("GPUS", right=True), Column("GPU-HOURS", right=True)]
        rows = [
            [part.spec.name, one.owner, str(one.gpus), f"{one.gpu_seconds * 100 // 3600 / 100:g}"] for part, one in lent
        ]
        blocks.append(Table(columns=columns, rows=rows, title="Lent, and has lent"))
    if found.caps:
        columns = [Column("CAP"), Column("FLAVOR"), Column("ENVELOPES"), Column("GPUS", right=True)]
        rows = [[one.name, one.flavor, ", ".join(one.envelopes), str(one.gpus), str(one.used)] for one in found.caps]
        blocks.append(Table(columns=[*columns, Column("USED", right=True)], rows=rows, title="Aggregate caps"))
    columns = [Column("CONDITION"), Column("STATUS"), Column("REASON"), Column("MESSAGE")]
    rows = [[one.type, one.status, one.reason, one.message] for one in found.conditions]
    empty = "The scheduler has not taken it up yet."
    return [*blocks, Table(columns=columns, rows=rows, title="Conditions", empty=empty)]


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _envelopes(parts: Sequence[Part]) -> Table:
    columns = [Column("ENVELOPE"), Column("FLAVOR"), *(Column(title, right=True) for title in COUNTS)]
    rows = [[part.spec.name, part.spec.flavor, *counts_of(part.line)] for part in parts]
    return Table(columns=columns, rows=rows, title="Envelopes", empty="It has no envelope.")


def _terms_table(parts: Sequence[Part]) -> Table:
    titles = ("ENVELOPE", "OPENS", "CLOSES", "SHARED WITH", "LENDS TO", "PLACES")
    rows = [[part.spec.name, *_edges(part.line), *_terms(part.spec)] for part in parts]
    return Table(columns=[Column(title) for title in titles], rows=rows, title="Terms")


def _edges(line: Line) -> tuple[str, str]:
    return when(line.opens) or NONE, when(line.closes) or NONE


def _terms(spec: Envelope) -> list[str]:
    lending = spec.lending
    limits = [] if lending is None else [(lending.max_gpus, "GPUs"), (lending.max_gpu_hours, "GPU-hours")]
    most = [f"{most} {what}" for most, what in limits if most is not None]
    to = "nobody" if lending is None or not lending.to else ", ".join(lending.to)
    return [
        spec.sharing.value.lower() if spec.sharing.value == "Family" else "nobody",
        to + (f", at most {' and '.join(most)}" if most and to != "nobody" else ""),
        ", ".join(f"{label}={value}" for label, value in spec.selector) or NONE,
    ]

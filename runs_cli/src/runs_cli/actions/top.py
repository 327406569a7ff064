"""`runs top`: the fleet."""

from __future__ import annotations

from collections.abc import Sequence

from runs_cli.answer import Column, Table, answer
from runs_cli.options import asked
from runs_cli.session import opened
from runs_cli.words import place
from runs_core.serve.views.plain import plain
from runs_core.serve.views.top import Counts, Top
from runs_core.serve.views.top import top as view

COUNTS = ("gpus", "free", "active", "spare", "unfunded", "unavailable")
RARE = frozenset({"spare", "unfunded"})
"""Columns that are shown where there is something to show."""


def top() -> None:
    with opened(asked()) as session:
        found = view(session.world, session.advice)
        answer(
            session.asked,
            plain=lambda: plain(found),
            names=lambda: [flavor.flavor for flavor in found.flavors],
            blocks=lambda: [fleet_table(found)],
        )


def fleet_table(found: Top, title: str = "") -> Table:
    """A row for each flavor, its domains below it."""
    fields = [field for field in COUNTS if field not in RARE or any(getattr(one, field) for one in found.flavors)]
    titles = [*(field.upper() for field in fields), "LARGEST"]
    columns = [Column("FLAVOR"), Column("DOMAIN"), *(Column(title, right=True) for title in titles)]
    rows = []
    for flavor in found.flavors:
        rows.append([flavor.flavor, "all", *_counts(flavor, fields), str(flavor.largest_gang)])
        rows += [
            [flavor.flavor, place(domain.domain), *_counts(domain, fields), str(domain.free)]
            for domain in flavor.domains
        ]
    return Table(
        columns=columns, rows=rows, title=title, empty="No nodes; `runs cluster init --nodes N` or `cluster apply -f`."
    )


def _counts(counts: Counts, fields: Sequence[str]) -> list[str]:
    return [str(getattr(counts, field)) for field in fields]

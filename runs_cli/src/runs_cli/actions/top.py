"""`runs top`: the fleet."""

from __future__ import annotations

from runs_cli.answer import Column, Table, answer
from runs_cli.options import asked
from runs_cli.session import opened
from runs_core.serve.views.plain import plain
from runs_core.serve.views.top import Counts, Top
from runs_core.serve.views.top import top as view


def top() -> None:
    said = asked()
    with opened(said) as session:
        found = view(session.world)
        answer(
            said,
            plain=lambda: plain(found),
            names=lambda: [flavor.flavor for flavor in found.flavors],
            blocks=lambda: [fleet_table(found)],
        )


def fleet_table(found: Top, title: str = "") -> Table:
    """A row for each flavor, its domains below it."""
    columns = [
        Column("FLAVOR"),
        Column("DOMAIN"),
        *(
            Column(name, right=True)
            for name in ("GPUS", "FREE", "ACTIVE", "SPARE", "UNFUNDED", "UNAVAILABLE", "LARGEST")
        ),
    ]
    rows = []
    for flavor in found.flavors:
        rows.append([flavor.flavor, "all", *_counts(flavor), str(flavor.largest_gang)])
        rows += [[flavor.flavor, str(domain.domain), *_counts(domain), str(domain.free)] for domain in flavor.domains]
    return Table(
        columns=columns, rows=rows, title=title, empty="No nodes; `runs cluster init --nodes N` or `cluster apply -f`."
    )


def _counts(counts: Counts) -> list[str]:
    found = (counts.gpus, counts.free, counts.active, counts.spare, counts.unfunded, counts.unavailable)
    return [str(count) for count in found]

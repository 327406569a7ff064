"""`runs simulate`: the same scheduler over a trace."""

from __future__ import annotations

import re
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from runs_cli.command import command
from runs_cli.options import asked

FORMS = ("openb", "philly", "helios", "acme", "sacct", "jsonl")


class _Given(click.Path):
    """A file, or `-`: what is piped in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - click's
        return Path("/dev/stdin") if value == "-" else super().convert(value, param, ctx)


_FILE = _Given(exists=True, dir_okay=False, path_type=Path)
_FAR_OFF = re.compile(r"e[+-]?\d{3}", re.IGNORECASE | re.ASCII)
"""A power of ten that no load has, and that takes for ever to be written out exactly."""


def _load(context: click.Context, option: click.Parameter, text: str | None) -> Fraction | None:
    """Exactly the number that was written."""
    if text is None:
        return None
    try:
        if not _FAR_OFF.search(text):
            return Fraction(text)
    except (ValueError, ZeroDivisionError):
        pass
    raise click.BadParameter(f"got {text!r}, want a number such as 0.95", context, option)


def _start(context: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    from runs_core.cluster.trace.rows import YEARS  # noqa: PLC0415 - help does not wait for it
    from runs_core.values.quantity import parse_time  # noqa: PLC0415 - likewise

    try:
        found = None if text is None else parse_time(text)
    except ValueError as error:
        raise click.BadParameter(str(error), context, option) from error
    if found is not None and found.year not in YEARS:
        raise click.BadParameter(f"got {text!r}, want a time from {YEARS[0]} to {YEARS[-1]}", context, option)
    return found


@command(
    "simulate",
    examples=(
        (
            "The published Alibaba trace, as it is:",
            "runs simulate --nodes openb_node_list_gpu_node.csv --runs openb_pod_list_default.csv",
        ),
        (
            "The same work in so little time that runs have to wait, with charts:",
            "runs simulate --nodes nodes.csv --runs pods.csv --load 100 --out report",
        ),
        (
            "Two settings side by side:",
            "runs simulate --nodes n.csv --runs r.csv --config now.yaml --compare patient.yaml",
        ),
        ("What a larger fleet would do:", "runs simulate --nodes n.csv --runs r.csv --compare-nodes larger.csv"),
        (
            "What other quotas would do:",
            "runs simulate --nodes n.csv --runs r.csv --budgets now.yaml --compare-budgets asked.yaml",
        ),
        ("How long wide runs would wait:", "runs simulate --nodes n.csv --runs r.csv -o json | jq .waitSeconds.bySize"),
    ),
)
@click.option(
    "--nodes", type=_FILE, required=True, help="The fleet. `-` in place of any of these files is what is piped in."
)
@click.option("--runs", "tasks", type=_FILE, required=True, help="The work, with its arrivals and durations.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    default="openb",
    show_default=True,
    help=(
        "Of both files, as published: openb (Alibaba 2023), philly (Microsoft 2017), helios (SenseTime 2020), "
        "acme (Shanghai AI Laboratory 2023), sacct (what Slurm's sacct and sinfo print); jsonl has a manifest a line."
    ),
)
@click.option(
    "--budgets", type=_FILE, help="The Budgets, as manifests, in place of those that stand with the nodes and runs."
)
@click.option(
    "--compare",
    type=_FILE,
    metavar="FILE",
    help="Simulate the same work with these settings, and the plugins they let in, too; show both side by side.",
)
@click.option("--compare-nodes", type=_FILE, help="Likewise on this fleet.")
@click.option("--compare-budgets", type=_FILE, help="Likewise under these Budgets.")
@click.option(
    "--load",
    callback=_load,
    metavar="X",
    help="Move arrivals together (or apart) until demanded GPU-time is X times what the fleet has while runs arrive.",
)
@click.option(
    "--load-inside",
    callback=_load,
    metavar="X",
    help="Likewise until X of the fleet would be in use while runs arrive, if each started at once.",
)
@click.option(
    "--copies", type=int, default=1, show_default=True, metavar="N", help="N fleets' worth of nodes and runs."
)
@click.option(
    "--demand", type=int, default=1, show_default=True, metavar="N", help="Each run N times, on the same fleet."
)
@click.option(
    "--start",
    callback=_start,
    metavar="TIME",
    help=(
        "When the trace starts, by the virtual clock, which windows of Budgets open and close by. Unless given: with "
        "the first submission, or in forms without dates (openb, jsonl) at 2000-01-01T00:00:00Z."
    ),
)
@click.option(
    "--max-bad-rows",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    metavar="N",
    help="Bad rows that may be left out; with more, nothing is simulated.",
)
@click.option(
    "--check",
    type=click.IntRange(1),
    metavar="N",
    help="Check every invariant after each N decisions, and stop where one is broken.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for report.json and charts.")
@click.option("--charts/--no-charts", default=True, show_default=True, help="Whether --out gets charts, as PNG.")
def simulate(
    *,
    nodes: Path,
    tasks: Path,
    form: str,
    budgets: Path | None,
    compare: Path | None,
    compare_nodes: Path | None,
    compare_budgets: Path | None,
    load: Fraction | None,
    load_inside: Fraction | None,
    copies: int,
    demand: int,
    start: datetime | None,
    max_bad_rows: int,
    check: int | None,
    out: Path | None,
    charts: bool,
) -> None:
    """What a fleet, or these settings, would do with this work: waits, utilisation, fragmentation.

    The scheduler is the real one, with the plugins that are on; only pods and the clock are simulated. The same input
    gives the same report, whatever the order of rows. Bad rows are left out and named on stderr.
    """
    from runs_cli.cases import Other, Work  # noqa: PLC0415 - help does not wait for the scheduler
    from runs_cli.simulation import Wanted, simulated  # noqa: PLC0415 - likewise

    work = Work(
        nodes=nodes,
        runs=tasks,
        form=form,
        budgets=budgets,
        load=load,
        load_inside=load_inside,
        copies=copies,
        demand=demand,
        start=start,
        max_bad_rows=max_bad_rows,
    )
    other = Other(settings=compare, nodes=compare_nodes, budgets=compare_budgets)
    compared = other if any((compare, compare_nodes, compare_budgets)) else None
    simulated(asked(), Wanted(work=work, compare=compared, check=check, out=out, charts=charts))

"""What is simulated: some work on a fleet, under quotas, settings and plugins; and the same with some of it changed."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import attrs

from runs_cli.enabled import known_plugins, loaded_settings
from runs_cli.intake import text_of
from runs_cli.options import Asked
from runs_core.cluster.trace.acme import read_acme
from runs_core.cluster.trace.helios import read_helios
from runs_core.cluster.trace.input import TraceInput
from runs_core.cluster.trace.jsonl import read_jsonl
from runs_core.cluster.trace.openb import read_openb
from runs_core.cluster.trace.philly import read_philly
from runs_core.cluster.trace.sacct import read_sacct
from runs_core.cluster.trace.scale import copied, loaded, loaded_inside
from runs_core.errors import InvalidInput, Problem
from runs_core.hooks.registry import Registry
from runs_core.schema.convert import budget_from_object, namespace_from_object
from runs_core.schema.manifest import read_manifests
from runs_core.settings import FleetSettings, Settings
from runs_core.values.section import Section

_READERS = {
    "openb": read_openb,
    "philly": read_philly,
    "helios": read_helios,
    "acme": read_acme,
    "sacct": read_sacct,
}


@attrs.frozen(kw_only=True)
class Work:
    """Files, and how they are read. form: of nodes and runs. budgets: in place of those that stand in these.

    load, load_inside, copies, demand: how it is made heavier.
    """

    nodes: Path
    runs: Path
    form: str
    budgets: Path | None
    load: Fraction | None
    load_inside: Fraction | None
    copies: int
    demand: int
    max_bad_rows: int


@attrs.frozen(kw_only=True)
class Other:
    """What is otherwise; None: that is as it was."""

    settings: Path | None
    nodes: Path | None
    budgets: Path | None


@attrs.frozen(kw_only=True)
class Case:
    """A trace, the settings that it is simulated with, and the plugins that they let in."""

    trace: TraceInput
    settings: Settings
    plugins: Registry


def cases(said: Asked, work: Work, other: Other | None) -> list[Case]:
    """As the files say; and, if so asked, another. InvalidInput: one of them cannot be read.

    The work of both is the same, and is read once, with what the plugins of either add to manifests: a larger fleet
    does not draw the arrivals together for --load, and a plugin that is off makes no line bad.
    """
    asked = [said]
    if other is not None:
        asked.append(said if other.settings is None else attrs.evolve(said, config=str(other.settings)))
    plugins = [known_plugins(one).sound() for one in asked]
    settings = [loaded_settings(one, known) for one, known in zip(asked, plugins, strict=True)]
    sections = list(dict.fromkeys(section for known in plugins for section in known.sections))
    traces = [_trace(work, settings[0].fleet, sections)]
    if other is not None:
        traces.append(_changed(traces[0], work, other, settings[1].fleet, sections))
    parts = zip(traces, settings, plugins, strict=True)
    return [Case(trace=trace, settings=said_, plugins=known) for trace, said_, known in parts]


def _trace(work: Work, fleet: FleetSettings, sections: Sequence[Section]) -> TraceInput:
    trace = copied(_read(work.nodes, work.runs, work, fleet, sections), work.copies, work.demand)
    if work.load is not None and work.load_inside is not None:
        raise InvalidInput([Problem("--load-inside", "cannot stand beside --load; leave one of them out")])
    if work.load is not None:
        trace = loaded(trace, work.load)
    if work.load_inside is not None:
        trace = loaded_inside(trace, work.load_inside)
    return trace if work.budgets is None else _funded(trace, work.budgets, sections)


def _changed(
    trace: TraceInput, work: Work, other: Other, fleet: FleetSettings, sections: Sequence[Section]
) -> TraceInput:
    """The same runs. Nodes are read anew also where only the settings differ, which say what their labels mean."""
    runs = work.runs if other.nodes is None or work.form != "jsonl" else other.nodes
    read = _read(other.nodes or work.nodes, runs, work, fleet, sections)
    nodes = copied(attrs.evolve(read, arrivals=()), work.copies)
    bad = tuple(row for row in read.bad_rows if row not in trace.bad_rows)
    found = attrs.evolve(trace, nodes=nodes.nodes, skipped_nodes=nodes.skipped_nodes, bad_rows=bad)
    return found if other.budgets is None else _funded(found, other.budgets, sections)


def _read(nodes: Path, runs: Path, work: Work, fleet: FleetSettings, sections: Sequence[Section]) -> TraceInput:
    """InvalidInput: no row is a run, and some are bad: most likely the files are of another form."""
    most = work.max_bad_rows
    if (read := _READERS.get(work.form)) is not None:
        found = read(nodes, runs, max_bad_rows=most)
    else:
        found = read_jsonl(nodes, runs, max_bad_rows=most, fleet=fleet, sections=sections)
    if found.bad_rows and not found.arrivals:
        what = f"no row of {runs} is a run as --format {work.form} has it ({found.bad_rows[0]}); name another"
        raise InvalidInput([Problem("--runs", what)])
    return found


def _funded(trace: TraceInput, path: Path, sections: Sequence[Section]) -> TraceInput:
    """With the Budgets of that file, and no others, and the Namespaces that stand there."""
    found = read_manifests(text_of(str(path)), str(path), sections, ("Budget", "Namespace"))
    names = {one.body["metadata"]["name"] for one in found if one.kind == "Namespace"}
    return attrs.evolve(
        trace,
        budgets=tuple(budget_from_object(one.body, sections) for one in found if one.kind == "Budget"),
        namespaces=(
            *(one for one in trace.namespaces if one.name not in names),
            *(namespace_from_object(one.body) for one in found if one.kind == "Namespace"),
        ),
    )

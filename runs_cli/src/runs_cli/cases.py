"""What is simulated: some work on a fleet, under quotas, settings and plugins; and the same with some of it changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import attrs

from runs_cli.enabled import known_plugins, loaded_settings
from runs_cli.intake import text_of
from runs_cli.options import Asked
from runs_core.cluster.trace.acme import read_acme
from runs_core.cluster.trace.helios import helios_nodes, read_helios
from runs_core.cluster.trace.input import BadRow, BadRows, TraceInput, refuse_if_too_bad
from runs_core.cluster.trace.jsonl import read_jsonl
from runs_core.cluster.trace.openb import openb_nodes, read_openb
from runs_core.cluster.trace.philly import philly_nodes, read_philly
from runs_core.cluster.trace.sacct import read_sacct, sacct_nodes
from runs_core.cluster.trace.scale import begun, copied, loaded, loaded_inside
from runs_core.errors import InvalidInput, Problem
from runs_core.hooks.registry import Registry
from runs_core.schema.convert import budget_from_object, namespace_from_object
from runs_core.schema.manifest import Document, read_manifests
from runs_core.settings import FleetSettings, Settings
from runs_core.values.section import Section

_READERS = {
    "openb": (read_openb, openb_nodes),
    "philly": (read_philly, philly_nodes),
    "helios": (read_helios, helios_nodes),
    "acme": (read_acme, openb_nodes),
    "sacct": (read_sacct, sacct_nodes),
}
"""Of both files, and of the nodes alone."""


@attrs.frozen(kw_only=True)
class Work:
    """Files, and how they are read. form: of nodes and runs. budgets: in place of those that stand in these.

    load, load_inside, copies, demand: how it is made heavier. start: of the virtual clock; None: as the trace has it.
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
    start: datetime | None


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
        fleets = (settings[0].fleet, settings[1].fleet)
        traces.append(_changed(traces[0], work, other, fleets, sections))
    parts = zip(traces, settings, plugins, strict=True)
    return [Case(trace=trace, settings=said_, plugins=known) for trace, said_, known in parts]


def _trace(work: Work, fleet: FleetSettings, sections: Sequence[Section]) -> TraceInput:
    trace = copied(_read(work, fleet, sections), work.copies, work.demand)
    if work.start is not None:
        trace = begun(trace, work.start)
    if work.load is not None and work.load_inside is not None:
        raise InvalidInput([Problem("--load-inside", "cannot stand beside --load; leave one of them out")])
    if work.load is not None:
        trace = loaded(trace, work.load)
    if work.load_inside is not None:
        trace = loaded_inside(trace, work.load_inside)
    return trace if work.budgets is None else _funded(trace, work.budgets, sections)


def _changed(
    trace: TraceInput,
    work: Work,
    other: Other,
    fleets: tuple[FleetSettings, FleetSettings],
    sections: Sequence[Section],
) -> TraceInput:
    """The same runs. Their file is not read again: it may be one that can be read once, and it may be long."""
    found = trace
    if other.nodes is not None:
        found = _on(trace, other.nodes, work, fleets[1], sections)
    elif work.form == "jsonl" and fleets[0] != fleets[1]:
        found = _seen_otherwise(trace, work, fleets[1], sections)
    return found if other.budgets is None else _funded(found, other.budgets, sections)


def _on(trace: TraceInput, path: Path, work: Work, fleet: FleetSettings, sections: Sequence[Section]) -> TraceInput:
    """The same runs on the fleet of that file, with what was odd in it in place of what was in the first."""
    if work.form == "jsonl":
        read = read_jsonl(path, path, max_bad_rows=work.max_bad_rows, fleet=fleet, sections=sections)
    else:
        bad = BadRows(work.max_bad_rows)
        nodes = _READERS[work.form][1](path, bad)
        refuse_if_too_bad(bad, work.max_bad_rows)
        read = TraceInput.of_fleet(nodes, bad)
    bad_rows = (row for row in trace.bad_rows if work.nodes == work.runs or row.source != str(work.nodes))
    return _with_nodes(trace, _equipped(read, "--compare-nodes", path), work, (*bad_rows, *read.bad_rows))


def _seen_otherwise(trace: TraceInput, work: Work, fleet: FleetSettings, sections: Sequence[Section]) -> TraceInput:
    """The same nodes, whose labels mean something else by other settings."""
    for option, path in (("--nodes", work.nodes), ("--runs", work.runs)):
        if not path.is_file():
            what = f"{path} is read twice where --compare has other settings for `fleet`: want a file"
            raise InvalidInput([Problem(option, what)])
    read = read_jsonl(work.nodes, work.runs, max_bad_rows=work.max_bad_rows, fleet=fleet, sections=sections)
    return _with_nodes(trace, read, work, read.bad_rows)


def _with_nodes(trace: TraceInput, read: TraceInput, work: Work, bad: Sequence[BadRow]) -> TraceInput:
    nodes = copied(attrs.evolve(read, arrivals=()), work.copies)
    return attrs.evolve(trace, nodes=nodes.nodes, skipped_nodes=nodes.skipped_nodes, bad_rows=tuple(bad))


def _read(work: Work, fleet: FleetSettings, sections: Sequence[Section]) -> TraceInput:
    """InvalidInput: there is no run, or no GPU. Where rows are bad, most likely the files are of another form."""
    most, form = work.max_bad_rows, work.form
    if form in _READERS:
        found = _READERS[form][0](work.nodes, work.runs, max_bad_rows=most)
    else:
        found = read_jsonl(work.nodes, work.runs, max_bad_rows=most, fleet=fleet, sections=sections)
    if found.bad_rows and not found.arrivals:
        what = f"no row of {work.runs} is a run as --format {form} has it ({found.bad_rows[0]}); name another"
        raise InvalidInput([Problem("--runs", what)])
    if not found.arrivals:
        left = f"{found.skipped} ask for no GPU, {found.unfinished} never ran or had not ended"
        raise InvalidInput([Problem("--runs", f"{work.runs} has no run to simulate: of its tasks {left}")])
    return _equipped(found, "--nodes", work.nodes)


def _equipped(found: TraceInput, option: str, path: Path) -> TraceInput:
    """InvalidInput: no node has GPUs."""
    if not found.nodes:
        odd = f" ({found.bad_rows[0]})" if found.bad_rows else ""
        raise InvalidInput([Problem(option, f"{path} has no node with GPUs{odd}")])
    return found


def _funded(trace: TraceInput, path: Path, sections: Sequence[Section]) -> TraceInput:
    """With the Budgets of that file, and no others, and the Namespaces that stand there."""
    found = read_manifests(text_of(str(path)), str(path), sections, ("Budget", "Namespace"))
    last = {_called(one): one for one in found}
    if twice := [one for one in found if last[_called(one)] is not one]:
        raise InvalidInput([Problem(one.where, f"{' '.join(_called(one))} stands there twice") for one in twice])
    names = {one.body["metadata"]["name"] for one in found if one.kind == "Namespace"}
    return attrs.evolve(
        trace,
        budgets=tuple(budget_from_object(one.body, sections) for one in found if one.kind == "Budget"),
        namespaces=(
            *(one for one in trace.namespaces if one.name not in names),
            *(namespace_from_object(one.body) for one in found if one.kind == "Namespace"),
        ),
    )


def _called(one: Document) -> tuple[str, str]:
    return one.kind, one.body["metadata"]["name"]

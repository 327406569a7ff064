"""The hooks: each calls a function that can be tested without a scheduler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from runs_core import Domain, Hold, Index, Key, Record, Run, Section, View, hookimpl

from runs_houserules.rules import HouseRules, Ticket, missing_ticket, office_hours, team_cap, team_of
from runs_houserules.usage import TeamUsage

RUNS_HOOK_API = (1, 1)
DECISIONS: Counter[Key] = Counter()
"""Decisions for each run that has not ended, since this process began."""


@hookimpl
def runs_settings() -> type:
    return HouseRules


@hookimpl
def runs_sections() -> Sequence[Section]:
    return [Section(plugin="houserules", kind="Run", name="houserules", cls=Ticket)]


@hookimpl
def runs_index() -> Index:
    return TeamUsage()


@hookimpl
def runs_hold(run: Run, view: View, now: datetime, settings: HouseRules) -> Sequence[Hold]:
    used = view.index(TeamUsage).used(team_of(run))
    found = office_hours(run, now, settings), missing_ticket(run, settings), team_cap(run, used, settings)
    return [hold for hold in found if hold is not None]


@hookimpl
def runs_score(domains: Sequence[Domain], settings: HouseRules) -> Sequence[float] | None:
    return [float(domain.name not in settings.rather) for domain in domains] if settings.rather else None


@hookimpl
def runs_recorded(record: Record) -> None:
    DECISIONS[record.run] += 1
    if record.phase.terminal:
        del DECISIONS[record.run]


@hookimpl
def runs_explained(run: Run, view: View, settings: HouseRules) -> Sequence[str]:
    lines = []
    team = team_of(run)
    if team is not None and settings.team_gpus is not None:
        lines.append(f"team {team} runs on {view.index(TeamUsage).used(team)} of {settings.team_gpus} GPUs")
    if DECISIONS[run.key]:
        lines.append(f"{DECISIONS[run.key]} decisions about it since the scheduler started")
    return lines

"""The rules, as functions of what they need to know."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import attrs
from runs_core import Fact, Hold, Run, field, section

TEAM = "team"


@attrs.frozen(kw_only=True)
class HouseRules:
    """None, or an empty list: that rule is off."""

    daytime_gpus: int | None = field(
        Fact(doc="GPUs; wider runs of the teams wait until the office closes.", minimum=1), default=None
    )
    teams: tuple[str, ...] = field(Fact(doc="Teams that daytime_gpus holds for, by the label team."), default=())
    opens: int = field(Fact(doc="Hour (UTC) at which the office opens.", minimum=0, maximum=23), default=8)
    closes: int = field(Fact(doc="Hour (UTC) at which it closes.", minimum=1, maximum=24), default=18)
    team_gpus: int | None = field(Fact(doc="GPUs that one team may have running.", minimum=1), default=None)
    ticket_gpus: int | None = field(Fact(doc="GPUs; wider runs need a ticket.", minimum=1), default=None)
    rather: tuple[str, ...] = field(Fact(doc="Fabric domains that are used before others."), default=())


@attrs.frozen(kw_only=True)
class Ticket:
    """spec.houserules of a Run."""

    ticket: str | None = field(Fact(doc="The ticket that allows a big run.", pattern=r"[A-Z]+-[0-9]+"), default=None)


def team_of(run: Run) -> str | None:
    """The team that the run is labelled with."""
    return dict(run.meta.labels).get(TEAM)


def office_hours(run: Run, now: datetime, rules: HouseRules) -> Hold | None:
    """Wide runs of some teams leave the day to others."""
    if rules.daytime_gpus is None or run.gpus <= rules.daytime_gpus or team_of(run) not in rules.teams:
        return None
    if not rules.opens <= now.hour < rules.closes:
        return None
    night = datetime.combine(now.date(), time(), now.tzinfo) + timedelta(hours=rules.closes)
    message = f"more than {rules.daytime_gpus} GPUs wait for the night; shrink it, or let it start at {night:%H:%M} UTC"
    return Hold("OfficeHours", message, night)


def missing_ticket(run: Run, rules: HouseRules) -> Hold | None:
    """Big runs are announced."""
    if rules.ticket_gpus is None or run.gpus <= rules.ticket_gpus:
        return None
    given = section(run.spec.sections, Ticket)
    if given is not None and given.ticket:
        return None
    return Hold("TicketMissing", f"more than {rules.ticket_gpus} GPUs need a ticket; set spec.houserules.ticket")


def team_cap(run: Run, used: int, rules: HouseRules) -> Hold | None:
    """used: GPUs that the run's team has running."""
    team = team_of(run)
    if rules.team_gpus is None or team is None or used + run.gpus <= rules.team_gpus:
        return None
    return Hold("TeamCap", f"team {team} runs on {used} of its {rules.team_gpus} GPUs; end one of its runs")

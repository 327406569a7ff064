"""What `runs budgets` shows, from Budgets and what their statuses say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import attrs

from runs_budgets.sections import NOTHING, Envelope, Lent, Metered, Quota, Used
from runs_core import Budget, section

HOUR = 3600


@attrs.frozen(kw_only=True)
class Line:
    """One envelope. owned, shared, borrowed: GPUs now; hours: GPU-hours over the window, rounded down to hundredths.

    opens, closes: UTC; None: it always was open, it never closes.
    """

    owner: str
    budget: str
    envelope: str
    flavor: str
    gpus: int
    owned: int
    shared: int
    borrowed: int
    headroom: int | None
    hours_used: float
    hours_left: float | None
    opens: datetime | None
    closes: datetime | None
    lent: tuple[Lent, ...]


def usage(budgets: Iterable[Budget]) -> Iterator[Line]:
    """A line for each envelope, by budget and envelope. headroom: None until the scheduler has looked at it."""
    for budget in budgets:
        metered = section(budget.status.sections, Metered)
        known = {used.name: used for used in metered.envelopes} if metered is not None else {}
        quota = section(budget.spec.sections, Quota) or NOTHING
        for envelope in sorted(quota.envelopes, key=lambda one: one.name):
            yield _line(budget, envelope, known.get(envelope.name))


def _line(budget: Budget, envelope: Envelope, used: Used | None) -> Line:
    seconds = used.window_gpu_seconds if used is not None else 0
    left = None if envelope.gpu_hours is None else max(0, envelope.gpu_hours * HOUR - seconds)
    return Line(
        owner=budget.spec.owner,
        budget=budget.name,
        envelope=envelope.name,
        flavor=envelope.flavor,
        gpus=envelope.gpus,
        owned=used.gpus.owned if used is not None else 0,
        shared=used.gpus.shared if used is not None else 0,
        borrowed=used.gpus.borrowed if used is not None else 0,
        headroom=used.headroom if used is not None else None,
        hours_used=_hours(seconds),
        hours_left=None if left is None else _hours(left),
        opens=envelope.window.start,
        closes=envelope.window.end,
        lent=tuple(pair for pair in used.lent if pair.gpus) if used is not None else (),
    )


def _hours(seconds: int) -> float:
    return seconds * 100 // HOUR / 100


def item(line: Line) -> dict[str, object]:
    """As `-o json` has it."""
    return {
        "owner": line.owner,
        "budget": line.budget,
        "envelope": line.envelope,
        "flavor": line.flavor,
        "gpus": line.gpus,
        "owned": line.owned,
        "shared": line.shared,
        "borrowed": line.borrowed,
        "headroom": line.headroom,
        "gpuHoursUsed": line.hours_used,
        "gpuHoursLeft": line.hours_left,
        "opens": when(line.opens),
        "closes": when(line.closes),
        "lent": [{"owner": pair.owner, "gpus": pair.gpus} for pair in line.lent],
    }


def when(moment: datetime | None) -> str | None:
    """RFC 3339, UTC."""
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"

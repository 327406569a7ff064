"""A run's status as it will stand: phase, reason and conditions always change together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from runs_core.values.changed import changed, changer
from runs_core.values.decision import Reason
from runs_core.values.run import Condition, Phase, Run, RunStatus
from runs_core.world.known import BEGINNING

TYPE = attrgetter("type")
HELD, READY = Phase.HELD, (Phase.RUNNING, Phase.SUCCEEDED)
TYPES = ("Admitted", "Finished", "Held", "PodsReady")
"""Of a run's conditions, in the order in which they are written."""
NEVER_SAID = {name: Condition(type=name, status="", reason="", last_transition_time=BEGINNING) for name in TYPES}
_turned = changer(Condition, "status", "reason", "message", "last_transition_time")
_with_reason = changer(Condition, "reason")
_with_status = changer(Run, "status")


def stand(run: Run, now: datetime, *, phase: Phase, reason: str, message: str, **changes: Any) -> Run:  # noqa: ANN401  # fields of RunStatus, checked when it is built
    """The run with its new status. changes: other fields of RunStatus."""
    old = run.status
    if old.reservation is not None and phase is not Phase.RESERVED:
        changes.setdefault("reservation", None)
    admitted = changes.get("admitted_at", old.admitted_at)
    ready = phase in READY and changes.get("ending", old.ending) is None
    status = changed(
        old,
        phase=phase,
        reason=reason,
        message=message,
        conditions=_conditions(old, phase, reason, now, admitted=admitted is not None, ready=ready),
        observed_generation=run.meta.generation,
        **changes,
    )
    return _with_status(run, status)


def joined(reasons: Sequence[Reason]) -> str:
    """All reasons in one line for the status."""
    return "; ".join(reason.message for reason in reasons)


def _conditions(
    old: RunStatus, phase: Phase, reason: str, now: datetime, *, admitted: bool, ready: bool
) -> tuple[Condition, Condition, Condition, Condition]:
    known = old.conditions if _all_there(old.conditions) else _in_order(old.conditions)
    holds, ended = phase is HELD, phase.terminal
    return (
        _condition(known[0], "True" if admitted and not holds else "False", reason, now),
        _condition(known[1], "True" if ended else "False", phase.value if ended else reason, now),
        _condition(known[2], "True" if holds else "False", reason if holds else "NotHeld", now),
        _condition(known[3], "True" if ready else "False", reason, now),
    )


def _all_there(conditions: Sequence[Condition]) -> bool:
    return tuple(map(TYPE, conditions)) == TYPES


def _in_order(conditions: Sequence[Condition]) -> Sequence[Condition]:
    known = {**NEVER_SAID, **{condition.type: condition for condition in conditions}}
    return [known[name] for name in TYPES]


def _condition(old: Condition, status: str, reason: str, now: datetime) -> Condition:
    if old.status != status:
        return _turned(old, status, reason, "", now)
    return old if old.reason == reason else _with_reason(old, reason)

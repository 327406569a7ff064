"""A run's status as it will stand: phase, reason and conditions always change together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import attrs

from runs_core.values.decision import Reason
from runs_core.values.run import Condition, Phase, Run, RunStatus


def stand(run: Run, now: datetime, *, phase: Phase, reason: str, message: str, **changes: Any) -> Run:
    """The run with its new status. changes: other fields of RunStatus."""
    old = run.status
    status = attrs.evolve(
        old, phase=phase, reason=reason, message=message, observed_generation=run.meta.generation, **changes
    )
    status = attrs.evolve(status, conditions=_conditions(old, status, now))
    return attrs.evolve(run, status=status)


def joined(reasons: Sequence[Reason]) -> str:
    """All reasons in one line for the status."""
    return "; ".join(reason.message for reason in reasons)


def _conditions(old: RunStatus, new: RunStatus, now: datetime) -> tuple[Condition, ...]:
    phase = new.phase
    known = {condition.type: condition for condition in old.conditions}
    holds = phase is Phase.HELD
    facts = (
        ("Admitted", new.admitted_at is not None and not holds, new.reason),
        ("Finished", phase.terminal, phase.value if phase.terminal else new.reason),
        ("Held", holds, new.reason if holds else "NotHeld"),
        ("PodsReady", phase is Phase.RUNNING or phase is Phase.SUCCEEDED, new.reason),
    )
    return tuple(_condition(known.get(name), name, is_true, reason, now) for name, is_true, reason in facts)


def _condition(old: Condition | None, name: str, is_true: bool, reason: str, now: datetime) -> Condition:  # noqa: FBT001
    status = "True" if is_true else "False"
    if old is not None and old.status == status:
        return old if old.reason == reason else attrs.evolve(old, reason=reason)
    return Condition(type=name, status=status, reason=reason, last_transition_time=now)

"""Why a run is where it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import attrs

from runs_core.decide.standing import joined
from runs_core.serve.views.plan import Plan
from runs_core.values.classes import Tier
from runs_core.values.decision import Held, Outcome, Starts, Step, Waits
from runs_core.values.funding import Cover
from runs_core.values.meta import Key
from runs_core.values.run import Phase, Run
from runs_core.world.world import World


@attrs.frozen(kw_only=True)
class Said:
    """What a plugin has to say about the run."""

    by: str
    line: str


@attrs.frozen(kw_only=True)
class Asked:
    """An envelope that was asked to pay. had, gave: GPUs. why: why it gave no more."""

    tier: Tier
    budget: str
    envelope: str
    had: int
    gave: int
    why: str


@attrs.frozen(kw_only=True)
class Explanation(Plan):
    """match: the narrowing of the fleet to what would do. blocked_by: runs that must succeed first.

    expected_end: when it would end if it ran as long as its owner expects; pending_gpus: wanted and not held.
    cover: every envelope that was asked, where somebody keeps quotas. cut: stays empty where nobody is cut.
    """

    phase: Phase
    message: str
    match: tuple[Step, ...] = ()
    blocked_by: tuple[Key, ...] = ()
    said: tuple[Said, ...] = ()
    expected_end: datetime | None = None
    pending_gpus: int = 0
    cover: tuple[Asked, ...] = ()
    cut: None = None


def explain(
    world: World, run: Run, plan: Plan, outcome: Outcome | None, said: Iterable[tuple[str, str]] = ()
) -> Explanation:
    """outcome: what would be decided now; None for a run that has started or is over. said: (plugin, line)."""
    parts = {field.name: getattr(plan, field.name) for field in attrs.fields(Plan)}
    return Explanation(
        **parts,
        phase=run.status.phase,
        message=joined(outcome.reasons) if isinstance(outcome, Waits | Held) else run.status.message,
        match=outcome.match if isinstance(outcome, Waits) else (),
        blocked_by=_blockers(world, run) if isinstance(outcome, Held) else (),
        said=tuple(Said(by=plugin, line=line) for plugin, line in said),
        expected_end=expected_end(run),
        pending_gpus=run.status.pending_gpus,
        cover=_asked(outcome.cover) if isinstance(outcome, Waits | Starts) else (),
    )


def _asked(cover: Cover | None) -> tuple[Asked, ...]:
    return tuple(
        Asked(
            tier=look.tier,
            budget=look.payer.budget,
            envelope=look.payer.envelope,
            had=look.had,
            gave=look.gave,
            why=look.why,
        )
        for look in (cover.looks if cover is not None else ())
    )


def expected_end(run: Run) -> datetime | None:
    """By the owner's own estimate; None without one, or where it does not run."""
    started, length = run.status.started_at, run.spec.runtime.expected_duration
    return started + length if started is not None and length is not None and not run.status.phase.terminal else None


def _blockers(world: World, run: Run) -> tuple[Key, ...]:
    keys = (Key(run.key.namespace, name) for name in run.spec.after)
    return tuple(key for key in keys if (up := world.run(key)) is None or up.status.phase is not Phase.SUCCEEDED)

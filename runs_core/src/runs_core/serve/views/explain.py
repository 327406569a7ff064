"""Why a run is where it is."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from runs_core.serve.views.plan import Plan
from runs_core.values.decision import Held, Outcome, Step, Waits
from runs_core.values.meta import Key
from runs_core.values.run import Phase, Run
from runs_core.world.world import World


@attrs.frozen(kw_only=True)
class Said:
    """What a plugin has to say about the run."""

    by: str
    line: str


@attrs.frozen(kw_only=True)
class Explanation(Plan):
    """match: the narrowing of the fleet to what would do. blocked_by: runs that must succeed first.

    cover, cut: keys of the interface that stay empty where nobody keeps quotas and nobody is cut.
    """

    phase: Phase
    message: str
    match: tuple[Step, ...] = ()
    blocked_by: tuple[Key, ...] = ()
    said: tuple[Said, ...] = ()
    cover: tuple[()] = ()
    cut: None = None


def explain(
    world: World, run: Run, plan: Plan, outcome: Outcome | None, said: Iterable[tuple[str, str]] = ()
) -> Explanation:
    """outcome: what would be decided now; None for a run that has started or is over. said: (plugin, line)."""
    parts = {field.name: getattr(plan, field.name) for field in attrs.fields(Plan)}
    return Explanation(
        **parts,
        phase=run.status.phase,
        message=run.status.message,
        match=outcome.match if isinstance(outcome, Waits) else (),
        blocked_by=_blockers(world, run) if isinstance(outcome, Held) else (),
        said=tuple(Said(by=plugin, line=line) for plugin, line in said),
    )


def _blockers(world: World, run: Run) -> tuple[Key, ...]:
    keys = (Key(run.key.namespace, name) for name in run.spec.after)
    return tuple(key for key in keys if (up := world.run(key)) is None or up.status.phase is not Phase.SUCCEEDED)

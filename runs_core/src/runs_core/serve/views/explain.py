"""Why a run is where it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import attrs

from runs_core.decide.draw import seed_text
from runs_core.decide.resolve import drawn_for
from runs_core.decide.standing import joined
from runs_core.serve.views.plan import Plan
from runs_core.serve.views.present import with_hold
from runs_core.values.decision import Held, Outcome, Step, Waits
from runs_core.values.meta import Key
from runs_core.values.reservation import Promise, Reservation, ReservationPhase
from runs_core.values.resolution import Resolution
from runs_core.values.run import Phase, Run
from runs_core.world.needs import declared_end
from runs_core.world.world import World


@attrs.frozen(kw_only=True)
class Said:
    """What a plugin has to say about the run."""

    by: str
    line: str


@attrs.frozen(kw_only=True)
class Cut:
    """A taking-back that the run was part of. gpus: that it lost by it (lost), or that were cut for it.

    verified: whether all of it follows from its evidence; None: that cannot be had from here.
    """

    resolution: str
    at: datetime
    beneficiary: Key | None
    lost: bool
    gpus: int
    seed: str
    verified: bool | None


@attrs.frozen(kw_only=True)
class Promised:
    """What one reservation told the run, and what became of it. reason, message: of its present phase."""

    reservation: str
    phase: ReservationPhase
    reason: str
    message: str
    promises: tuple[Promise, ...]


def promised_by(reservation: Reservation) -> Promised:
    """As explain has it."""
    status = reservation.status
    return Promised(
        reservation=reservation.meta.name,
        phase=status.phase,
        reason=status.reason,
        message=status.message,
        promises=status.promises,
    )


def last_cut(world: World, run: Run) -> Resolution | None:
    """The last resolution that cut it, or that was for it. O(cuts that are kept)."""
    for one in sorted(world.resolutions(), key=lambda resolution: -resolution.spec.number):
        to = one.spec.beneficiary
        if (to is not None and to.uid == run.uid) or any(cut.uid == run.uid for cut in one.spec.cuts):
            return one
    return None


def cut_of(run: Run, resolution: Resolution, *, verified: bool | None) -> Cut:
    """As explain has it."""
    spec, to = resolution.spec, resolution.spec.beneficiary
    lost = [cut.gpus for cut in spec.cuts if cut.uid == run.uid]
    uid, attempt = drawn_for(to, spec.request)
    head = int(spec.seed.ledger_head, 16)
    return Cut(
        resolution=resolution.name,
        at=spec.at,
        beneficiary=to.run if to is not None else None,
        lost=bool(lost),
        gpus=sum(lost) if lost else spec.cut_gpus,
        seed=seed_text(uid, attempt, spec.number, head, spec.seed.nonce),
        verified=verified,
    )


@attrs.frozen(kw_only=True)
class Explanation(Plan):
    """match: the narrowing of the fleet to what would do. blocked_by: runs that must succeed first.

    expected_end: when it would end if it ran as long as its owner expects; pending_gpus: wanted and not held.
    cut: the last taking-back that it was cut by, or that was for it; None: none is kept. promised: by each of its
    reservations that is kept, the first one first.
    """

    phase: Phase
    message: str
    match: tuple[Step, ...] = ()
    blocked_by: tuple[Key, ...] = ()
    said: tuple[Said, ...] = ()
    expected_end: datetime | None = None
    pending_gpus: int = 0
    cut: Cut | None = None
    promised: tuple[Promised, ...] = ()


def explain(
    world: World,
    run: Run,
    plan: Plan,
    outcome: Outcome | None,
    said: Iterable[tuple[str, str]] = (),
    *,
    cut: Cut | None = None,
    reservations: Iterable[Reservation] = (),
) -> Explanation:
    """outcome: what would be decided now; None for a run that has started or is over. said: (plugin, line)."""
    parts = {field.name: getattr(plan, field.name) for field in attrs.fields(Plan)}
    return Explanation(
        **parts,
        phase=run.status.phase,
        message=with_hold(world, run, joined(outcome.reasons))
        if isinstance(outcome, Waits | Held)
        else run.status.message,
        match=outcome.match if isinstance(outcome, Waits) else (),
        blocked_by=_blockers(world, run) if isinstance(outcome, Held) else (),
        said=tuple(Said(by=plugin, line=line) for plugin, line in said),
        expected_end=expected_end(run),
        pending_gpus=run.status.pending_gpus,
        cut=cut,
        promised=tuple(map(promised_by, reservations)),
    )


def expected_end(run: Run) -> datetime | None:
    """By the owner's own estimate; None without one, or where it does not run."""
    return None if run.status.phase.terminal else declared_end(run)


def _blockers(world: World, run: Run) -> tuple[Key, ...]:
    keys = (Key(run.key.namespace, name) for name in run.spec.after)
    return tuple(key for key in keys if (up := world.run(key)) is None or up.status.phase is not Phase.SUCCEEDED)

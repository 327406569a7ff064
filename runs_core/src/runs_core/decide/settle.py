"""One waiting run is asked: it starts, GPUs are taken back for it, or it is told why it waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.answer import answer, waits
from runs_core.decide.batch import Batch, Clock
from runs_core.decide.flavor import find_flavor
from runs_core.decide.held import own_cover
from runs_core.decide.hold import hold, holds
from runs_core.decide.keep import never_fits, unfundable, waits_for_quota
from runs_core.decide.paying import stamped
from runs_core.decide.promise import look
from runs_core.decide.reclaim import Claimant, reclaim
from runs_core.decide.slices import is_due, leaving
from runs_core.decide.start import start
from runs_core.values.classes import Tier
from runs_core.values.decision import Decision, Ends, NoPlace
from runs_core.values.funding import Cover
from runs_core.values.meta import Key
from runs_core.values.run import Run
from runs_core.world.line import Line
from runs_core.world.queues import FUNDABLE, Entry


def is_unheard_of(line: Line, said: Cover) -> bool:
    """Whether somebody else's envelope gives it what came free in this very pass: those before it hear first."""
    return bool(line.hearing.gave) and any(
        share.payer in line.hearing.gave for share in said.shares if share.tier is not Tier.OWN
    )


class Asked(NamedTuple):
    """One run that is asked. held_for: seconds spent on its holds.

    explain: whether it is to be told why it waits; reclaims: says whether GPUs may be taken back for it.
    """

    key: Key
    entry: Entry
    held_for: float
    explain: bool
    reclaims: Callable[[], bool]


def settle(batch: Batch, asked: Asked, advice: Advice, clock: Clock) -> Decision | None:
    """What is decided for it, taken up by the batch; None: nothing."""
    world, key, entry = batch.world, asked.key, asked.entry
    run = world.run(key)
    assert run is not None
    seconds = {"hold": asked.held_for, "place": 0.0}
    began = clock()
    verdict = answer(world, run, entry, advice, explain=asked.explain)
    answered = clock()
    seconds["place"] = answered - began
    none = verdict is None or isinstance(verdict, NoPlace)
    if none and asked.reclaims() and (taken := _reclaim(batch, run, entry, advice)) is not None:
        return taken
    said = own_cover(world, entry, advice) if world.held.by_run else entry.queue.cover
    if verdict is None or (said is not None and is_unheard_of(world.line, said) and not isinstance(verdict, NoPlace)):
        return None
    decision: Decision | None
    unasked = not seconds["hold"] or key in world.touched  # woken with the line, or touched by a start of this pass
    if isinstance(verdict, NoPlace):
        run = _unpromised(batch, run, entry, verdict)
        decision = waits(world, run, verdict)
    elif unasked and (held := holds(world, run, advice)) is not None:
        seconds["hold"] = clock() - answered
        decision = hold(world, run, held)
    else:
        decision = start(world, run, verdict, said)
    if decision is not None:
        batch.take(decision, seconds)
        if key not in world.promises.by_run:
            world.touched.discard(key)
    if isinstance(verdict, NoPlace) and not verdict.never and world.settings.reservations.max:
        look(world, key, advice, batch, {}, alone=True)
    return decision


def _unpromised(batch: Batch, run: Run, entry: Entry, verdict: NoPlace) -> Run:
    """What it was promised stands no more, if it never fits, or nobody would pay for it."""
    world = batch.world
    known = world.promises.by_run.get(run.key)
    unpaid = entry.queue.band != FUNDABLE
    if known is None or not (verdict.never or (unpaid and not waits_for_quota(world, known))):
        return run
    over = never_fits(world, known) if verdict.never else unfundable(world, known)
    batch.take(over, {})
    return world.run(run.key) or run


def _reclaim(batch: Batch, run: Run, entry: Entry, advice: Advice) -> Decision | None:
    """Take back for it what nobody pays for, as one decision with those that it cuts; None: it cannot be."""
    world, said = batch.world, own_cover(batch.world, entry, advice)
    found = find_flavor(world, entry.shape.need)
    if found is None or said is None or holds(world, run, advice) is not None:
        return None
    name, fleet = found
    need = entry.shape.need if entry.shape.need.flavor else attrs.evolve(entry.shape.need, flavor=name)
    paid, due = said.of(need.gpus), is_due(world, run.key)
    kept = leaving(world, run, said, advice, behind=run.key in world.promises.by_run and not due)
    least = Claimant(run=run, need=need.as_wide(need.gpus), fleet=fleet, cover=paid, due=due, kept=kept)
    decisions = reclaim(world, least, advice)
    for decision in decisions:
        batch.take(stamped(world, decision, advice), {})
        if isinstance(decision.outcome, Ends):  # nothing is to be done for it until its pods have gone
            world.touched.discard(decision.run)
    return decisions[0] if decisions else None

"""One cycle: what changed is attended to, then the line is asked, first in line first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType

from runs_core.decide.advice import Advice
from runs_core.decide.hold import failed_upstream, holds
from runs_core.decide.lifecycle import is_at_rest, lifecycle, unwanted
from runs_core.decide.match import NEVER_CODES, NEVER_FITS, WAIT_CODES, no_flavor, no_place
from runs_core.decide.place import fits_when_empty, place
from runs_core.decide.release import Cause, late_pods, orphaned, release, removal
from runs_core.decide.standing import joined, stand
from runs_core.decide.start import start
from runs_core.errors import RunsError
from runs_core.values.change import Change, HeadSeen
from runs_core.values.decision import (
    Decision,
    Held,
    Moves,
    NoPlace,
    Outcome,
    Placement,
    Removed,
    Starts,
    Waits,
)
from runs_core.values.effect import Effect, Emit, SetRunStatus, expected
from runs_core.values.lease import Closed
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.run import Phase, Run
from runs_core.world.fleet import FlavorFleet
from runs_core.world.line import Order, Shape
from runs_core.world.world import World

Clock = Callable[[], float]
MOST_PASSES = 10_000


class Batch:
    """Decisions of one cycle, already taken up by the world as if written; `undo` takes all of it back."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.decisions: list[Decision] = []
        self._inverses: list[Change] = [HeadSeen(world.ledger.head)]
        self._touched = (set(world.touched), set(world.touched_budgets), set(world.touched_nodes))

    def take(self, decision: Decision) -> None:
        self.decisions.append(decision)
        self.add(decision.effects)

    def add(self, effects: Iterable[Effect]) -> None:
        """Effects that belong to no run."""
        for effect in effects:
            if isinstance(effect, Emit):
                continue
            change = expected(effect)
            if change is not None:
                inverse = self.world.apply(change)
                if inverse is not None:
                    self._inverses.append(inverse)

    def undo(self) -> None:
        """Nothing was written: the world is as before, and all that was decided is to be decided again."""
        for inverse in reversed(self._inverses):
            self.world.revert(inverse)
        world = self.world
        world.touched, world.touched_budgets, world.touched_nodes = self._touched
        world.line.forget()


def cycle(world: World, advice: Advice, clock: Clock) -> Batch:
    """All decisions that can be taken now. clock: seconds, only to tell how long each stage took."""
    batch = Batch(world)
    for _ in range(MOST_PASSES):
        fresh = _attend(world, advice, batch, clock)
        _ask_line(world, advice, batch, fresh, clock)
        if not world.touched:
            return batch
    raise RunsError(f"decisions do not settle after {MOST_PASSES} passes: {sorted(map(str, world.touched))[:3]}")


def _attend(world: World, advice: Advice, batch: Batch, clock: Clock) -> dict[Key, float]:
    """Runs that a change touched.

    Returns those that stand in line and are to be answered, with the time spent on holds.
    """
    fresh: dict[Key, float] = {}
    while world.touched:
        keys, world.touched = sorted(world.touched), set()
        for key in keys:
            began = clock()
            fresh.pop(key, None)
            decision = attend(world, key, advice)
            seconds = clock() - began
            if decision is not None:
                batch.take(_with_seconds(decision, {"attend": seconds}))
                if is_at_rest(decision):
                    world.touched.discard(key)
            elif key in world.line.entries:
                fresh[key] = seconds
    return fresh


def attend(world: World, key: Key, advice: Advice) -> Decision | None:
    """What is next for this run, the line aside."""
    run = world.run(key)
    leases = world.leases_of(key)
    strays = [lease for lease in leases if run is None or lease.spec.run_ref.uid != run.uid]
    if strays:
        first = strays[0].spec.run_ref.uid
        decision = orphaned(world, [lease for lease in strays if lease.spec.run_ref.uid == first])
        if decision is not None or run is None:
            return decision
    if run is None:
        return None
    if (late := late_pods(world, run)) is not None:
        return late
    if run.status.phase.terminal:
        return _over(world, run)
    if (
        len(leases) > len(strays)
        or run.status.ending is not None
        or run.status.phase in (Phase.STARTING, Phase.RUNNING)
    ):
        decision = lifecycle(world, run)
        return decision if decision is not None and decision.effects else None
    return _unstarted(world, run, advice)


def _over(world: World, run: Run) -> Decision | None:
    """A finished run is kept for a while, and as long as another waits for it by name."""
    if run.meta.deleting is not None:
        return _removed(world, run, "Deleted")
    finished = run.status.finished_at
    if finished is None or world.dependents(run.key):
        return None
    due = finished + world.settings.retention.runs
    if world.now < due:
        world.wake_at(due, run.key)
        return None
    return _removed(world, run, "Retention")


def _removed(world: World, run: Run, reason: str) -> Decision:
    outcome = Removed(reason=reason, phase=run.status.phase)
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=removal(world, run))


def _unstarted(world: World, run: Run, advice: Advice) -> Decision | None:
    cause = None if run.spec.suspend and run.meta.deleting is None and not run.spec.canceled else unwanted(run)
    upstream = failed_upstream(world, run)
    if cause is None and upstream is not None:
        message = f"run {upstream.meta.name} failed"
        cause = Cause(closure=Closed.RUN_FAILED, reason="UpstreamFailed", message=message, then=Phase.FAILED)
    if cause is not None:
        return release(world, run, cause)
    held = holds(world, run, advice)
    if held is not None:
        return hold(world, run, held)
    if run.status.phase is Phase.HELD:
        return _let_in(world, run)
    return None


def hold(world: World, run: Run, held: Held) -> Decision | None:
    """Out of the line; None where its status says so already."""
    if held.until is not None:
        world.wake_at(held.until, run.key)
    suspended = run.spec.suspend
    stands = stand(
        run,
        world.now,
        phase=Phase.HELD,
        reason=held.reasons[0].code,
        message=joined(held.reasons),
        pending_gpus=run.gpus,
        admitted_at=None if suspended else run.status.admitted_at,
        queued_since=None,
    )
    if stands == run:
        return None
    emit = Emit("Run", run.key, held.reasons[0].code, joined(held.reasons), world.now)
    return Decision(run=run.key, uid=run.uid, outcome=held, effects=(SetRunStatus(stands), emit))


def _let_in(world: World, run: Run) -> Decision:
    """No longer held: it stands in line from now on, at its admission time if it had one."""
    now = world.now
    stands = stand(
        run,
        now,
        phase=Phase.QUEUED,
        reason="Admitted",
        message="stands in line",
        admitted_at=run.status.admitted_at or now,
        queued_since=now,
    )
    outcome = Moves(reason="Admitted", message="no longer held; stands in line")
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=(SetRunStatus(stands),))


# -- the line ---------------------------------------------------------------------------------------------------------


def _ask_line(world: World, advice: Advice, batch: Batch, fresh: dict[Key, float], clock: Clock) -> None:
    """Fresh runs get their answer; of each need that came within reach, the first runs start while they fit."""
    if not fresh and (not world.line.shapes or world.line.asked == world.fleet.freed):
        return
    entries = world.line.entries
    fresh = {key: seconds for key, seconds in fresh.items() if key in entries and not _answered(world, key)}
    queue: list[tuple[Order, Key]] = [(entries[key][0], key) for key in fresh]
    queue += _woken(world, fresh, queue)
    heapq.heapify(queue)
    asked: set[Key] = set()
    while queue:
        _, key = heapq.heappop(queue)
        if key in asked or key not in entries:
            continue
        asked.add(key)
        shape = entries[key][1]
        decision = _ask(world, advice, key, shape, fresh=fresh, clock=clock)
        if decision is None:
            continue
        batch.take(decision)
        world.touched.discard(key)
        if isinstance(decision.outcome, Starts) and (run := world.run(key)) is not None:
            world.wake_at(world.now + run.spec.start_timeout, key)  # no pod may ever say anything: nothing else would
        if not isinstance(decision.outcome, Waits) and (following := world.line.head(shape)) is not None:
            heapq.heappush(queue, following)


def _woken(world: World, fresh: dict[Key, float], queue: list[tuple[Order, Key]]) -> Iterator[tuple[Order, Key]]:
    """The first run of each need whose answer may have changed."""
    line, known = world.line, world.fleet.freed
    if line.asked == known:
        return
    line.asked = known
    bounds: dict[tuple[str, int], int] = {}
    for shape in list(line.shapes.values()):
        found = find_flavor(world, shape.need)
        if found is not None and shape.failed == found[1].freed:
            continue
        before, shape.never = shape.never, _never(world, shape.need)
        if before != shape.never:
            for key in world.line.members(shape):
                if key not in fresh and not _answered(world, key):
                    fresh[key] = 0.0
                    queue.append((world.line.entries[key][0], key))
        if found is None:
            continue
        (name, flavor), need = found, shape.need
        size = (name, need.gpus_per_pod)
        if size not in bounds:
            bounds[size] = flavor.pods(need.gpus_per_pod)
        if bounds[size] < need.pods:
            shape.failed = flavor.freed
        elif (head := world.line.head(shape)) is not None:
            yield head


def _answered(world: World, key: Key) -> bool:
    """Whether the run's status still says why it waits. Counts in its message are of the day it was answered.

    This, not what a process remembers, decides who is answered again, so that a restart changes nothing.
    """
    run = world.run(key)
    assert run is not None
    status = run.status
    if status.reason not in WAIT_CODES or status.observed_generation != run.meta.generation:
        return False
    said = status.reason if status.reason in NEVER_CODES else ""
    return said == _never(world, world.line.entries[key][1].need)


def _never(world: World, need: Need) -> str:
    """Why the present fleet could not take it even if it were empty, in one word; empty: it could."""
    found = find_flavor(world, need)
    if found is None:
        return no_flavor(world, need).reasons[0].code
    return "" if fits_when_empty(world.fleet, found[1], need) else NEVER_FITS


def _ask(
    world: World, advice: Advice, key: Key, shape: Shape, *, fresh: dict[Key, float], clock: Clock
) -> Decision | None:
    run = world.run(key)
    assert run is not None
    began = clock()
    verdict = _answer(world, advice, shape, explain=key in fresh)
    placed = clock() - began
    if verdict is None:
        return None
    if isinstance(verdict, NoPlace):
        return _timed(waits(world, run, verdict), fresh.get(key, 0.0), placed)
    unasked = not fresh.get(key) or key in world.touched  # woken with the line, or touched by a start of this pass
    if unasked and (held := holds(world, run, advice)) is not None:
        return _timed(hold(world, run, held), clock() - began - placed, placed)
    return _timed(start(world, run, verdict), fresh.get(key, 0.0), placed)


def _answer(world: World, advice: Advice, shape: Shape, *, explain: bool) -> Placement | NoPlace | None:
    """Where the first run of the shape goes, or why nowhere; None: nowhere, and nobody asked why."""
    found = find_flavor(world, shape.need)
    if found is None:
        return no_flavor(world, shape.need)
    name, flavor = found
    if shape.failed != flavor.freed:
        placement = place(world.fleet, flavor, shape.need, advice=advice, view=world)
        if placement is not None:
            return placement
        shape.failed = flavor.freed
    if not explain:
        return None
    if shape.answer is None or shape.answered != flavor.moved:
        shape.answer = no_place(world, flavor, name, shape.need)
        shape.answered = flavor.moved
    return shape.answer


def find_flavor(world: World, need: Need) -> tuple[str, FlavorFleet] | None:
    """The flavor meant: the named one, or the only one there is."""
    name = need.flavor or world.sole_flavor()
    flavor = world.fleet.flavors.get(name) if name else None
    return (name, flavor) if name and flavor is not None and flavor.nodes else None


def waits(world: World, run: Run, verdict: NoPlace) -> Decision | None:
    """Stays in line; None where its status says so already."""
    now, status = world.now, run.status
    stands = stand(
        run,
        now,
        phase=Phase.QUEUED,
        reason=verdict.reasons[0].code,
        message=joined(verdict.reasons),
        pending_gpus=run.gpus,
        admitted_at=status.admitted_at or now,
        queued_since=status.queued_since or now,
    )
    if stands == run:
        return None
    outcome = Waits(reasons=verdict.reasons, match=verdict.match, never=verdict.never)
    effects: tuple[Effect, ...] = (SetRunStatus(stands),)
    if status.reason != stands.status.reason:
        effects = (*effects, Emit("Run", run.key, stands.status.reason, stands.status.message, now))
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=effects)


def _timed(decision: Decision | None, hold_seconds: float, place_seconds: float) -> Decision | None:
    if decision is None:
        return None
    return _with_seconds(decision, {"hold": hold_seconds, "place": place_seconds})


def _with_seconds(decision: Decision, seconds: dict[str, float]) -> Decision:
    return Decision(
        run=decision.run,
        uid=decision.uid,
        outcome=decision.outcome,
        effects=decision.effects,
        seconds=MappingProxyType(seconds),
    )


def consider(world: World, run: Run, advice: Advice) -> Outcome:
    """What would be decided for this waiting run now, if it stood where it stands: nothing is written."""
    held = holds(world, run, advice)
    if held is not None:
        return held
    found = seek(world, world.need(run), advice)
    if isinstance(found, NoPlace):
        return Waits(reasons=found.reasons, match=found.match, never=found.never)
    return Starts(placement=found, attempt=run.status.attempt + 1)


def seek(world: World, need: Need, advice: Advice) -> Placement | NoPlace:
    """Where a gang of this need would go now, or every reason why it cannot."""
    found = find_flavor(world, need)
    if found is None:
        return no_flavor(world, need)
    name, flavor = found
    return place(world.fleet, flavor, need, advice=advice, view=world) or no_place(world, flavor, name, need)

"""The line is asked: who would be paid for first, then who was admitted first."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.batch import Batch, Clock
from runs_core.decide.cover import cover
from runs_core.decide.held import find_cover, heard, hold_quota, own_cover
from runs_core.decide.hold import hold, holds
from runs_core.decide.match import NEVER_CODES, NEVER_FITS, WAIT_CODES, no_flavor, no_place
from runs_core.decide.paid import filters, place_paid, place_widest
from runs_core.decide.paying import cover_held, repay, stamped
from runs_core.decide.place import fits_when_empty, place
from runs_core.decide.promise import look, never_fits, promise, unfundable, waits_for_quota
from runs_core.decide.quota import OUT_OF_QUOTA, beside_quota
from runs_core.decide.reach import Reach
from runs_core.decide.reclaim import Claimant, reclaim
from runs_core.decide.slices import beside, is_due
from runs_core.decide.standing import joined, stand
from runs_core.decide.start import start
from runs_core.values.classes import Tier
from runs_core.values.decision import Decision, Ends, NoPlace, Outcome, Starts, Waits
from runs_core.values.effect import Effect, Emit, SetRunStatus
from runs_core.values.funding import Cover
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.placement import Placement
from runs_core.values.run import Phase, Run
from runs_core.world.flavors import FlavorFleet
from runs_core.world.line import FUNDABLE, UNPAYABLE, Entry, Line, Order, Queue, Shape
from runs_core.world.world import World


def ask_line(world: World, advice: Advice, batch: Batch, fresh: dict[Key, float], clock: Clock) -> None:
    """Fresh runs get their answer; of each need that came within reach, the first runs start while they fit.

    fresh: runs that are to be answered, with the seconds spent on their holds.
    """
    Turn(world, advice, batch, clock).take(fresh)
    promises = world.promises
    told = promises.by_run or (promises.stirred and world.ends.can_tell())
    if told and world.line.entries and world.settings.reservations.max:
        promise(world, advice, batch)


class Turn:
    """One pass over the line. queue: who is to be asked, by band and order.

    covered: how many decisions there were when who pays was last found out, and which quota was held: only those change
    that within a pass.
    """

    def __init__(self, world: World, advice: Advice, batch: Batch, clock: Clock) -> None:
        self.world = world
        self.advice = advice
        self.batch = batch
        self.clock = clock
        self.fresh: dict[Key, float] = {}
        self.queue: list[tuple[int, Order, Key]] = []
        self.asked: set[Key] = set()
        self.covered: dict[Queue, tuple[int, int]] = {}
        self.reach: tuple[int, Reach] | None = None

    def take(self, fresh: dict[Key, float]) -> None:
        """Ask whoever has something to hear."""
        world, line = self.world, self.world.line
        if world.funded:
            self._hear_of_quota()
        if not (fresh or self.queue) and (not line.shapes or line.asked == world.fleet.freed):
            return
        for key in fresh if self.advice.stages else ():
            if key in line.entries and line.entries[key].queue.band == FUNDABLE:
                self._push(key)  # time may have made somebody a victim for it
        self.fresh = {key: spent for key, spent in fresh.items() if key in line.entries and not _answered(world, key)}
        if line.judged != world.fleet.changed:
            self.fresh.update(dict.fromkeys(_judged_anew(world, self.fresh), 0.0))
        for key in self.fresh:
            self._push(key)
        for key in (*_promised(world), *_woken(world)):
            self._push(key)
        while self.queue:
            band, _, key = heapq.heappop(self.queue)
            if key in self.asked:
                continue
            if (entry := line.entries.get(key)) is not None:
                self._waiting(key, entry, band)
            elif key in world.unpaid.entries:
                self._unpaid(key)

    def _push(self, key: Key) -> None:
        order, _, queue = self.world.line.entries[key]
        heapq.heappush(self.queue, (queue.band, order, key))

    # -- who pays ---------------------------------------------------------------------------------------------------

    def _hear_of_quota(self) -> None:
        """Envelopes may give more than when somebody last looked: to those in line, and to those that run unpaid."""
        world = self.world
        world.stand_unpaid()
        hold_quota(world, self.advice)
        for queue in world.line.give():
            heard(world, queue)
            if not queue.hopeless:
                self._cover(queue)
            first = world.line.first(queue)
            if first is not None and (queue.band == FUNDABLE or _says_otherwise(world, first[1], queue)):
                self._push(first[1])
        if self.advice.stages:
            self._hear_of_slack()
        for queue in world.unpaid.give():
            if (first := world.unpaid.first(queue)) is not None:
                heapq.heappush(self.queue, (FUNDABLE, *first))

    def _hear_of_slack(self) -> None:
        """Where more may be taken back than before, or less is missing, everybody who is paid for is asked."""
        world, line = self.world, self.world.line
        more, line.slack = line.slack, set()
        if line.asked != world.fleet.freed:
            more |= {flavor for flavor in world.flavors() if world.slack.ripe(flavor, world.now)}
        for shape in [one for one in line.shapes.values() if _flavor(world, one.need) in more] if more else ():
            for queue in shape.queues.values():
                if queue.band == FUNDABLE and (first := line.first(queue)) is not None:
                    self._push(first[1])

    def _cover(self, queue: Queue) -> None:
        """Find out who pays, unless that is known: whoever started since may have taken what was offered before."""
        made = len(self.batch.decisions), self.world.held.version
        if self.covered.get(queue) == made:
            return
        find_cover(self.world, self.advice, queue)
        self.covered[queue] = made

    def _unpaid(self, key: Key) -> None:
        """Somebody may pay for what this run holds already."""
        world = self.world
        hold_quota(world, self.advice)
        self.asked.add(key)
        queue = world.unpaid.entries[key].queue
        run = world.run(key)
        assert run is not None
        found = cover_held(world, run, self.advice)
        world.unpaid.covered(queue, found)
        if not found.fundable or self._unheard_of(world.unpaid, found):
            return
        if (held := holds(world, run, self.advice)) is not None:
            world.step_aside(key, held.until)
        else:
            self.batch.take(stamped(world, repay(world, run, found), self.advice), {})
            world.touched.discard(key)
            world.stand_unpaid()
        if (following := world.unpaid.first(queue)) is not None and following[1] not in self.asked:
            heapq.heappush(self.queue, (FUNDABLE, *following))

    # -- who waits --------------------------------------------------------------------------------------------------

    def _in_vain(self, key: Key, entry: Entry) -> bool:
        """Whether asking it again would come to nothing, and tell nothing: the same would pay, and nothing is near.

        A test plays the same with and without it: `test_nobody_is_missed.py`.
        """
        world, queue, need = self.world, entry.queue, entry.shape.need
        if queue.stale or key in self.fresh or queue.band == UNPAYABLE or need.demand is not None:
            return False
        if queue.band == FUNDABLE:
            if not world.line.stands(queue) or is_due(world, key):
                return False
        elif key in world.promises.by_run:
            return False
        return not _says_otherwise(world, key, queue) and not self._in_reach(entry)

    def _in_reach(self, entry: Entry) -> bool:
        """Whether it might be given room, if all were taken back that may be for it."""
        queue, need = entry.queue, entry.shape.need
        found = find_flavor(self.world, need)
        if found is None or need.demand is not None:
            return True
        made = len(self.batch.decisions)
        if self.reach is None or self.reach[0] != made:
            self.reach = made, Reach(self.world)
        return self.reach[1].holds(need, *found, queue.displacing if queue.band == FUNDABLE else frozenset())

    def _waiting(self, key: Key, entry: Entry, band: int) -> None:
        world, queue = self.world, entry.queue
        if world.funded:
            hold_quota(world, self.advice)
            if self._in_vain(key, entry):
                self.asked.add(key)
                return
            if queue.stale or band == FUNDABLE:
                self._cover(queue)
        if queue.band != band:
            self._push(key)
            return
        self.asked.add(key)
        if world.held.by_run and band == FUNDABLE and (said := own_cover(world, entry)) and not said.fundable:
            self._behind(key)
            return
        explain = key in self.fresh or (world.funded and _says_otherwise(world, key, queue))
        reclaims = (
            band == FUNDABLE
            and bool(self.advice.stages)
            and (
                is_due(world, key)
                or (world.slack.ripe(_flavor(world, entry.shape.need), world.now) and self._in_reach(entry))
            )
        )
        promised = key in world.promises.by_run
        if not (explain or reclaims or promised) and _is_out_of_reach(world, entry.shape):
            # what was free when it was woken has been taken since
            return
        decision = self._decide(key, entry, explain=explain, reclaims=reclaims)
        if decision is None:
            return
        if isinstance(decision.outcome, Starts) and (run := world.run(key)) is not None:
            world.wake_at(world.now + run.spec.start_timeout, key)  # no pod may ever say anything: nothing else would
        if entry.shape.size and not isinstance(decision.outcome, Waits):
            for _, following in world.line.heads(entry.shape):
                self._push(following)

    @staticmethod
    def _unheard_of(line: Line, said: Cover) -> bool:
        """Whether somebody else's envelope gives it what came free in this very pass: those before it hear first."""
        return bool(line.gave) and any(share.payer in line.gave for share in said.shares if share.tier is not Tier.OWN)

    def _behind(self, key: Key) -> None:
        """The first of its queue is paid for, and by what is held for those before it this one is not."""
        known = self.world.promises.by_run.get(key)
        if known is not None and not waits_for_quota(self.world, known):
            self.batch.take(unfundable(self.world, known), {})

    def _decide(self, key: Key, entry: Entry, *, explain: bool, reclaims: bool) -> Decision | None:
        world = self.world
        run = world.run(key)
        assert run is not None
        seconds = {"hold": self.fresh.get(key, 0.0), "place": 0.0}
        began = self.clock()
        verdict = self._answer(run, entry, explain=explain)
        asked = self.clock()
        seconds["place"] = asked - began
        none = verdict is None or isinstance(verdict, NoPlace)
        if none and reclaims and (taken := self._reclaim(run, entry)) is not None:
            return taken
        said = own_cover(world, entry) if world.held.by_run else entry.queue.cover
        if verdict is None or (
            said is not None and self._unheard_of(world.line, said) and not isinstance(verdict, NoPlace)
        ):
            return None
        decision: Decision | None
        unasked = not seconds["hold"] or key in world.touched  # woken with the line, or touched by a start of this pass
        if isinstance(verdict, NoPlace):
            run = self._unpromised(run, entry, verdict)
            decision = waits(world, run, verdict)
        elif unasked and (held := holds(world, run, self.advice)) is not None:
            seconds["hold"] = self.clock() - asked
            decision = hold(world, run, held)
        else:
            decision = start(world, run, verdict, said)
        if decision is not None:
            self.batch.take(decision, seconds)
            if key not in world.promises.by_run:
                world.touched.discard(key)
        if isinstance(verdict, NoPlace) and not verdict.never and world.settings.reservations.max:
            look(world, key, self.advice, self.batch, {})
        return decision

    def _unpromised(self, run: Run, entry: Entry, verdict: NoPlace) -> Run:
        """What it was promised stands no more, if it never fits, or nobody would pay for it."""
        known = self.world.promises.by_run.get(run.key)
        unpaid = entry.queue.band != FUNDABLE
        if known is None or not (verdict.never or (unpaid and not waits_for_quota(self.world, known))):
            return run
        over = never_fits(self.world, known) if verdict.never else unfundable(self.world, known)
        self.batch.take(over, {})
        return self.world.run(run.key) or run

    def _reclaim(self, run: Run, entry: Entry) -> Decision | None:
        """Take back for it what nobody pays for, as one decision with those that it cuts; None: it cannot be."""
        world, said = self.world, own_cover(self.world, entry)
        found = find_flavor(world, entry.shape.need)
        if found is None or said is None or holds(world, run, self.advice) is not None:
            return None
        name, fleet = found
        need = entry.shape.need if entry.shape.need.flavor else attrs.evolve(entry.shape.need, flavor=name)
        paid, due = said.of(need.gpus), is_due(world, run.key)
        least = Claimant(run=run, need=need.as_wide(need.gpus), fleet=fleet, cover=paid, due=due)
        with beside(world, run, said, self.advice, behind=run.key in world.promises.by_run and not due):
            decisions = reclaim(world, least, self.advice)
        for decision in decisions:
            self.batch.take(stamped(world, decision, self.advice), {})
            if isinstance(decision.outcome, Ends):  # nothing is to be done for it until its pods have gone
                world.touched.discard(decision.run)
        return decisions[0] if decisions else None

    def _answer(self, run: Run, entry: Entry, *, explain: bool) -> Placement | NoPlace | None:
        """Where the run goes, or why nowhere; None: nowhere, and nobody asked why."""
        world, shape, found = self.world, entry.shape, find_flavor(self.world, entry.shape.need)
        if found is None:
            return no_flavor(world, shape.need)
        name, flavor = found
        said = own_cover(world, entry) if world.held.by_run else entry.queue.cover
        placement = None if entry.queue.band == UNPAYABLE else self._place(shape, flavor, said)
        if placement is None and flavor.withheld and entry.queue.band != UNPAYABLE:
            placement = place_beside(world, flavor, shape.need, run, said=said, advice=self.advice)
        if placement is not None:
            return placement
        if not explain:
            return None
        if shape.answer is None or shape.answered != flavor.moved:
            shape.answer = no_place(world, flavor, name, shape.need)
            shape.answered = flavor.moved
        return beside_quota(shape.answer, shape.need, said) if said is not None else shape.answer

    def _place(self, shape: Shape, flavor: FlavorFleet, said: Cover | None) -> Placement | None:
        world = self.world
        if shape.need.demand is not None:
            return self._widest(shape, flavor, said)
        within = filters(world, shape.need, said.shares) if said is not None else ()
        if not within:
            if shape.failed == flavor.freed:
                return None
            placement = place(world.fleet, flavor, shape.need, advice=self.advice, view=world)
            if placement is None:
                shape.failed = flavor.freed
            return placement
        assert said is not None
        if shape.failed == flavor.freed or shape.narrower.get(within) == flavor.freed:
            return None
        placement = place_paid(world, flavor, shape.need, said.shares, self.advice)
        if placement is None:
            shape.narrower[within] = flavor.freed
        return placement

    def _widest(self, shape: Shape, flavor: FlavorFleet, said: Cover | None) -> Placement | None:
        if shape.failed == flavor.freed:
            return None
        placement = place_widest(self.world, flavor, shape.need, said, self.advice)
        if placement is None and not (said is not None and any(share.selector for share in said.shares)):
            shape.failed = flavor.freed
        return placement


def place_beside(
    world: World, flavor: FlavorFleet, need: Need, run: Run, *, said: Cover | None, advice: Advice
) -> Placement | None:
    """Where it goes among places that are promised for later, as far as it may use them.

    Who has a promise of its own leaves those behind it theirs, until its time has come and it finds no other place.
    """
    if flavor.free + flavor.withheld < need.gpus:
        return None
    promised = run.key in world.promises.by_run
    with beside(world, run, said, advice, behind=promised):
        placement = place_widest(world, flavor, need, said, advice)
    if placement is not None or not promised or not is_due(world, run.key):
        return placement
    with beside(world, run, said, advice):
        return place_widest(world, flavor, need, said, advice)


def _says_otherwise(world: World, key: Key, queue: Queue) -> bool:
    """Whether the run's status says that it waits for quota where it waits for room, or the other way round."""
    run = world.run(key)
    reason = run.status.reason if run is not None else ""
    return reason in WAIT_CODES and reason not in NEVER_CODES and (reason == OUT_OF_QUOTA) is (queue.band == FUNDABLE)


def _judged_anew(world: World, fresh: Iterable[Key]) -> list[Key]:
    """The runs that are to be told whether the fleet, as its nodes are now, could ever take them."""
    line, known = world.line, world.fleet.changed
    line.judged = known
    found: list[Key] = []
    for shape in line.shapes.values():
        if shape.judged == known:
            continue
        before, shape.never, shape.judged = shape.never, _never(world, shape.need), known
        if before != shape.never:
            found += (key for key in line.members(shape) if key not in fresh and not _answered(world, key))
    return found


def _promised(world: World) -> Iterator[Key]:
    """Runs that places are kept for, where more are free than when the line was last asked: each by itself."""
    line = world.line
    for key in world.promises.by_run if line.asked != world.fleet.freed else ():
        entry = line.entries.get(key)
        found = find_flavor(world, entry.shape.need) if entry is not None else None
        if entry is not None and found is not None and found[1].free + found[1].withheld >= entry.shape.need.gpus:
            yield key


def _woken(world: World) -> Iterator[Key]:
    """The first runs of each need that free GPUs alone would take, where more are free than when it was last asked."""
    line, known = world.line, world.fleet.freed
    if line.asked == known:
        return
    line.asked = known
    for (_, gpus_per_pod), shapes in line.sizes.items():
        found = find_flavor(world, shapes[0].need)
        if found is None:
            continue
        flavor = found[1]
        most = flavor.pods(gpus_per_pod) + flavor.withheld
        for shape in shapes:
            if shape.need.pods > most:
                break
            if shape.failed != flavor.freed:
                yield from (key for _, key in line.heads(shape))


def _is_out_of_reach(world: World, shape: Shape) -> bool:
    """Whether it is clear, without a trial, that nobody of this need can start."""
    found = find_flavor(world, shape.need)
    return found is None or shape.failed == found[1].freed or found[1].free + found[1].withheld < shape.need.gpus


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
    return said == _never(world, world.line.entries[key].shape.need)


def _never(world: World, need: Need) -> str:
    """Why the present fleet could not take it even if it were empty, in one word; empty: it could."""
    found = find_flavor(world, need)
    if found is None:
        return no_flavor(world, need).reasons[0].code
    return "" if fits_when_empty(world.fleet, found[1], need) else NEVER_FITS


def _flavor(world: World, need: Need) -> str:
    return need.flavor or world.sole_flavor() or ""


def find_flavor(world: World, need: Need) -> tuple[str, FlavorFleet] | None:
    """The flavor meant: the named one, or the only one there is."""
    name = need.flavor or world.sole_flavor()
    flavor = world.fleet.flavors.get(name) if name else None
    return (name, flavor) if name and flavor is not None and flavor.nodes else None


def waits(world: World, run: Run, verdict: NoPlace) -> Decision | None:
    """Stays in line; None where its status says so already."""
    now, status = world.now, run.status
    if run.key in world.promises.by_run and not verdict.never:
        return None  # what it was promised stands in its status
    stands = stand(
        run,
        now,
        phase=Phase.QUEUED,
        reason=verdict.reasons[0].code,
        message=joined(verdict.reasons),
        pending_gpus=world.wanted(run),
        admitted_at=status.admitted_at or now,
        queued_since=status.queued_since or now,
    )
    if stands == run:
        return None
    outcome = Waits(reasons=verdict.reasons, match=verdict.match, never=verdict.never, cover=verdict.cover)
    effects: tuple[Effect, ...] = (SetRunStatus(stands),)
    if status.reason != stands.status.reason:
        effects = (*effects, Emit("Run", run.key, stands.status.reason, stands.status.message, now))
    return Decision(run=run.key, uid=run.uid, outcome=outcome, effects=effects)


def consider(world: World, run: Run, advice: Advice) -> Outcome:
    """What would be decided for this waiting run now, if it stood where it stands: nothing is written."""
    held = holds(world, run, advice)
    if held is not None:
        return held
    said = cover(world, advice, world.ask(run), world.order(run)) if advice.funding else None
    placement = tried(world, run, said, advice)
    if placement is not None:
        return Starts(placement=placement, attempt=run.status.attempt + 1, cover=said)
    why = no_room(world, world.need(run), said)
    return Waits(reasons=why.reasons, match=why.match, never=why.never, cover=why.cover)


def tried(world: World, run: Run, said: Cover | None, advice: Advice) -> Placement | None:
    """Where it would start now, standing where it stands. said: who pays; None: nobody is asked."""
    need = world.need(run)
    found = find_flavor(world, need)
    if found is None or (said is not None and not said.fundable and not said.unfunded):
        return None
    placement = place_widest(world, found[1], need, said, advice)
    return placement or place_beside(world, found[1], need, run, said=said, advice=advice)


def seek(world: World, need: Need, advice: Advice, said: Cover | None = None) -> Placement | NoPlace:
    """Where a gang of this need would go now, or every reason why it cannot. said: who pays; None: nobody is asked."""
    found, placement = find_flavor(world, need), None
    if found is not None and (said is None or said.fundable or said.unfunded):
        placement = place_widest(world, found[1], need, said, advice)
    return placement or no_room(world, need, said)


def no_room(world: World, need: Need, said: Cover | None) -> NoPlace:
    """Every reason why it has to wait."""
    found = find_flavor(world, need)
    if found is None:
        return no_flavor(world, need)
    name, flavor = found
    why = no_place(world, flavor, name, need)
    return beside_quota(why, need, said) if said is not None else why

"""The line is asked: who would be paid for first, then who was admitted first."""

from __future__ import annotations

import heapq
from collections.abc import Collection

from runs_core.decide.advice import Advice
from runs_core.decide.batch import Batch, Clock
from runs_core.decide.flavor import flavor_of
from runs_core.decide.held import find_cover, heard, hold_quota, own_cover
from runs_core.decide.hold import holds
from runs_core.decide.keep import unfundable, waits_for_quota
from runs_core.decide.paying import cover_held, repay, stamped
from runs_core.decide.promise import promise
from runs_core.decide.reach import Reach
from runs_core.decide.settle import Asked, is_unheard_of, settle
from runs_core.decide.slices import is_due
from runs_core.decide.told import is_answered, judged_anew, says_otherwise
from runs_core.decide.woken import first_of, is_out_of_reach, kept_for, woken
from runs_core.values.decision import Starts, Waits
from runs_core.values.funding import Cover
from runs_core.values.meta import Key
from runs_core.world.queues import FUNDABLE, UNFUNDABLE, UNPAYABLE, Entry, Order, Queue, band_of
from runs_core.world.world import World


def ask_line(world: World, advice: Advice, batch: Batch, fresh: dict[Key, float], clock: Clock) -> None:
    """Fresh runs get their answer; of each need that came within reach, the first runs start while they fit.

    fresh: runs that are to be answered, with the seconds spent on their holds.
    """
    if world.line.entries or world.funded:
        Turn(world, advice, batch, clock).take(fresh)
    promises = world.promises
    if not (world.line.entries and world.settings.reservations.max):
        return
    if promises.by_run or (promises.stirred and world.ends.can_tell()):
        promise(world, advice, batch)


class Turn:
    """One pass over the line. queue: who is to be asked, by band and order.

    covered: how many decisions there were when who pays was last found out, and which quota was held: only those change
    that within a pass. behind: who is not paid for, though the first of its queue is. resting: who is to be asked as
    soon as that is not in vain, as it was by `rested`; and so are all in the flavors of `calm` that are paid for and
    have nothing to hear but of room. called: who was to be asked since, and what was known then. at: how far along the
    line it has come.
    """

    def __init__(self, world: World, advice: Advice, batch: Batch, clock: Clock) -> None:
        self.world = world
        self.advice = advice
        self.batch = batch
        self.clock = clock
        self.fresh: dict[Key, float] = {}
        self.queue: list[tuple[int, Order, Key]] = []
        self.asked: set[Key] = set()
        self.behind: set[Key] = set()
        self.covered: dict[Queue, tuple[int, int]] = {}
        self.resting: dict[Key, Entry] = {}
        self.calm: tuple[str, ...] = ()
        self.called: dict[Key, tuple[int, int]] = {}
        self.rested = (-1, -1)
        self.at: tuple[int, Order] = (-1, ())
        self.reach: Reach | None = None
        self.reached = -1

    def take(self, fresh: dict[Key, float]) -> None:
        """Ask whoever has something to hear."""
        world, line = self.world, self.world.line
        line.hearing.calms.roused.clear()
        if world.funded:
            self._hear_of_quota()
        waited_for = fresh or self.queue or self.resting or self.calm
        if not waited_for and (not line.shapes or line.asked == world.fleet.freed):
            return
        self.fresh = {key: spent for key, spent in fresh.items() if key in line.entries and not is_answered(world, key)}
        if line.judged != world.fleet.changed:
            self.fresh.update(dict.fromkeys(judged_anew(world, self.fresh), 0.0))
        for key in self.fresh:
            self._push(key)
        for key in fresh if self.advice.stages else ():
            if key not in self.fresh and key in line.entries and line.entries[key].queue.band == FUNDABLE:
                self._push(key)  # time may have made somebody a victim for it
        for key in (*kept_for(world), *woken(world, self.fresh)):
            self._push(key)
        while self._next():
            band, order, key = heapq.heappop(self.queue)
            if self.resting or self.calm:
                self.at = max(self.at, (band, order))
            if key in self.asked:
                continue
            if (entry := line.entries.get(key)) is not None:
                self._waiting(key, entry, band)
            elif key in world.unpaid.entries:
                self._unpaid(key)

    def _next(self) -> bool:
        """Whether anybody is still to be asked: who rests is, if a decision since has made it worth while."""
        if (self.resting or self.calm) and (self.rested != self._made() or self.world.held.stirred):
            self._look_over()
        return bool(self.queue)

    def _rests(self, entry: Entry) -> bool:
        """Whether all of its kind do that have nothing to hear but of room."""
        return entry.shape.need.flavor in self.calm

    def _is_calm(self, entry: Entry | None) -> bool:
        """Whether it rests for having nothing to hear but of room."""
        return entry is not None and entry.queue.calm is entry and entry.queue.band == FUNDABLE and self._rests(entry)

    def _look_over(self) -> None:
        """Who rested in vain until the line had come past it has been asked."""
        world, entries = self.world, self.world.line.entries
        if world.held.stirred:
            hold_quota(world, self.advice)
        since = self.rested[0]
        self.rested = made = self._made()
        if not (found := self._stirred(more=since < 0 or self._gave_room(since))):
            return
        reach = self._reach()
        for key in found:
            entry = entries.get(key)
            if entry is not None and key not in self.asked:
                if (FUNDABLE, entry.order) < self.at:
                    self.asked.add(key)
                elif not _is_near(entry, reach) and self._in_vain(key, entry):
                    if not self._is_calm(entry):
                        self.resting[key] = entry
                        continue
                else:
                    self.called[key] = made
                    heapq.heappush(self.queue, (FUNDABLE, entry.order, key))
            self.resting.pop(key, None)

    def _gave_room(self, since: int) -> bool:
        """Whether more may be given than before those decisions: who starts, or waits, gives nobody room."""
        decisions = self.batch.decisions
        return any(not isinstance(one.outcome, (Starts, Waits)) for one in decisions[since:])

    def _stirred(self, *, more: bool) -> Collection[Key]:
        """Who rests, but for those that have nothing to hear but of room, and are still far from that.

        more: whether there may be more room than when that was last asked.
        """
        calms, resting, called = self.world.line.hearing.calms, self.resting, self.called
        if calms.roused:
            roused, calms.roused = calms.roused, {}
            resting |= {key: one for key, one in roused.items() if key not in called and self._rests(one)}
        if self.at[0] > FUNDABLE:
            return list(resting)
        if more:
            reach = self._reach()
            found = {key for key, one in resting.items() if one.queue.calm is not one or _is_near(one, reach)}
            for flavor in self.calm:
                found |= set(calms.near(flavor, reach)).difference(self.asked, called)
        else:
            found = {key for key, one in resting.items() if one.queue.calm is not one}
        for key in (*self.fresh, *self.world.promises.by_run):
            if key in resting or (key not in called and self._is_calm(self.world.line.entries.get(key))):
                found.add(key)
        return found

    def _made(self) -> tuple[int, int]:
        """Only decisions and held quota change within a pass what is found out of who waits."""
        return len(self.batch.decisions), self.world.held.version

    def _push(self, key: Key) -> None:
        order, _, queue = self.world.line.entries[key]
        heapq.heappush(self.queue, (queue.band, order, key))

    # -- who pays ---------------------------------------------------------------------------------------------------

    def _hear_of_quota(self) -> None:
        """Envelopes may give more than when somebody last looked: to those in line, and to those that run unpaid."""
        world = self.world
        world.stand_unpaid()
        hold_quota(world, self.advice)
        told, same = world.line.give()
        for (_, first), queue in told:
            heard(world, queue)
            if not queue.hopeless:
                self._cover(queue)
            if queue.band == FUNDABLE or says_otherwise(world, first, queue.band):
                self._push(first)
        for queue in same:
            heard(world, queue)
            self._rest(queue)
        if self.advice.stages:
            self._hear_of_slack()
        for head, queue in world.unpaid.give()[0]:
            if not queue.hopeless:
                heapq.heappush(self.queue, (FUNDABLE, *head))

    def _hear_of_slack(self) -> None:
        """Where more may be taken back than before, or less is missing, everybody who is paid for is asked."""
        world, line = self.world, self.world.line
        is_freed = line.asked != world.fleet.freed
        if not (line.slack or is_freed):
            return
        more, line.slack = line.slack, set()
        if is_freed:
            flavors = world.fleet.flavors.items()
            more |= {name for name, flavor in flavors if flavor.nodes and world.slack.ripe(name, world.now)}
        if not more:
            return
        calms, sole = line.hearing.calms, world.sole_flavor() or ""
        self.calm = tuple(flavor for flavor in calms.flavors() if (flavor or sole) in more)
        for queue in tuple(calms.restless):
            if queue.band == FUNDABLE and flavor_of(world, queue.shape.need) in more:
                self._rest(queue)

    def _rest(self, queue: Queue) -> None:
        """The first of that queue is to be asked as soon as that is not in vain."""
        entries = self.world.line.entries
        if queue.calm is not None:
            self.resting[queue.heap[0][1]] = queue.calm
        elif (first := self.world.line.first(queue)) is not None:
            self.resting[first[1]] = entries[first[1]]

    def _cover(self, queue: Queue) -> None:
        """Find out who pays, unless that is known: whoever started since may have taken what was offered before."""
        made = self._made()
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
        if not found.fundable or is_unheard_of(world.unpaid, found):
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
        queue = entry.queue
        if queue.calm is entry and key not in self.fresh and key not in self.world.promises.by_run:
            return self._reach()[queue.at] < entry.shape.need.pods  # until it is roused nothing else can be otherwise
        return self._is_without_news(key, entry)

    def _is_without_news(self, key: Key, entry: Entry) -> bool:
        world, queue, need = self.world, entry.queue, entry.shape.need
        if queue.stale or key in self.fresh or queue.band == UNPAYABLE or need.demand is not None:
            return False
        if queue.band == FUNDABLE:
            if not world.line.hearing.stands(queue) or (world.promises.by_run and is_due(world, key)):
                return False
        elif key in world.promises.by_run:
            return False
        if says_otherwise(world, key, queue.band):
            return False
        if queue.calm is None and queue.heap[0][1] == key:
            world.line.hearing.calm(queue, key, entry)
        return not self._in_reach(entry)

    def _in_reach(self, entry: Entry) -> bool:
        """Whether it might be given room, if all were taken back that may be for it."""
        queue, need = entry.queue, entry.shape.need
        if need.demand is not None:
            return True
        return self._reach().holds(need, queue.displacing if queue.band == FUNDABLE else None)

    def _reach(self) -> Reach:
        """As it is since the last decision."""
        decided = len(self.batch.decisions)
        if self.reach is None or self.reached != decided:
            self.reach, self.reached = Reach(self.world), decided
        return self.reach

    def _waiting(self, key: Key, entry: Entry, band: int) -> None:
        world, queue = self.world, entry.queue
        if world.funded:
            if world.held.stirred:
                hold_quota(world, self.advice)
            if (key not in self.called or self.called[key] != self._made()) and self._in_vain(key, entry):
                self.asked.add(key)
                return
            if queue.stale or band == FUNDABLE:
                self._cover(queue)
        if queue.band != band and key not in self.behind:
            self._push(key)
            return
        self.asked.add(key)
        if (
            world.held.by_run
            and band == FUNDABLE
            and (said := own_cover(world, entry, self.advice))
            and not said.fundable
        ):
            self._behind(key, entry, said)
            return
        explain = key in self.fresh or (world.funded and says_otherwise(world, key, band))
        promised = key in world.promises.by_run
        if not (explain or promised) and is_out_of_reach(world, entry.shape) and not self._reclaims(key, entry):
            # what was free when it was woken has been taken since
            return
        asked = Asked(key, entry, self.fresh.get(key, 0.0), explain, lambda: self._reclaims(key, entry))
        decision = settle(self.batch, asked, self.advice, self.clock)
        if decision is None:
            return
        if isinstance(decision.outcome, Starts) and (run := world.run(key)) is not None:
            world.wake_at(world.now + run.spec.start_timeout, key)  # no pod may ever say anything: nothing else would
        if entry.shape.size and not isinstance(decision.outcome, Waits):
            for _, following in first_of(world, entry.shape):
                self._push(following)

    def _reclaims(self, key: Key, entry: Entry) -> bool:
        """Whether GPUs may be taken back for it where it finds no room: looked into only then."""
        world = self.world
        if entry.queue.band != FUNDABLE or not self.advice.stages:
            return False
        return is_due(world, key) or (
            world.slack.ripe(flavor_of(world, entry.shape.need), world.now) and self._in_reach(entry)
        )

    def _behind(self, key: Key, entry: Entry, said: Cover) -> None:
        """The first of its queue is paid for, and by what is held for those before it this one is not.

        If that is news to it, or it may start unpaid, it is asked once more, among those who are not paid for.
        """
        known = self.world.promises.by_run.get(key)
        if known is not None and not waits_for_quota(self.world, known):
            self.batch.take(unfundable(self.world, known), {})
        band = band_of(said)
        if key in self.fresh or band == UNFUNDABLE or says_otherwise(self.world, key, band):
            self.asked.discard(key)
            self.behind.add(key)
            heapq.heappush(self.queue, (band, entry.order, key))


def _is_near(entry: Entry, reach: Reach) -> bool:
    """Whether it has nothing to hear but of room, and might be given some."""
    queue = entry.queue
    return queue.calm is entry and reach[queue.at] >= entry.shape.need.pods

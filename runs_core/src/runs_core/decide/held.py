"""Nobody starves behind their own later runs: what is held for whom, found out anew where it may be otherwise.

The rule is step 6 of "The decision for one waiting run" in the semantics: who is reserved holds the quota that covers
it, and who has waited unfunded longer than patience what cover would give it, were its owner's own envelopes empty.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import attrs

from runs_core.decide.advice import Advice
from runs_core.decide.cover import filled, firm, offered
from runs_core.decide.place import fits_when_empty
from runs_core.values.classes import Tier
from runs_core.values.funding import Cover, Share
from runs_core.values.lease import Payer
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.reservation import ReservationPhase
from runs_core.world.held import Hold
from runs_core.world.queues import FUNDABLE, Entry, Head, Queue
from runs_core.world.world import World

CLOCK = Key("", "held")
"""No run: what is woken when somebody's patience is over."""


def find_cover(world: World, advice: Advice, queue: Queue) -> None:
    """Who pays for the first run of a queue."""
    ask, first = queue.ask, world.line.first(queue)
    assert ask is not None
    queue.offers, queue.seen = offered(world, advice, ask), first[0] if first is not None else ()
    left = world.held.kept_back(queue.offers, ask, queue.seen)
    before, found = queue.cover, filled(world, left, ask)
    if _leans_on_others(queue):
        queue.empty = None
    changed = before is None or before.shares != found.shares or (queue.empty is None and not found.fundable)
    if changed and (not found.fundable or world.promises.by_run or world.held.holds(ask.owner)):
        world.held.stir(ask)  # else nobody of that owner held anything, and who is paid for does not
    world.line.covered(queue, found, firm(left, found, whole=ask.demand is None))


def renew_cover(world: World, advice: Advice, queue: Queue) -> None:
    """Who pays for its first run, if that is not known any more."""
    if queue.ask is not None and (queue.cover is None or not world.line.hearing.stands(queue)):
        find_cover(world, advice, queue)


def heard(world: World, queue: Queue) -> None:
    """An envelope may give more to it: so it may also, were its owner's own envelopes empty."""
    if queue.empty is None or not _leans_on_others(queue):
        return
    if queue.may is not None and queue.ask is not None:
        own = {look.payer: look.had for look in queue.empty.looks if look.tier is Tier.OWN}
        if not queue.could({**queue.may, **own}):
            return
    queue.empty = None
    world.held.stir(queue.ask)


def _leans_on_others(queue: Queue) -> bool:
    """Whether what cover would give it, were those envelopes empty, depends on what others have left."""
    known = queue.empty
    return known is not None and (not known.shares or any(share.tier is not Tier.OWN for share in known.shares))


def own_cover(world: World, entry: Entry, advice: Advice) -> Cover | None:
    """Who pays for this very run, by the last answer to its queue: before those behind the first more may be held."""
    queue, ask = entry.queue, entry.queue.ask
    if ask is None or queue.offers is None or not world.held.by_run or entry.order == queue.seen:
        return queue.cover
    if world.held.ahead(entry.order) == world.held.ahead(queue.seen):
        return queue.cover
    if queue.dated:
        find_cover(world, advice, queue)
    return filled(world, world.held.kept_back(queue.offers, ask, entry.order), ask)


def hold_quota(world: World, advice: Advice) -> None:
    """Bring what is held in step with who is reserved, who waits, and for how long."""
    held, line = world.held, world.line
    if held.judged != world.fleet.changed:
        held.judged = world.fleet.changed
        held.stirred.update(line.of_owner, (hold.owner for hold in held.by_run.values()))
    if held.dues and held.dues[0][0] <= world.now:
        held.pass_to(world.now)
    if held.stirred:
        for owner in sorted(held.stirred):
            _hold_for(world, owner, advice)
        held.stirred.clear()
        held.outdated.clear()


def wane(world: World) -> None:
    """Time alone may have taken what would cover somebody: a window has closed, or hours are used up."""
    world.held.stirred |= world.held.waning
    for key in world.promises.by_run:
        entry = world.line.entries.get(key)
        if entry is not None and entry.queue.limits is None:
            world.line.hear(key)


def _hold_for(world: World, owner: str, advice: Advice) -> None:
    """The runs of one owner, first in line first: what an earlier one holds, a later one is not covered from."""
    held, before = world.held, set(world.held.of(owner))
    held.due.pop(owner, None)
    if waning := owner in held.waning:
        held.waning.remove(owner)
    if waning or owner in held.outdated:
        for queue in world.line.of_owner.get(owner, ()):
            if waning or _leans_on_others(queue):
                queue.empty = None
    for key, entry, shares in _holders(world, owner, advice):
        before.discard(key)
        _put(world, owner, key, Hold(entry.order, key, owner, shares))
    for key in sorted(before):
        _put(world, owner, key, None)
    if (due := held.due.get(owner)) is not None:
        world.wake_at(due, CLOCK)


def _put(world: World, owner: str, key: Key, hold: Hold | None) -> None:
    for payer in world.held.replace(key, hold):
        for line in (world.line, world.unpaid):
            line.hearing.hear_of(payer, owner)


def _holders(world: World, owner: str, advice: Advice) -> Iterator[tuple[Key, Entry, tuple[Share, ...]]]:
    """Who holds something, in line order; each is taken up before the next is asked for."""
    line = world.line
    walks = [_Walk(world, owner, queue) for queue in line.of_owner.get(owner, ())]
    front = [(head, at) for at, walk in enumerate(walks) if (head := next(walk.heads, None)) is not None]
    for key, reservation in world.promises.by_run.items():
        entry = line.entries.get(key)
        if entry is not None and reservation.status.phase is ReservationPhase.PENDING and _asks(entry.queue, owner):
            front.append(((entry.order, key), -1))
    heapq.heapify(front)
    done: Key | None = None
    while front:
        (_, key), at = heapq.heappop(front)
        entry = line.entries[key]
        shares = _covers(world, entry, advice) if at < 0 else ()
        if at >= 0:
            shares = walks[at].look(key, entry, advice)
            if walks[at].goes_on and (head := next(walks[at].heads, None)) is not None:
                heapq.heappush(front, (head, at))
        if shares and key != done:
            done = key
            yield key, entry, shares


def _asks(queue: Queue, owner: str) -> bool:
    return queue.ask is not None and queue.ask.owner == owner


def _covers(world: World, entry: Entry, advice: Advice) -> tuple[Share, ...]:
    """Of a reserved run: what covers it."""
    renew_cover(world, advice, entry.queue)
    said = own_cover(world, entry, advice)
    return said.of(entry.shape.need.gpus).shares if said is not None and said.fundable else ()


class _Walk:
    """Along a queue, as long as those behind may hold more than nothing. goes_on: whether they may."""

    def __init__(self, world: World, owner: str, queue: Queue) -> None:
        self._world = world
        self._owner = owner
        self._patience = world.settings.patience.holds_after(owner)
        self._holding = 0
        self.queue = queue
        self.heads: Iterator[Head] = world.line.in_order(queue)
        self.goes_on = True

    def look(self, key: Key, entry: Entry, advice: Advice) -> tuple[Share, ...]:
        """What this one holds, if nobody pays for it and it has waited for so long."""
        world, run = self._world, self._world.run(key)
        assert run is not None
        since = run.status.queued_since or world.now
        if since + self._patience > world.now:
            admitted = run.status.admitted_at or world.now
            self.goes_on = world.rank(run) is not None or admitted + self._patience <= world.now
            world.held.expect(self._owner, (since if self.goes_on else admitted) + self._patience)
            return ()
        if self.queue.cover is None:
            find_cover(world, advice, self.queue)
        said = own_cover(world, entry, advice)
        if said is None or said.fundable:
            self.goes_on = self.queue.band != FUNDABLE
            return ()
        found = _when_empty(world, self.queue, advice)
        if not found.shares or not _could_place(world, entry.shape.need):
            self.goes_on = False
            return ()
        self._holding += 1
        self.goes_on = any(self._holding * share.gpus < had for share, had in _sizes(found))
        return found.shares


def _when_empty(world: World, queue: Queue, advice: Advice) -> Cover:
    """What cover would give, were its owner's own envelopes empty."""
    if queue.empty is None:
        assert queue.ask is not None
        ask = attrs.evolve(queue.ask, empty=True)
        offers = offered(world, advice, ask)
        queue.empty = filled(world, offers, ask)
        if ask.owner is not None and any(one.tier is Tier.OWN and not one.told for one in offers.offers):
            world.held.waning.add(ask.owner)
    return queue.empty


def _sizes(found: Cover) -> Iterator[tuple[Share, int]]:
    """Each share, and all that its payer has."""
    had: dict[Payer, int] = {}
    for look in found.looks:
        had[look.payer] = max(look.had, had.get(look.payer, 0))
    for share in found.shares:
        yield share, had[share.payer]


def _could_place(world: World, need: Need) -> bool:
    """Whether the present fleet, empty, could."""
    name = need.flavor or world.sole_flavor()
    fleet = world.fleet.flavors.get(name) if name else None
    return fleet is not None and fits_when_empty(world.fleet, fleet, need)

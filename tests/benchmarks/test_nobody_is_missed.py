"""That candidates are asked for only where they could help keeps nobody from GPUs that could be taken back for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

import pytest
from benchmarks.plugged import UNPROMISED, Owners, a_player, plenty, scarce
from benchmarks.workload import Player

from runs_core.decide import answer, held, resolve, waiting
from runs_core.decide import reclaim as taking
from runs_core.decide.cover import cover, firm
from runs_core.decide.flavor import find_flavor
from runs_core.decide.reach import Reach, might_fit
from runs_core.values.lease import Payer
from runs_core.values.meta import Key
from runs_core.values.need import Need
from runs_core.values.record import Record
from runs_core.world.flavors import FlavorFleet
from runs_core.world.hearing import Firm, Hearing
from runs_core.world.queues import FUNDABLE, Entry, Queue
from runs_core.world.slack import Slacks
from runs_core.world.world import World

Bound = Callable[..., bool]
Gone = Mapping[str, int]
Broken = Callable[..., Collection[Key]]


def missed(player: Player) -> tuple[list[Key], int]:
    """Who is paid for and waits though a taking-back could be worked out; and how many were looked at."""
    world, advice = player.loop.world, player.loop.advice
    found, looked = [], 0
    for queue in [queue for shape in world.line.shapes.values() for queue in shape.queues.values()]:
        first, need = world.line.first(queue), queue.shape.need
        flavor = find_flavor(world, need)
        if queue.band != FUNDABLE or first is None or flavor is None or queue.ask is None:
            continue
        run, said = world.run(first[1]), cover(world, advice, queue.ask, first[0])
        if run is None or not said.fundable:
            continue
        looked += 1
        if taking.reclaim(world, taking.Claimant(run=run, need=need, fleet=flavor[1], cover=said), advice):
            found.append(run.key)
    return found, looked


REAL = {name: getattr(taking, name) for name in ("_might", "_fits_without")}


def history(monkeypatch: pytest.MonkeyPatch, **bounds: Bound) -> tuple[list[Key], int, int]:
    """Two hours of a busy fleet: who was missed at its rests, how many were looked at, how often GPUs were taken.

    bounds: other than the real ones.
    """
    player = a_player(100, plugins=True, many=20)
    found: list[Key] = []
    looked = 0
    for _ in range(110):
        for name, bound in (REAL | bounds).items():
            monkeypatch.setattr(taking, name, bound)
        player.play(1)
        for name in REAL:
            monkeypatch.setattr(taking, name, lambda *_: True)
        late, some = missed(player)
        found, looked = found + late, looked + some
    return found, looked, player.kinds["Reclaims"]


def test_nobody_waits_who_could_be_given_what_nobody_pays_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found, looked, taken = history(monkeypatch)
    assert found == []
    assert looked > 20
    assert taken > 10


@pytest.mark.parametrize("name", sorted(REAL))
def test_a_bound_that_is_too_narrow_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, _ = history(monkeypatch, **{name: lambda *_: False})
    assert found


def test_a_scope_is_worked_out_only_for_who_would_find_room(monkeypatch: pytest.MonkeyPatch) -> None:
    worked_out = []

    def counting(*asked: object) -> object:
        worked_out.append(asked)
        return resolve.work_out(*asked)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(taking, "work_out", counting)
    player = a_player(100, plugins=True, many=20)
    player.play(150)
    assert player.kinds["Reclaims"] > 30
    assert len(worked_out) < 1.5 * player.kinds["Reclaims"]


# -- who finds no room, counted by GPUs -------------------------------------------------------------------------------


def might_fit_everywhere(monkeypatch: pytest.MonkeyPatch, instead: Bound) -> None:
    """Where it goes, and whether to take back for it, is looked into for whom that says."""
    for module in (answer, taking):
        monkeypatch.setattr(module, "might_fit", instead)


def test_to_look_for_room_for_everybody_changes_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    spared: list[bool] = []

    def noted(world: World, fleet: FlavorFleet, need: Need, kept: Gone, *those: Sequence[Gone]) -> bool:
        spared.append(not might_fit(world, fleet, need, kept, *those))
        return not spared[-1]

    might_fit_everywhere(monkeypatch, noted)
    found = records()
    assert sum(spared) > 20
    might_fit_everywhere(monkeypatch, lambda *_: True)
    assert records() == found


def nothing_kept_is_free(world: World, fleet: FlavorFleet, need: Need, _: object, *rest: Sequence[Gone]) -> bool:
    """As if it had to leave all that is promised."""
    return might_fit(world, fleet, need, {}, *rest)


def nobody_goes(world: World, fleet: FlavorFleet, need: Need, kept: Mapping[str, int], *_: object) -> bool:
    """As if nothing could be taken back."""
    return might_fit(world, fleet, need, kept)


@pytest.mark.parametrize("broken", [nothing_kept_is_free, nobody_goes])
def test_room_that_is_counted_too_low_is_found_out(broken: Bound, monkeypatch: pytest.MonkeyPatch) -> None:
    found = records()
    might_fit_everywhere(monkeypatch, broken)
    assert records() != found


def test_candidates_that_are_taken_to_hold_nothing_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = records()
    monkeypatch.setattr(taking, "gpus_of", lambda _: {})
    assert records() != found


# -- who is asked in vain ---------------------------------------------------------------------------------------------


def firm_but(**otherwise: object) -> Callable[..., Firm]:
    """How firm an answer is, but for that."""
    return lambda *asked, **how: firm(*asked, **how)._replace(**otherwise)  # type: ignore[arg-type]  # as the test says


def records(quotas: Owners = scarce) -> list[Record]:
    """Of the same hours of a busy fleet each time."""
    player, told = a_player(60, plugins=True, many=10, quotas=quotas), list[Record]()
    player.loop.tell(told.append)
    player.play(300)
    return told


def test_to_ask_everybody_in_vain_changes_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    in_vain, spared = waiting.Turn._in_vain, list[bool]()

    def noted(turn: waiting.Turn, key: Key, entry: Entry) -> bool:
        spared.append(in_vain(turn, key, entry))
        return spared[-1]

    monkeypatch.setattr(waiting.Turn, "_in_vain", noted)
    found = records()
    assert sum(spared) > 50
    monkeypatch.setattr(waiting.Turn, "_in_vain", lambda *_: False)
    assert records() == found


def test_room_is_counted_once_from_one_decision_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    real, counted = waiting.Turn._reach, defaultdict[tuple[waiting.Turn, int], list[Reach]](list)

    def noted(turn: waiting.Turn) -> Reach:
        counted[turn, len(turn.batch.decisions)].append(found := real(turn))
        return found

    monkeypatch.setattr(waiting.Turn, "_reach", noted)
    assert records()
    assert sum(len(found) > 1 for found in counted.values()) > 20
    assert all(found[0] is one for found in counted.values() for one in found)


def test_a_reach_that_is_too_short_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = records()
    monkeypatch.setattr(Reach, "holds", lambda *_: False)
    assert records() != found


def test_who_is_taken_to_be_paid_for_still_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = records()
    monkeypatch.setattr(Hearing, "stands", lambda _, queue: not queue.stale)
    assert records() != found


def test_what_may_be_taken_back_is_counted_anew_whenever_it_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    found = records()
    monkeypatch.setattr(Slacks, "stirred", property(lambda _: set(), lambda *_: None), raising=False)
    assert records() != found


def test_a_claim_that_is_taken_to_displace_nobody_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = records()
    monkeypatch.setattr(held, "firm", firm_but(displacing=frozenset()))
    assert records() != found


def test_to_ask_again_whom_an_envelope_pays_already_changes_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [records(scarce), records(plenty)]
    monkeypatch.setattr(held, "firm", firm_but(nearer=None))
    assert [records(scarce), records(plenty)] == found


def test_who_is_taken_to_be_paid_by_the_same_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = records()
    monkeypatch.setattr(held, "firm", firm_but(nearer=frozenset()))
    assert records() != found


def test_who_rests_and_is_looked_at_once_only_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found, look_over = records(plenty), waiting.Turn._look_over

    def once(turn: waiting.Turn) -> None:
        if turn.rested == (-1, -1):
            look_over(turn)

    monkeypatch.setattr(waiting.Turn, "_look_over", once)
    assert records(plenty) != found


def test_who_rests_and_is_asked_out_of_line_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found, look_over = records(plenty), waiting.Turn._look_over

    def from_the_start(turn: waiting.Turn) -> None:
        turn.at = (-1, ())
        look_over(turn)

    monkeypatch.setattr(waiting.Turn, "_look_over", from_the_start)
    assert records(plenty) != found


def outcomes() -> list[object]:
    """Of the same records, without what is told of why: that is of when who pays was last found out."""
    return [(one.at, one.run, type(one.outcome), one.phase, one.width) for one in records()]


def test_to_ask_those_whose_envelopes_cannot_pay_changes_no_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    could, spared = Queue.could, list[bool]()

    def noted(queue: Queue, may: Mapping[Payer, int]) -> bool:
        spared.append(not could(queue, may))
        return not spared[-1]

    monkeypatch.setattr(Queue, "could", noted)
    found = outcomes()
    assert sum(spared) > 1000
    monkeypatch.setattr(Queue, "could", lambda *_: True)
    assert outcomes() == found


def test_who_is_given_up_while_its_envelopes_may_pay_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = outcomes()
    monkeypatch.setattr(Queue, "could", lambda *_: False)
    assert outcomes() != found


# -- who rests and is not looked at -----------------------------------------------------------------------------------


def at_rest(turn: waiting.Turn) -> set[Key]:
    """All who rest: one by one, and as those of their flavor do that have nothing to hear but of room."""
    calm = [key for key, entry in turn.world.line.entries.items() if turn._is_calm(entry)]
    return {*turn.resting, *calm} - turn.asked - turn.called.keys()


def overlooked(monkeypatch: pytest.MonkeyPatch, *, broken: Broken | None = None) -> tuple[list[Key], int]:
    """Who rested and was not looked at, though there was something to hear; and how many were not looked at."""
    stirred, found, spared = waiting.Turn._stirred, list[Key](), list[int]()

    def noted(turn: waiting.Turn, *, more: bool) -> Collection[Key]:
        looked_at = (broken or stirred)(turn, more=more)
        left = at_rest(turn) - set(looked_at)
        spared.append(len(left))
        entries = turn.world.line.entries
        for key in left:
            entry = entries.get(key)
            if entry is None or not turn._is_without_news(key, entry):
                found.append(key)
        return looked_at

    monkeypatch.setattr(waiting.Turn, "_stirred", noted)
    for quotas, settings in ((plenty, UNPROMISED), (plenty, None), (scarce, None)):
        player = a_player(60, plugins=True, many=10, quotas=quotas, settings=settings)
        player.play(200)
    monkeypatch.setattr(waiting.Turn, "_stirred", stirred)
    return found, sum(spared)


def test_who_rests_and_is_not_looked_at_has_nothing_to_hear(monkeypatch: pytest.MonkeyPatch) -> None:
    found, spared = overlooked(monkeypatch)
    assert found == []
    assert spared > 1000


def in_reach_of_all(turn: waiting.Turn, *, more: bool) -> Collection[Key]:
    """Of room nobody hears."""
    calms = turn.world.line.hearing.calms
    near = {key for flavor in turn.calm for key in calms.near(flavor, turn._reach())}
    return [key for key in Real.stirred(turn, more=more) if key not in near]


def promised_nothing(turn: waiting.Turn, *, more: bool) -> Collection[Key]:
    """As if nobody had a promise, or were fresh."""
    theirs = {*turn.fresh, *turn.world.promises.by_run}
    return [key for key in Real.stirred(turn, more=more) if key not in theirs]


def room_once(turn: waiting.Turn, *, more: bool) -> Collection[Key]:
    """As if no decision gave anybody room."""
    return Real.stirred(turn, more=more and turn.rested[0] <= 0)


class Real:
    """Who is looked at, as it is."""

    stirred = staticmethod(waiting.Turn._stirred)


@pytest.mark.parametrize("broken", [in_reach_of_all, promised_nothing, room_once])
def test_whom_a_look_that_is_left_out_misses_is_found_out(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    assert overlooked(monkeypatch, broken=broken)[0]


def test_who_stays_calm_though_envelopes_give_less_or_are_held_otherwise_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calm = Hearing.calm

    def unbounded(hearing: Hearing, queue: Queue, key: Key, first: Entry) -> None:
        calm(hearing, queue, key, first)
        hearing.least.clear()

    def undoubted(queue: Queue) -> None:
        queue.stale = True

    for cls, name, broken in ((Hearing, "calm", unbounded), (Queue, "doubt", undoubted)):
        with monkeypatch.context() as patch:
            patch.setattr(cls, name, broken)
            assert overlooked(patch)[0]


def test_nobody_is_calm_whose_place_or_payers_are_others() -> None:
    world = _played().loop.world
    line = world.line
    calm = [queue for shape in line.shapes.values() for queue in shape.queues.values() if queue.calm is not None]
    assert len(calm) > 4
    left, answered, moved, joined, other, *_ = calm
    line.replace(left.heap[0][1], None, None)
    assert answered.cover is not None
    line.covered(answered, answered.cover)
    order, key = moved.heap[0]
    line.replace(key, order, moved.shape.need, moved.ask)
    (*earlier, namespace, _), _ = joined.heap[0]
    line.replace(Key(str(namespace), "0"), (*earlier, str(namespace), "0"), joined.shape.need, joined.ask)
    assert [left.calm, answered.calm, moved.calm, joined.calm] == [None, None, None, None]
    assert other.calm is not None


def _played() -> Player:
    """A fleet at which many wait."""
    player = a_player(60, plugins=True, many=10, quotas=plenty, settings=UNPROMISED)
    player.play(150)
    return player

from __future__ import annotations

import attrs

from runs_core.testing.builders import a_world
from runs_core.testing.resolutions import NONCES, resolutions
from runs_core.values.change import ChainSeen, Change, NoncesSeen, ResolutionGone, ResolutionSeen
from runs_core.values.nonces import Chain, Nonces, commitment_of
from runs_core.values.resolution import ResolutionPhase, ResolutionStatus
from runs_core.world.oracle import snapshot

FIRST, SECOND, THIRD = resolutions(3)


def test_resolutions_are_found_by_name_and_listed_by_number() -> None:
    world = a_world()
    for one in (THIRD, FIRST, SECOND):
        world.apply(ResolutionSeen(one))
    assert list(world.resolutions()) == [FIRST, SECOND, THIRD]
    assert world.resolution(SECOND.name) == SECOND


def test_the_last_resolution_binds_the_next_nonce_though_records_go() -> None:
    world = a_world()
    world.apply(ChainSeen(Chain(number=1, commitment="x")))
    for one in (THIRD, FIRST):
        world.apply(ResolutionSeen(one))
    last = Chain(number=THIRD.spec.number, commitment=THIRD.spec.next_commitment)
    assert world.chain == last
    world.apply(ChainSeen(last))
    world.apply(ResolutionGone(THIRD.name))
    assert world.chain == last


def test_every_change_has_its_inverse() -> None:
    world = a_world()
    world.apply(ResolutionSeen(FIRST))
    over = attrs.evolve(FIRST, status=ResolutionStatus(phase=ResolutionPhase.RELEASED))
    changes = (
        ResolutionSeen(SECOND),
        ResolutionSeen(over),
        ResolutionGone(FIRST.name),
        ChainSeen(Chain(number=9, commitment="y")),
        NoncesSeen(NONCES),
    )
    for change in changes:
        before = snapshot(world)
        inverse = world.apply(change)
        assert inverse is not None
        assert snapshot(world) != before
        world.revert(inverse)
        assert snapshot(world) == before
        with world.supposing(changes):
            assert world.nonces == NONCES
        assert snapshot(world) == before


def test_what_is_known_already_changes_nothing() -> None:
    world = a_world()
    world.apply(ResolutionSeen(FIRST))
    assert world.apply(ResolutionSeen(FIRST)) is None
    assert world.apply(ResolutionGone(SECOND.name)) is None
    assert world.apply(ChainSeen(Chain())) is None
    assert world.apply(NoncesSeen(None)) is None


def test_whoever_is_cut_and_whoever_gets_it_are_looked_at() -> None:
    world = a_world()
    world.apply(ResolutionSeen(FIRST))
    assert FIRST.spec.beneficiary is not None
    assert world.touched == {FIRST.spec.beneficiary.run, *(cut.run for cut in FIRST.spec.cuts)}


def test_a_nonce_follows_from_the_root_and_its_number_and_tells_nothing_of_them() -> None:
    again = Nonces(root=NONCES.root)
    assert [NONCES.nonce(at) for at in range(5)] == [again.nonce(at) for at in range(5)]
    assert len({NONCES.nonce(at) for at in range(100)}) == 100
    assert NONCES.commitment(3) == commitment_of(NONCES.nonce(3))
    assert NONCES.root not in repr(NONCES)


def test_an_index_hears_of_resolutions_and_never_of_nonces() -> None:
    class Heard:
        def __init__(self) -> None:
            self.changes: list[Change] = []

        def apply(self, change: Change) -> tuple[()]:
            self.changes.append(change)
            return ()

    world, early, late = a_world(), Heard(), Heard()
    world.attach(Heard, early)
    for change in (NoncesSeen(NONCES), ResolutionSeen(FIRST), ChainSeen(Chain(number=1))):
        world.apply(change)
    world.attach(Heard, late)
    for heard in (early, late):
        kinds = {type(change) for change in heard.changes}
        assert ResolutionSeen in kinds
        assert not kinds & {NoncesSeen, ChainSeen}

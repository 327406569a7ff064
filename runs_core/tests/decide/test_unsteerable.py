"""Nobody can foresee a draw, and nobody can choose one: not a tenant who sees all that is public, nor an operator."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256

import attrs
import pytest

from runs_core.decide.draw import Stream, seed_text
from runs_core.decide.resolve import Question, resolution_of, work_out
from runs_core.decide.verify import verify
from runs_core.schema.evidence import spec_digest
from runs_core.testing.resolutions import AMPLE, asked, bound_to
from runs_core.values.lease import NodeSlots
from runs_core.values.nonces import Chain, Nonces, commitment_of, played
from runs_core.values.resolution import Candidate, Pool, Resolution, ScopeNode, Wanted

ROUNDS = 3_000
OWNERS = {"org:a": (1, 1, 1, 1), "org:b": (4, 2), "org:c": (6,), None: (2, 2)}
NEED = Wanted(flavor="h100", gpus=1)
Guess = Callable[[Question, str], str]


def candidates() -> tuple[Candidate, ...]:
    found: list[Candidate] = []
    for owner, widths in OWNERS.items():
        for width in widths:
            slots = (NodeSlots(node=f"n{len(found)}", ordinals=tuple(range(width))),)
            name = f"r{len(found)}"
            found.append(Candidate(namespace="lab", name=name, uid=name, owner=owner, gpus=width, slots=slots))
    return tuple(found)


UNITS = candidates()
NODES = tuple(
    ScopeNode(name=slots.node, domain="d", held=slots.ordinals, left=AMPLE) for u in UNITS for slots in u.slots
)
TOTAL = sum(unit.gpus for unit in UNITS)


def drawn(seed: str, missing: int = 8, made: type[Stream] = Stream) -> str:
    """The first unit that goes. missing: so many that none is too wide."""
    taken = work_out(made(seed), missing, [Pool(stage="lottery", drawn=True, candidates=UNITS)], lambda _: True)
    assert taken is not None
    return taken.taking.taken[0].name


def question(number: int, nonces: Nonces, head: int = 0) -> Question:
    chain = Chain(number=number - 1, commitment=nonces.commitment(number))
    return attrs.evolve(asked(number, NEED, NODES, head or 7 * number, chain), nonces=nonces)


def share(name: str) -> float:
    """How likely it is drawn first: its owner's part of the GPUs, shared equally among its units."""
    unit = next(unit for unit in UNITS if unit.name == name)
    his = [other for other in UNITS if other.lot == unit.lot]
    return sum(other.gpus for other in his) / TOTAL / len(his)


def deviation(hits: int, chance: float, rounds: int = ROUNDS) -> float:
    """In standard deviations; beyond 4.5 once in 150,000 times."""
    return (hits - rounds * chance) / math.sqrt(rounds * chance * (1 - chance))


# -- how often --------------------------------------------------------------------------------------------------------


def chi_square(made: type[Stream] = Stream) -> float:
    nonces = played("statistics")
    seen = Counter(drawn(question(number, nonces).seed, made=made) for number in range(1, ROUNDS + 1))
    return sum((seen[unit.name] - ROUNDS * share(unit.name)) ** 2 / (ROUNDS * share(unit.name)) for unit in UNITS)


LIMIT = 31.8
"""With eight degrees of freedom, a fair draw exceeds this once in ten thousand times."""


def test_resolutions_cut_owners_by_their_gpus_and_their_units_alike() -> None:
    assert chi_square() < LIMIT


class Biased(Stream):
    """Takes the remainder of a small number, and passes none over."""

    def below(self, bound: int) -> int:
        return super().below(1 << 4) % bound


def test_a_stream_with_a_bias_is_noticed() -> None:
    assert chi_square(Biased) > LIMIT


# -- a tenant ---------------------------------------------------------------------------------------------------------


def public_seeds(asking: Question, before: str) -> Sequence[str]:
    """What can be tried with all that is public before the draw. before: the nonce that the last one revealed."""
    number, to = asking.number, asking.beneficiary
    nonces = ("", "0" * 64, asking.chain.commitment, before, sha256(before.encode()).hexdigest())
    assert to is not None
    return [seed_text(to.uid, to.attempt, number, asking.head, nonce) for nonce in nonces]


def foreseen(nonces: Nonces, attempt: int) -> float:
    """How much better than chance a guess is, in deviations. attempt: which of the public seeds is tried."""
    hits, chance = 0, 0.0
    for number in range(2, ROUNDS + 2):
        asking = question(number, nonces)
        guess = drawn(public_seeds(asking, nonces.nonce(number - 1))[attempt])
        chance += share(guess)
        hits += guess == drawn(asking.seed)
    return deviation(hits, chance / ROUNDS)


@pytest.mark.parametrize("attempt", range(5))
def test_what_is_public_tells_nothing_of_a_draw(attempt: int) -> None:
    assert abs(foreseen(played("secret"), attempt)) < 4.5


@attrs.frozen(kw_only=True)
class Chained(Nonces):
    """Each nonce is the hash of the one before, which is public by then: what must not be."""

    def nonce(self, number: int) -> str:
        found = self.root
        for _ in range(number % 5):
            found = sha256(found.encode()).hexdigest()
        return found


def test_nonces_that_follow_from_each_other_are_foreseen() -> None:
    assert foreseen(Chained(root="ab" * 32), 4) > 10


def spared_by_moving_the_head(nonces: Nonces, known: Callable[[int], str]) -> float:
    """A tenant starts and ends runs until, with the nonce that it takes for true, `r6` would not be cut."""
    hits = 0
    for number in range(2, ROUNDS // 4 + 2):
        heads = range(number * 100, number * 100 + 20)
        asking = question(number, nonces)
        to = asking.beneficiary
        assert to is not None
        seed = partial(seed_text, to.uid, to.attempt, number)
        head = next((head for head in heads if drawn(seed(head, known(number))) != "r6"), heads[0])
        hits += drawn(seed(head, nonces.nonce(number))) == "r6"
    return deviation(hits, share("r6"), ROUNDS // 4)


def test_moving_the_ledgers_head_spares_nobody() -> None:
    nonces = played("secret")
    assert abs(spared_by_moving_the_head(nonces, lambda number: nonces.nonce(number - 1))) < 4.5


def test_whoever_knew_the_nonce_could_move_the_head() -> None:
    """So the test above would notice; and so the Secret is kept from those who run jobs."""
    nonces = played("secret")
    assert spared_by_moving_the_head(nonces, nonces.nonce) < -10


# -- an operator ------------------------------------------------------------------------------------------------------


def resolved(asking: Question) -> Resolution:
    units = Pool(stage="lottery", drawn=True, candidates=UNITS)
    taken = work_out(Stream(asking.seed), 1, [units], lambda cuts: len(cuts) > 0)
    assert taken is not None
    return resolution_of(asking, taken, bound=bound_to(NEED, NODES, taken))


def with_nonce(one: Resolution, nonce: str) -> Question:
    """The question again, as if another nonce had been bound."""

    @attrs.frozen(kw_only=True)
    class Chosen(Nonces):
        def nonce(self, number: int) -> str:
            return nonce if number == one.spec.number else played("secret").nonce(number)

    asking = question(one.spec.number, Chosen(root="00"))
    return attrs.evolve(asking, chain=attrs.evolve(asking.chain, commitment=""))


def test_an_operator_who_tries_nonces_until_one_suits_is_found_out() -> None:
    """It draws whom it wants, seals all of it anew, and is not believed: what was bound stands in the one before."""
    asking = question(9, played("secret"))
    honest = resolved(asking)
    standing = commitment_of(played("secret").nonce(9))
    assert verify(honest, honest.spec.evidence.data, standing) == []
    tried = (resolved(with_nonce(honest, sha256(f"{at}".encode()).hexdigest())) for at in range(500))
    wanted = next(one for one in tried if one.spec.cuts[0].name not in {"r0", honest.spec.cuts[0].name})
    assert verify(wanted, wanted.spec.evidence.data, None) == []
    assert verify(wanted, wanted.spec.evidence.data, standing)[0].startswith("spec.seed.commitment")


def test_an_operator_who_says_that_the_right_nonce_was_bound_is_found_out() -> None:
    forged = resolved(with_nonce(resolved(question(9, played("secret"))), "1" * 64))
    standing = commitment_of(played("secret").nonce(9))
    seed = attrs.evolve(forged.spec.seed, commitment=standing)
    spec = attrs.evolve(forged.spec, seed=seed)
    sealed = attrs.evolve(forged, spec=attrs.evolve(spec, digest=spec_digest(spec)))
    assert verify(sealed, sealed.spec.evidence.data, standing)[0].startswith("spec.seed.nonce")


def test_an_operator_who_restarts_the_scheduler_draws_the_same() -> None:
    """One attempt has one draw: the nonce follows from root and number, and the head from what stands."""
    asking = question(9, played("secret"))
    assert len({resolved(attrs.evolve(asking, nonces=Nonces(root=asking.nonces.root))).spec.digest for _ in "123"}) == 1

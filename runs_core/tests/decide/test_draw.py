from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

import attrs
import pytest

from runs_core.decide import draw
from runs_core.decide.draw import Lots, Stream, Taking, Tree, seed_text
from runs_core.decide.resolve import work_out
from runs_core.values.resolution import Candidate, Pool

SEED = seed_text("uid-of-b", 1, 7, 255, "ab" * 32)


def unit(
    name: str, gpus: int = 1, *, owner: str | None = None, group: int | None = None, namespace: str = "research"
) -> Candidate:
    return Candidate(namespace=namespace, name=name, uid=f"uid-of-{name}", owner=owner, gpus=gpus, group=group)


def lottery(*units: Candidate, drawn: bool = True) -> Pool:
    return Pool(stage="lottery", drawn=drawn, candidates=units)


def enough(gpus: int) -> Callable[[Sequence[Candidate]], bool]:
    return lambda cuts: sum(unit.gpus for unit in cuts) >= gpus


def taking(missing: int, *pools: Pool, seed: str = SEED, suffices: draw.Suffices | None = None) -> Taking:
    found = Taking(missing, Stream(seed), suffices or enough(missing))
    any(found.from_(pool) for pool in pools)
    found.give_back()
    return found


def names(units: Sequence[Candidate]) -> list[str]:
    return [unit.name for unit in units]


# -- the stream -------------------------------------------------------------------------------------------------------


def test_the_seed_names_the_beneficiary_the_attempt_the_number_the_head_and_the_nonce() -> None:
    assert seed_text("u", 2, 3, 255, "0a") == f"runs.dev/v1|u|2|3|{'0' * 62}ff|0a"


def test_a_number_is_the_hash_of_the_seed_and_a_counter() -> None:
    """The last digits of what `printf 'seed|0' | sha256sum` and the next three say."""
    stream = Stream("seed")
    assert [stream.below(16) for _ in range(4)] == [0xA, 0x8, 0xD, 0x6]
    assert stream.used == 4


def test_a_block_past_the_last_whole_multiple_is_passed_over() -> None:
    stream = Stream("seed", span=16)
    told = [stream.below(9) for _ in range(200)]
    assert set(told) == set(range(9))
    assert 200 < stream.used < 500
    blocks = Stream("seed", span=16)
    assert told == [one for one in (blocks.below(16) for _ in range(stream.used)) if one < 9]


def test_a_tree_finds_what_a_walk_finds() -> None:
    rng = random.Random(1)
    row = [rng.randrange(4) for _ in range(37)]
    tree = Tree(row)
    for _ in range(200):
        at = rng.randrange(len(row))
        row[at] = rng.randrange(4)
        tree.set(at, row[at])
        assert tree.total == sum(row)
        assert tree.before(at) == sum(row[:at])
        number = rng.randrange(sum(row))
        assert tree.find(number) == next(at for at in range(len(row)) if sum(row[: at + 1]) > number)


# -- what is drawn ----------------------------------------------------------------------------------------------------


def slow(candidates: Sequence[Candidate], missing: int, stream: Stream) -> list[str]:
    """The rule as docs/explanation/draw.md has it, word by word."""
    inside, taken, left = list(candidates), [], missing
    while inside and left > 0:
        narrow = [unit for unit in inside if unit.gpus <= left]
        drum = narrow if sum(unit.gpus for unit in narrow) >= left else inside
        number = stream.below(sum(unit.gpus for unit in drum))
        owners = sorted({unit.lot for unit in drum})
        reached = [sum(unit.gpus for unit in drum if unit.lot <= owner) for owner in owners]
        owner = next(owner for owner, upto in zip(owners, reached, strict=True) if number < upto)
        his = sorted((unit for unit in drum if unit.lot == owner), key=lambda unit: unit.place)
        unit = his[stream.below(len(his))]
        inside.remove(unit)
        taken.append(unit.name)
        left -= unit.gpus
    return taken


def some_units(rng: random.Random) -> list[Candidate]:
    owners = [None, "org:a", "org:b", "Org:c"]
    widths = rng.choice(([1], [1, 2, 3], [1, 4, 8, 64], [5]))
    return [
        unit(
            f"r{at}",
            rng.choice(widths),
            owner=rng.choice(owners),
            group=rng.choice((None, at)),
            namespace=rng.choice(("a", "a-b", "b")),
        )
        for at in range(rng.randint(1, 30))
    ]


def disagreements(examples: int = 300) -> int:
    found = 0
    for number in range(examples):
        rng = random.Random(number)
        units = some_units(rng)
        missing = rng.randint(1, sum(unit.gpus for unit in units))
        quick = Taking(missing, Stream(f"s{number}"), enough(missing))
        quick.from_(lottery(*units))
        found += names(quick.taken) != slow(units, missing, Stream(f"s{number}"))
    return found


def test_the_trees_draw_what_the_rule_draws() -> None:
    assert disagreements() == 0


def test_the_order_of_input_never_matters() -> None:
    for number in range(100):
        rng = random.Random(number)
        units = some_units(rng)
        missing = rng.randint(1, sum(unit.gpus for unit in units))
        first = taking(missing, lottery(*units))
        rng.shuffle(units)
        again = taking(missing, lottery(*units))
        assert (first.draws, first.cuts, first.given_back) == (again.draws, again.cuts, again.given_back)


def test_units_wider_than_what_is_missing_wait_for_the_narrow_ones_to_fail() -> None:
    units = [unit("wide", 16), unit("a", 2), unit("b", 2)]
    for number in range(50):
        assert set(names(taking(4, lottery(*units), seed=str(number)).cuts)) == {"a", "b"}
        assert names(taking(5, lottery(*units), seed=str(number)).cuts) == ["wide"]


def test_a_unit_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        Lots([unit("a"), unit("a")], 1)


def test_a_group_and_another_group_of_its_run_are_two_units() -> None:
    assert len(taking(2, lottery(unit("a", group=0), unit("a", group=1))).cuts) == 2


# -- stages -----------------------------------------------------------------------------------------------------------


def test_a_later_pool_is_touched_only_for_what_the_earlier_ones_lack() -> None:
    first, second = lottery(unit("a", 2), unit("b", 2)), lottery(unit("c", 4), unit("d", 4), drawn=False)
    assert set(names(taking(4, first, second).cuts)) == {"a", "b"}
    both = taking(7, first, second)
    assert set(names(both.cuts)) == {"a", "b", "c"}
    assert [(drawn.pool, drawn.owner) for drawn in both.draws][2:] == [(1, None)]


def test_a_pool_in_order_is_taken_in_order() -> None:
    pool = lottery(*(unit(name) for name in "dacb"), drawn=False)
    assert names(taking(3, pool).cuts) == ["d", "a", "c"]


def test_a_unit_is_taken_once_though_two_stages_name_it() -> None:
    first, second = lottery(unit("a"), unit("b")), lottery(unit("b"), unit("c"))
    taken = work_out(Stream(SEED), 3, [first, second], enough(3))
    assert taken is not None
    assert sorted(names([one for one, _ in taken.cuts])) == ["a", "b", "c"]
    assert names(taken.pools[1].candidates) == ["c"]


def test_a_stage_is_asked_only_once_the_ones_before_do_not_suffice() -> None:
    heard: list[list[str]] = []

    def later(taken: Sequence[Candidate]) -> list[Pool]:
        heard.append(sorted(names(taken)))
        return [lottery(unit("c", 4))]

    first = lottery(unit("a"), unit("b"))
    assert work_out(Stream(SEED), 2, [first, later], enough(2)) is not None
    assert heard == []
    assert work_out(Stream(SEED), 3, [first, later], enough(3)) is not None
    assert heard == [["a", "b"]]


def test_what_does_not_suffice_is_known() -> None:
    assert work_out(Stream(SEED), 3, [lottery(unit("a"), unit("b"))], enough(3)) is None
    found = Taking(3, Stream(SEED), enough(3))
    assert not found.from_(lottery(unit("a"), unit("b")))


# -- enough GPUs in the wrong places ----------------------------------------------------------------------------------


def on_one_node(cuts: Sequence[Candidate]) -> bool:
    """Four of the units whose names begin alike."""
    return max(Counter(unit.name[0] for unit in cuts).values(), default=0) >= 4


def scattered(number: int) -> Taking:
    units = [unit(f"{node}{at}", owner=f"org:{at % 3}") for node in "pqrst" for at in range(6)]
    return taking(4, lottery(*units), seed=str(number), suffices=on_one_node)


def test_drawing_goes_on_until_the_plan_succeeds_and_no_further() -> None:
    for number in range(60):
        found = scattered(number)
        assert on_one_node(found.taken)
        assert not on_one_node(found.taken[:-1])


def test_the_cut_set_is_minimal() -> None:
    given = 0
    for number in range(60):
        found = scattered(number)
        assert len(found.cuts) == 4
        assert on_one_node(found.cuts)
        given += len(found.given_back)
    assert given > 60


def one_by_one(found: Taking, suffices: draw.Suffices) -> list[str]:
    kept, given = list(found.taken), []
    for one in reversed(found.taken):
        without = [unit for unit in kept if unit is not one]
        if suffices(without):
            kept = without
            given.append(one.name)
    return given


def test_giving_back_several_at_once_gives_back_what_one_by_one_would() -> None:
    for number in range(60):
        found = scattered(number)
        assert names(found.given_back) == one_by_one(found, on_one_node)


def test_giving_back_asks_little() -> None:
    asked = 0

    def count(cuts: Sequence[Candidate]) -> bool:
        nonlocal asked
        asked += 1
        return on_one_node(cuts)

    units = [unit(f"{node}{at}") for node in "pqrst" for at in range(3)] + [unit(f"u{at:03}") for at in range(900)]
    found = Taking(0, Stream(SEED), count)
    found.from_(lottery(*units, drawn=False))
    found.give_back()
    assert len(found.cuts) == 4
    assert asked < 60


# -- how often --------------------------------------------------------------------------------------------------------

FAIR = [unit("a", 1, owner="org:x"), unit("b", 1, owner="org:x"), unit("c", 1, owner="org:x")]
FAIR += [unit("d", 4, owner="org:y"), unit("e", 1), unit("f", 2, owner="org:z"), unit("g", 6, owner="org:z")]
ROUNDS = 8_000


def chi_square(pick: Callable[[str], Candidate], weight: Callable[[Candidate], float]) -> float:
    seen = Counter(pick(f"round {number}").name for number in range(ROUNDS))
    total = sum(weight(unit) for unit in FAIR)
    expected = {unit.name: ROUNDS * weight(unit) / total for unit in FAIR}
    return sum((seen[name] - much) ** 2 / much for name, much in expected.items())


def fair_share(one: Candidate) -> float:
    """The owner's GPUs, shared equally among its units."""
    his = [unit for unit in FAIR if unit.lot == one.lot]
    return sum(unit.gpus for unit in his) / len(his)


def drawn_first(seed: str) -> Candidate:
    unit, _ = Lots(FAIR, 16).take(Stream(seed), 16)
    return unit


LIMIT = 27.9
"""With six degrees of freedom, a fair draw exceeds this once in ten thousand times."""


def test_owners_are_drawn_by_their_gpus_and_their_units_alike() -> None:
    assert chi_square(drawn_first, fair_share) < LIMIT


def test_a_draw_that_is_not_fair_is_noticed() -> None:
    assert chi_square(drawn_first, lambda unit: unit.gpus) > LIMIT
    assert chi_square(drawn_first, lambda _: 1) > LIMIT
    biased = [attrs.evolve(one, owner=None) if one.name == "d" else one for one in FAIR]
    assert chi_square(lambda seed: Lots(biased, 16).take(Stream(seed), 16)[0], fair_share) > LIMIT


def test_two_seeds_differ_in_every_part() -> None:
    parts = (("u", 1, 1, 1, "a"), ("v", 1, 1, 1, "a"), ("u", 2, 1, 1, "a"), ("u", 1, 2, 1, "a"), ("u", 1, 1, 2, "a"))
    pool = lottery(*(unit(f"r{at}") for at in range(200)))
    first = {names(taking(1, pool, seed=seed_text(*part)).cuts)[0] for part in (*parts, ("u", 1, 1, 1, "b"))}
    assert len(first) == 6


# -- variants that are wrong ------------------------------------------------------------------------------------------


class NeverNarrow(Lots):
    def _narrow(self, left: int) -> None:
        self._wide = True


class PutsBack(Lots):
    def _put(self, at: int, *, inside: bool) -> None:
        if inside:
            super()._put(at, inside=inside)


@pytest.mark.parametrize("broken", [NeverNarrow, PutsBack])
def test_a_broken_drum_is_noticed(monkeypatch: pytest.MonkeyPatch, broken: type[Lots]) -> None:
    monkeypatch.setattr(draw, "Lots", broken)
    assert disagreements(100) > 10


def test_a_broken_order_of_what_is_given_back_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def first_taken_first(self: Taking) -> list[str]:
        kept = list(self.taken)
        for one in list(self.taken):
            without = [unit for unit in kept if unit is not one]
            if on_one_node(without):
                self.given_back.append(one)
                kept = without
        return []

    monkeypatch.setattr(Taking, "give_back", first_taken_first)
    assert any(
        names(found.given_back) != one_by_one(found, on_one_node)
        for found in (scattered(number) for number in range(60))
    )


# -- what it costs ----------------------------------------------------------------------------------------------------


def test_a_draw_touches_a_few_sums_and_not_every_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = 0

    class Counting(Tree):
        def set(self, at: int, value: int) -> None:
            nonlocal changed
            changed += 1
            super().set(at, value)

    monkeypatch.setattr(draw, "Tree", Counting)
    units = [unit(f"r{at}", owner=f"org:{at % 40}") for at in range(4_000)]
    found = Taking(4_000, Stream(SEED), enough(4_000))
    assert found.from_(lottery(*units))
    assert changed == 2 * 4_000

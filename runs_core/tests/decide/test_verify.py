from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from runs_core.decide.draw import Taking
from runs_core.decide.verify import verify
from runs_core.errors import InvalidInput
from runs_core.schema.convert import canonical, converter, resolution_from_object, to_object
from runs_core.schema.evidence import packed, spec_digest, unpacked
from runs_core.schema.manifest import validate
from runs_core.testing.resolutions import NONCES, resolutions
from runs_core.values.resolution import Evidence, Resolution

SOME = resolutions(150)
RICH = max(SOME, key=lambda one: len({cut.stage for cut in one.spec.cuts}) * 100 + len(one.spec.cuts))
Path = tuple[str | int, ...]
Json = Any  # as it comes


def checked(resolution: Resolution) -> list[str]:
    return verify(resolution, resolution.spec.evidence.data, NONCES.commitment(resolution.spec.number))


def sealed(resolution: Resolution) -> Resolution:
    """As somebody would do it who knows how the digest is made."""
    return attrs.evolve(resolution, spec=attrs.evolve(resolution.spec, digest=spec_digest(resolution.spec)))


def evidence_of(resolution: Resolution) -> Evidence:
    return unpacked(resolution.spec.evidence.data, resolution.spec.evidence.digest)


def with_evidence(resolution: Resolution, evidence: Evidence) -> Resolution:
    return sealed(attrs.evolve(resolution, spec=attrs.evolve(resolution.spec, evidence=packed(evidence))))


def test_what_was_resolved_can_be_worked_out_again() -> None:
    assert [(one.name, checked(one)) for one in SOME if checked(one)] == []
    assert sum(len(one.spec.cuts) for one in SOME) > 2 * len(SOME)
    assert sum(len(evidence_of(one).given_back) for one in SOME) > len(SOME)
    assert {cut.stage for one in SOME for cut in one.spec.cuts} == {"unfunded", "elastic", "lottery"}


def test_an_object_that_was_stored_and_read_says_the_same() -> None:
    for one in SOME[:20]:
        body = json.loads(json.dumps(to_object(one)))
        assert validate(body) == []
        assert resolution_from_object(body) == one
        assert checked(resolution_from_object(body)) == []


def test_a_nonce_that_was_not_bound_before_is_noticed() -> None:
    assert verify(RICH, RICH.spec.evidence.data, NONCES.commitment(10**6))[0].startswith("spec.seed.commitment")
    assert verify(RICH, RICH.spec.evidence.data, None) == []


# -- any one thing changed --------------------------------------------------------------------------------------------


def leaves(body: Json, path: Path = ()) -> Iterator[Path]:
    if isinstance(body, dict):
        for name in sorted(body):
            yield from leaves(body[name], (*path, name))
    elif isinstance(body, list):
        for at in range(len(body)):
            yield from leaves(body[at], (*path, at))
    else:
        yield path


def parents(body: Json, path: Path = ()) -> Iterator[Path]:
    """Lists and maps that something can be taken out of."""
    if isinstance(body, dict | list):
        if body and path:
            yield path
        for name in sorted(body) if isinstance(body, dict) else range(len(body)):
            yield from parents(body[name], (*path, name))


def at(body: Json, path: Path) -> Json:
    for part in path:
        body = body[part]
    return body


def flipped(value: Json) -> Json:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str() if value.endswith("Z"):
            return value.replace("2026", "2027")
        case str():
            last = value[-1:] or "x"
            return value[:-1] + ("0" if last != "0" else "1")
        case _:
            raise AssertionError(value)


def changed(body: Json, path: Path) -> Json:
    found = copy.deepcopy(body)
    above = at(found, path[:-1])
    above[path[-1]] = flipped(above[path[-1]])
    return found


def taken_out(body: Json, path: Path) -> Json:
    found = copy.deepcopy(body)
    here = at(found, path)
    if isinstance(here, list):
        here.pop()
    else:
        del here[min(here)]
    return found


def found_out(body: Json) -> bool:
    try:
        return bool(validate(body)) or bool(checked(resolution_from_object(body)))
    except InvalidInput:
        return True


def test_whatever_is_changed_in_the_spec_is_noticed() -> None:
    body = to_object(RICH)
    paths = [path for path in leaves(body) if path[0] == "spec" or path == ("metadata", "name")]
    assert len(paths) > 60
    assert [path for path in paths if not found_out(changed(body, path))] == []


def test_whatever_is_taken_out_of_the_spec_is_noticed() -> None:
    body = to_object(RICH)
    paths = list(parents(body["spec"]))
    assert len(paths) > 15
    assert [path for path in paths if not found_out(taken_out(body, ("spec", *path)))] == []


NAMES = ("uid", "owner")
"""What of a candidate the seed does not hold: another of the same order and weight is drawn alike."""


def test_whatever_is_changed_in_the_evidence_is_noticed_even_if_it_is_sealed_again() -> None:
    body = converter().unstructure(evidence_of(RICH), Evidence)
    paths = [path for path in leaves(body) if path[-1] not in NAMES and "left" not in path]
    assert len(paths) > 100
    missed = []
    for path in paths:
        try:
            forged = with_evidence(RICH, converter().structure(changed(body, path), Evidence))
        except Exception:  # noqa: BLE001, S112  # what is no evidence any more is noticed
            continue
        if not checked(forged):
            missed.append(path)
    assert [path for path in missed if not _harmless(path)] == []
    assert len(missed) < len(paths) / 5


def _harmless(path: Path) -> bool:
    """Another held place, or a name of the same order, of somebody who was not cut: nothing else was decided."""
    return (path[:1] == ("nodes",) and path[-1] == "held") or (path[:1] == ("pools",) and path[2] == "candidates")


# -- forged on purpose, and sealed again ------------------------------------------------------------------------------


def other_number(one: Resolution) -> Resolution:
    meta = attrs.evolve(one.meta, name=f"resolution-{one.spec.number + 1}")
    return attrs.evolve(one, meta=meta, spec=attrs.evolve(one.spec, number=one.spec.number + 1))


def other_attempt(one: Resolution) -> Resolution:
    assert one.spec.beneficiary is not None
    to = attrs.evolve(one.spec.beneficiary, attempt=2)
    return attrs.evolve(one, spec=attrs.evolve(one.spec, beneficiary=to))


def other_head(one: Resolution) -> Resolution:
    return attrs.evolve(one, spec=attrs.evolve(one.spec, seed=attrs.evolve(one.spec.seed, ledger_head="1" * 64)))


def other_nonce(one: Resolution) -> Resolution:
    return attrs.evolve(one, spec=attrs.evolve(one.spec, seed=attrs.evolve(one.spec.seed, nonce="1" * 64)))


def another_is_cut(one: Resolution) -> Resolution:
    cuts = {(cut.namespace, cut.name) for cut in one.spec.cuts}
    units = [unit for pool in evidence_of(one).pools for unit in pool.candidates]
    other = next(unit for unit in units if (unit.namespace, unit.name) not in cuts)
    cut = attrs.evolve(one.spec.cuts[0], namespace=other.namespace, name=other.name, uid=other.uid, group=other.group)
    return attrs.evolve(one, spec=attrs.evolve(one.spec, cuts=(cut, *one.spec.cuts[1:])))


def one_more_is_cut(one: Resolution) -> Resolution:
    cuts = {(cut.namespace, cut.name) for cut in one.spec.cuts}
    units = [unit for pool in evidence_of(one).pools for unit in pool.candidates]
    other = next(unit for unit in units if (unit.namespace, unit.name) not in cuts)
    cut = attrs.evolve(
        one.spec.cuts[0], namespace=other.namespace, name=other.name, uid=other.uid, group=other.group, gpus=1
    )
    return attrs.evolve(one, spec=attrs.evolve(one.spec, cuts=(*one.spec.cuts, cut), cut_gpus=one.spec.cut_gpus + 1))


def one_is_spared(one: Resolution) -> Resolution:
    left = one.spec.cuts[1:]
    return attrs.evolve(one, spec=attrs.evolve(one.spec, cuts=left, cut_gpus=sum(cut.gpus for cut in left)))


def bound_elsewhere(one: Resolution) -> Resolution:
    bound = attrs.evolve(one.spec.bound[0], ordinals=tuple(at + 100 for at in one.spec.bound[0].ordinals))
    return attrs.evolve(one, spec=attrs.evolve(one.spec, bound=(bound, *one.spec.bound[1:])))


def a_candidate_is_hidden(one: Resolution) -> Resolution:
    evidence = evidence_of(one)
    hidden = attrs.evolve(evidence.pools[0], candidates=evidence.pools[0].candidates[1:])
    forged = attrs.evolve(evidence, pools=(hidden, *evidence.pools[1:]))
    return attrs.evolve(one, spec=attrs.evolve(one.spec, evidence=packed(forged)))


FORGERIES = (other_attempt, other_head, another_is_cut, one_more_is_cut, one_is_spared, bound_elsewhere)


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_a_forgery_that_is_sealed_again_is_noticed(forge: Callable[[Resolution], Resolution]) -> None:
    assert checked(forge(RICH)) != []
    assert checked(sealed(forge(RICH))) != []


@pytest.mark.parametrize("forge", [other_number, other_nonce], ids=lambda forge: forge.__name__)
def test_another_nonce_or_number_is_not_the_one_that_was_bound(forge: Callable[[Resolution], Resolution]) -> None:
    assert any("seed" in line for line in checked(sealed(forge(RICH))))


def test_what_cannot_be_worked_out_is_said_and_no_defect() -> None:
    grouped = next(one for one in SOME if one.spec.need.group_gpus)
    for need in (attrs.evolve(grouped.spec.need, gpus_per_pod=64), attrs.evolve(grouped.spec.need, group_gpus=1)):
        forged = sealed(attrs.evolve(grouped, spec=attrs.evolve(grouped.spec, need=need)))
        assert checked(forged) != []
    evidence = evidence_of(RICH)
    twice = attrs.evolve(evidence.pools[0], candidates=evidence.pools[0].candidates[:1] * 2, drawn=True)
    assert checked(with_evidence(RICH, attrs.evolve(evidence, pools=(twice, *evidence.pools[1:])))) != []


def test_a_hidden_candidate_shows_in_the_draw() -> None:
    drawn = [one for one in SOME if evidence_of(one).pools[0].drawn and len(evidence_of(one).pools[0].candidates) > 4]
    noticed = [bool(checked(sealed(a_candidate_is_hidden(one)))) for one in drawn]
    assert sum(noticed) > 0.8 * len(noticed) > 20


def test_evidence_of_another_resolution_is_not_taken() -> None:
    assert verify(RICH, SOME[0].spec.evidence.data, None)[0].startswith("spec.evidence: got text")


# -- checks that can fail ---------------------------------------------------------------------------------------------


def test_an_engine_that_gives_nothing_back_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Taking, "give_back", lambda self: ())
        greedy = resolutions(60)
    wrong = [one for one in greedy if any("could have stayed" in line for line in checked(one))]
    assert len(wrong) > 5


def test_the_digest_is_of_the_whole_spec() -> None:
    moved = attrs.evolve(RICH.spec, evidence=attrs.evolve(RICH.spec.evidence, data="", parts=3))
    assert spec_digest(moved) == RICH.spec.digest
    assert canonical(to_object(RICH)) != ""

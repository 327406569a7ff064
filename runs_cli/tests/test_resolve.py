"""`runs resolve` on an embedded cluster in which the scheduler kept resolutions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from runs_core.cluster.local import LocalCluster, Store
from runs_core.settings import Settings
from runs_core.testing.resolutions import NONCES, resolutions
from runs_core.values.effect import PutResolution

Runs = Callable[..., Result]


KEPT = resolutions(3, chained=True)


@pytest.fixture
def on(runs: Runs, tmp_path: Path) -> Runs:
    path = tmp_path / "fleet.db"
    store = Store.create(path, "2026-01-05T12:00:00Z", NONCES)
    cluster = LocalCluster(store, Settings())
    cluster.observe()
    cluster.commit([PutResolution(one) for one in KEPT], [])
    store.close()
    return lambda *words: runs("--local", str(path), *words)


def told(answer: Result) -> str:
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout


def forged(on: Runs, tmp_path: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Somebody with the state file in hand writes over a resolution."""
    store = Store.open(tmp_path / "fleet.db")
    with store.writing():
        body = store.get("Resolution", "", "resolution-2")
        assert body is not None
        change(body["spec"])
        store.put("Resolution", body)
    store.close()


def test_resolutions_are_listed_by_number(on: Runs) -> None:
    assert told(on("resolve", "list", "-o", "name")).split() == ["resolution-1", "resolution-2", "resolution-3"]
    items = json.loads(told(on("resolve", "list", "-o", "json")))["items"]
    assert [item["spec"]["cutGPUs"] for item in items] == [one.spec.cut_gpus for one in KEPT]
    table = told(on("resolve", "list"))
    assert "research/big" in table
    assert table.count("Canceled") == 3  # there is no such run here
    assert told(on("resolve", "list", "--open")) == "Nothing is being taken back.\n"


def test_one_is_shown_with_its_cuts_and_its_seed(on: Runs) -> None:
    text = told(on("resolve", "show", "2"))
    cuts = KEPT[1].spec.cuts
    assert all(f"{cut.namespace}/{cut.name}" in text for cut in cuts)
    assert "runs.dev/v1|uid-of-big" in text
    assert json.loads(told(on("resolve", "show", "resolution-2", "-o", "json")))["kind"] == "Resolution"


def test_a_resolution_verifies_against_the_one_before_it(on: Runs) -> None:
    found = [json.loads(told(on("resolve", "verify", str(number), "-o", "json"))) for number in (1, 2, 3)]
    assert [one["boundBy"] for one in found] == ["installation", "resolution-1", "resolution-2"]
    assert {(one["verified"], len(one["differences"])) for one in found} == {(True, 0)}
    assert "all of it follows" in told(on("resolve", "verify", "1"))


def test_what_differs_is_said_and_is_the_exit_code(on: Runs, tmp_path: Path) -> None:
    forged(on, tmp_path, lambda spec: spec.update(cutGPUs=999))
    answer = on("resolve", "verify", "2")
    assert answer.exit_code == 1
    assert "spec.cutGPUs: got 999" in answer.stdout
    assert json.loads(on("resolve", "verify", "2", "-o", "json").stdout)["verified"] is False


def test_a_broken_chain_is_said_of_the_one_after(on: Runs, tmp_path: Path) -> None:
    forged(on, tmp_path, lambda spec: spec.update(nextCommitment="0" * 64))
    assert "spec.seed.commitment" in on("resolve", "verify", "3").stdout


def test_one_that_is_not_there_is_named_with_what_is_near(on: Runs) -> None:
    answer = on("resolve", "verify", "resolution-22")
    assert answer.exit_code == 1
    assert "there is no resolution resolution-22 (did you mean resolution-2?)" in answer.stderr


def test_a_cluster_without_any_says_so(runs: Runs, fleet: str) -> None:
    assert "Nobody was cut so far." in told(runs("--local", fleet, "resolve", "list"))


def test_a_seed_makes_the_draws_of_a_new_cluster_repeatable(runs: Runs, tmp_path: Path) -> None:
    roots = []
    for name, seed in (("a", "x"), ("b", "x"), ("c", "y")):
        told(runs("--local", str(tmp_path / name), "cluster", "init", "--seed", seed))
        store = Store.open(tmp_path / name)
        roots.append(store.nonces.root)
        store.close()
    assert roots[0] == roots[1] != roots[2]

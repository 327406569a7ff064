"""`runs budgets` on the embedded cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from runs_cli.main import root

BUDGET = """
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata: {name: vision}
spec:
  owner: vision
  namespaces: {names: [default]}
  envelopes:
  - {name: main, flavor: H100, gpus: 12, gpuHours: 100, window: {end: "2026-02-01T00:00:00Z"}}
"""


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two nodes of eight GPUs, a budget, and a run on it."""
    for name in ("RUNS_PLUGINS", "RUNS_LOCAL"):
        monkeypatch.delenv(name, raising=False)
    path, manifest = str(tmp_path / "fleet.db"), tmp_path / "budget.yaml"
    manifest.write_text(BUDGET)
    called(path, "cluster", "init", "--nodes", "2", "--flavor", "H100", "--at", "2026-01-05T08:00:00Z")
    called(path, "cluster", "apply", "-f", str(manifest))
    called(path, "submit", "train", "--gpus", "8")
    called(path, "cluster", "advance", "2m")
    return path


def called(path: str, *words: str) -> str:
    done = CliRunner().invoke(root, ["--local", path, *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_usage_has_the_keys_that_are_documented_and_what_is_used(fleet: str) -> None:
    [line] = json.loads(called(fleet, "budgets", "usage", "-o", "json"))["items"]
    used = line.pop("gpuHoursUsed")
    left = line.pop("gpuHoursLeft")
    assert 0 < used <= 8 * 2 / 60 + 0.01
    assert used + left == pytest.approx(100, abs=0.02)
    assert line == {
        "owner": "vision", "budget": "vision", "envelope": "main", "flavor": "H100", "gpus": 12, "owned": 8,
        "shared": 0, "borrowed": 0, "headroom": 4, "opens": None, "closes": "2026-02-01T00:00:00Z",
        "lent": [],
    }  # fmt: skip


def test_usage_is_a_table_for_people(fleet: str) -> None:
    head, row = called(fleet, "budgets", "usage").splitlines()
    assert head.split()[:4] == ["BUDGET", "ENVELOPE", "OWNER", "FLAVOR"]
    assert row.split()[:9] == ["vision", "main", "vision", "H100", "12", "8", "0", "0", "4"]


TAKING = """
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata: {name: org}
spec:
  owner: org
  namespaces: {names: [default]}
  envelopes: [{name: main, flavor: H100, gpus: 16}]
---
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata: {name: guest}
spec: {owner: guest, namespaces: {names: [default]}}
"""
SLOW = """
apiVersion: runs.dev/v1alpha1
kind: Run
metadata: {name: slow, annotations: {runs.dev/simulated-shutdown: 5m}}
spec: {owner: guest, resources: {gpus: 16, flavor: H100}, runtime: {minRuntime: 1m, checkpointGrace: 5m}}
"""


def test_what_is_being_taken_back_is_listed_as_open_until_its_beneficiary_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slow, unfunded, has 5 minutes to go: org's run starts when they are over."""
    for name in ("RUNS_PLUGINS", "RUNS_LOCAL"):
        monkeypatch.delenv(name, raising=False)
    path = str(tmp_path / "fleet.db")
    for name, text in (("budgets", TAKING), ("slow", SLOW)):
        (tmp_path / name).write_text(text)
    called(path, "cluster", "init", "--nodes", "2", "--flavor", "H100", "--at", "2026-01-05T08:00:00Z")
    called(path, "cluster", "apply", "-f", str(tmp_path / "budgets"))
    called(path, "submit", "-f", str(tmp_path / "slow"))
    called(path, "cluster", "advance", "2m")
    assert called(path, "resolve", "list", "--open") == "Nothing is being taken back.\n"
    called(path, "submit", "wide", "--gpus", "16", "--owner", "org")
    called(path, "cluster", "advance", "1m")
    assert called(path, "resolve", "list", "--open", "-o", "name").split() == ["resolution-1"]
    head, row = called(path, "resolve", "list", "--open").splitlines()
    told = dict(zip(head.split(), row.split(), strict=False))
    assert (told["FOR"], told["CUT"], told["UNITS"], told["PHASE"]) == ("default/wide", "16", "1", "Activating")
    called(path, "cluster", "advance", "5m")
    assert called(path, "resolve", "list", "--open") == "Nothing is being taken back.\n"
    [kept] = json.loads(called(path, "resolve", "list", "-o", "json"))["items"]
    assert kept["status"]["phase"] == "Released"


FAMILY = """
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata: {name: lab}
spec:
  owner: lab
  namespaces: {names: []}
  envelopes:
  - {name: one, flavor: H100, gpus: 3}
  - {name: two, flavor: A100, gpus: 5}
---
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata: {name: vision}
spec:
  owner: vision
  parents: [lab, ghost]
  namespaces: {names: [default]}
  envelopes:
  - {name: main, flavor: H100, gpus: 12}
  - {name: more, flavor: H100, gpus: 4}
"""


@pytest.fixture
def family(fleet: str, tmp_path: Path) -> str:
    """The same, with a parent that there is and one that there is not; eight of the sixteen GPUs are in use."""
    manifest = tmp_path / "family.yaml"
    manifest.write_text(FAMILY)
    called(fleet, "cluster", "apply", "-f", str(manifest))
    called(fleet, "cluster", "advance", "2m")
    return fleet


NOBODY = {"used": 0, "owned": 0, "shared": 0, "borrowed": 0}


def test_the_tree_has_children_below_their_parents_with_what_they_have_and_use(family: str) -> None:
    assert json.loads(called(family, "budgets", "tree", "-o", "json"))["items"] == [
        {"owner": "lab", "depth": 0, "again": False, "parents": [], "flavors": [
            {"flavor": "A100", "gpus": 5, **NOBODY}, {"flavor": "H100", "gpus": 3, **NOBODY}]},
        {"owner": "vision", "depth": 1, "again": False, "parents": ["lab"], "flavors": [
            {"flavor": "H100", "gpus": 16, **NOBODY, "used": 8, "owned": 8}]},
    ]  # fmt: skip
    *_, last = called(family, "budgets", "tree").splitlines()
    assert last.startswith("  vision ")
    assert last.split() == ["vision", "H100", "16", "8", "8", "0", "0", "#" * 10 + "." * 10]
    assert called(family, "budgets", "tree", "-o", "name").split() == ["lab", "vision"]


def test_the_list_has_every_budget_and_whether_it_is_in_order(family: str) -> None:
    head, lab, vision = (line.split() for line in called(family, "budgets", "list").splitlines())
    assert head == ["BUDGET", "OWNER", "PARENTS", "ENVELOPES", "GPUS", "READY", "REASON"]
    assert lab == ["lab", "lab", "-", "2", "8", "True", "Accounted"]
    assert vision == ["vision", "vision", "lab,", "ghost", "2", "16", "True", "ParentUnknown"]
    items = json.loads(called(family, "budgets", "list", "-o", "json"))["items"]
    assert [(item["kind"], item["metadata"]["name"]) for item in items] == [("Budget", "lab"), ("Budget", "vision")]


def test_a_family_of_two_parents_each_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """20 generations of two owners, each the child of both before it: a million ways lead to the last."""
    for name in ("RUNS_PLUGINS", "RUNS_LOCAL"):
        monkeypatch.delenv(name, raising=False)
    path, manifest = str(tmp_path / "fleet.db"), tmp_path / "ladder.yaml"
    known = [
        f"metadata: {{name: g{at:02}{side}}}, spec: {{owner: g{at:02}{side}, parents: %s}}"
        for at in range(20)
        for side in "ab"
    ]
    parents = [f"[g{at - 1:02}a, g{at - 1:02}b]" if at else "[]" for at in range(20) for _ in "ab"]
    head = "{apiVersion: runs.dev/v1alpha1, kind: Budget, "
    manifest.write_text("\n---\n".join(f"{head}{one % of}}}" for one, of in zip(known, parents, strict=True)))
    called(path, "cluster", "init", "--nodes", "1")
    called(path, "cluster", "apply", "-f", str(manifest))
    items = json.loads(called(path, "budgets", "tree", "-o", "json"))["items"]
    # the two of the first generation; of each later one, two below each of the two before
    assert len(items) == 2 + 19 * 4
    assert {one["owner"] for one in items if not one["again"]} == {
        f"g{at:02}{side}" for at in range(20) for side in "ab"
    }
    *_, last = called(path, "budgets", "tree").splitlines()
    assert last.split()[:4] == ["g01b", "(see", "above)", "-"]

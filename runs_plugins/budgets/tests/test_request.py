"""`runs budgets request` on the embedded cluster: what it says comes true once the manifest is applied."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from runs_cli.main import root

Runs = Callable[..., Result]
FAMILY = """
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata: {name: lab}
spec:
  owner: lab
  envelopes:
  - {name: main, flavor: H100, gpus: 16}
  - {name: spare, flavor: H100, gpus: 4}
  aggregateCaps:
  - {name: all, flavor: H100, envelopes: [main, spare], gpus: 18}
---
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata: {name: vision}
spec:
  owner: vision
  parents: [lab]
  namespaces: {names: [default]}
  envelopes:
  - {name: main, flavor: H100, gpus: 4}
---
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata: {name: audio}
spec: {owner: audio, parents: [lab], envelopes: [{name: main, flavor: H100, gpus: 2}]}
---
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata: {name: else}
spec: {owner: else, envelopes: [{name: main, flavor: H100, gpus: 2}]}
"""


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """32 GPUs. vision holds 12: 4 of its own, 8 of lab's, whose two envelopes give 18 together at most."""
    for name in ("RUNS_PLUGINS", "RUNS_LOCAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("budgets.yaml").write_text(FAMILY)

    def call(*words: str, code: int = 0) -> Result:
        done = CliRunner().invoke(root, ["--local", "fleet.db", *words])
        assert done.exit_code == code, done.output
        return done

    call("cluster", "init", "--nodes", "4", "--flavor", "H100", "--at", "2026-01-05T08:00:00Z")
    call("cluster", "apply", "-f", "budgets.yaml")
    call("submit", "train", "--gpus", "12", "--simulated-duration", "9h")
    call("cluster", "advance", "1m")
    return call


def asked(runs: Runs, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(runs("budgets", "request", *words, "-o", "json").stdout)
    return found


def rooms(found: dict[str, Any], when: str) -> dict[str, tuple[int, int]]:
    return {one["owner"]: (one[when]["own"], one[when]["family"]) for one in found["headroom"]}


def test_it_says_what_each_of_the_family_could_be_given_before_and_after(runs: Runs) -> None:
    found = asked(runs, "lab", "--envelope", "main", "--gpus", "20")
    assert [(one["owner"], one["relation"]) for one in found["headroom"]] == [
        ("lab", "itself"), ("audio", "child"), ("vision", "child"),
    ]  # fmt: skip
    # lab: its family yields, and its cap gives 18. audio has 2, and of lab's 18 vision holds 8.
    assert rooms(found, "before") == {"lab": (18, 0), "audio": (2, 10), "vision": (0, 12)}
    assert rooms(found, "after") == {"lab": (18, 0), "audio": (2, 10), "vision": (0, 12)}
    assert found["runs"] == []


def test_a_cap_is_no_bound_for_an_envelope_that_it_does_not_name(runs: Runs) -> None:
    found = asked(runs, "lab", "--envelope", "extra", "--flavor", "H100", "--gpus", "5")
    assert (rooms(found, "before")["lab"], rooms(found, "after")["lab"]) == ((18, 0), (23, 0))


SHARED, DEMOTED = {"owned": 4, "shared": 8}, {"owned": 4, "unfunded": 8}


@pytest.mark.parametrize(
    ("words", "run"),
    [
        ("lab --envelope main --gpus 6", (SHARED, DEMOTED)),
        ("vision --envelope main --gpus 14", None),
        ("vision --envelope main --gpus 3", (SHARED, {"shared": 8, "unfunded": 4})),
        ("lab --envelope main --sharing None", (SHARED, DEMOTED)),
        ("lab --envelope main --opens 2026-03-01T00:00:00Z", (SHARED, DEMOTED)),
    ],
    ids=["less", "more", "less-of-its-own", "not-shared", "closed"],
)
def test_what_it_says_comes_true(runs: Runs, words: str, run: tuple[dict[str, int], dict[str, int]] | None) -> None:
    said = asked(runs, *words.split(), "--file", "request.yaml")
    assert rooms(said, "before") != rooms(said, "after")
    told = [
        tuple({cls: n for cls, n in one[when].items() if n} for when in ("before", "after")) for one in said["runs"]
    ]
    assert told == ([run] if run is not None else [])
    runs("cluster", "apply", "-f", "request.yaml")
    again = asked(runs, words.split(maxsplit=1)[0], "--envelope", "probe", "--flavor", "H100", "--gpus", "1")
    assert rooms(again, "before") == rooms(said, "after")
    if run is not None:
        status = json.loads(runs("get", "train", "-o", "json").stdout)["status"]["funding"]
        assert {cls: count for cls, count in status.items() if count} == run[1]


def test_an_owner_that_has_no_budget_asks_for_its_first(runs: Runs) -> None:
    """speech joins lab's family: 3 of its own; of lab's 18 what vision leaves, 10, and audio's 2."""
    words = "speech --owner speech --parent lab --for-namespace talk --envelope main --flavor H100 --gpus 3"
    said = asked(runs, *words.split(), "--file", "request.yaml")
    assert (rooms(said, "before")["speech"], rooms(said, "after")["speech"]) == ((0, 0), (3, 12))
    # what it leaves is its siblings': audio and vision may use its 3, lab may not
    assert [(one["owner"], one["relation"]) for one in said["headroom"]] == [
        ("speech", "itself"), ("lab", "parent"), ("audio", "sibling"), ("vision", "sibling"),
    ]  # fmt: skip
    assert rooms(said, "before") == {"speech": (0, 0), "lab": (18, 0), "audio": (2, 10), "vision": (0, 12)}
    assert rooms(said, "after") == {"speech": (3, 12), "lab": (18, 0), "audio": (2, 13), "vision": (0, 15)}
    runs("cluster", "apply", "-f", "request.yaml")
    items = json.loads(runs("budgets", "tree", "-o", "json").stdout)["items"]
    [tree] = [one for one in items if one["owner"] == "speech"]
    assert tree["parents"] == ["lab"]
    again = asked(runs, "speech", "--envelope", "probe", "--flavor", "H100", "--gpus", "1")
    assert rooms(again, "before")["speech"] == (3, 12)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("vision --owner speech --envelope main --flavor H100 --gpus 3", "Budget vision is there already, of vision"),
        ("speech --owner vision --envelope main --flavor H100 --gpus 3", "vision has a Budget already"),
        ("vision --parent lab --envelope main --gpus 3", "are of a new Budget: say --owner as well"),
        ("speech --owner speech --envelope main", "say --flavor and --gpus"),
        ("speech --owner speech --envelope main --flavor H100 --gpus -3", "gpus"),
    ],
)
def test_a_first_request_that_cannot_be_is_refused(runs: Runs, words: str, said: str) -> None:
    answer = runs("budgets", "request", *words.split(), code=2 if "-3" in words else 1)
    assert said in answer.output


def test_nothing_in_the_cluster_changes(runs: Runs) -> None:
    before = runs("budgets", "list", "-o", "json").stdout, runs("get", "-A", "-o", "json").stdout
    asked(runs, "lab", "--envelope", "main", "--gpus", "6", "--file", "request.yaml")
    assert (runs("budgets", "list", "-o", "json").stdout, runs("get", "-A", "-o", "json").stdout) == before


def test_the_manifest_is_the_whole_budget_with_the_one_change_told_above_it(runs: Runs) -> None:
    runs("budgets", "request", "vision", "--envelope", "main", "--gpus", "14", "--file", "request.yaml")
    assert (
        Path("request.yaml").read_text()
        == """\
# main: gpus 4 -> 14
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata:
  name: vision
spec:
  envelopes:
  - flavor: H100
    gpus: 14
    name: main
  namespaces:
    names:
    - default
  owner: vision
  parents:
  - lab
"""
    )


def test_for_people_the_manifest_is_shown_unless_it_is_written(runs: Runs) -> None:
    words = ("budgets", "request", "lab", "--envelope", "main", "--gpus", "6")
    text = runs(*words).output
    assert "lab      itself   18 -> 10" in text
    assert "vision   child           0       12" in text
    assert "default/train   4 owned, 8 shared   4 owned, 8 unfunded" in text
    assert "  kind: Budget\n" in text
    text = runs(*words, "--file", "request.yaml").output
    assert "kind: Budget" not in text
    assert text.endswith("applies it with\n  runs --local fleet.db cluster apply -f request.yaml\n")


def test_an_envelope_with_hours_is_asked_for_as_it_would_pay(runs: Runs) -> None:
    """10 GPU-hours pay for 20 GPUs for the half hour that a run is safe."""
    found = asked(runs, "vision", "--envelope", "sprint", "--flavor", "H100", "--gpus", "64", "--gpu-hours", "10")
    assert rooms(found, "after")["vision"] == (20, 12)
    assert found["manifest"]["spec"]["envelopes"][1] == {
        "name": "sprint", "flavor": "H100", "gpus": 64, "gpuHours": 10,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (
            "visio --envelope main --gpus 9",
            1,
            "there is no Budget visio (did you mean vision?); `runs budgets list` lists all",
        ),
        (
            "lab --envelope man --gpus 9",
            1,
            "Budget lab has no envelope man (did you mean main?); to ask for a new one, say --flavor and --gpus",
        ),
        (
            "lab --envelope main --gpus 16",
            1,
            "envelope main of Budget lab is so already; say what is to change, such as --gpus N",
        ),
        (
            "lab --envelope main --flavor A100 --gpus 9",
            1,
            "envelope main of Budget lab pays for H100; name a new one for A100",
        ),
        ("lab --envelope main --gpus 0", 2, "spec.envelopes[0].gpus: got 0, want a whole number from 1 to 10000000"),
        (
            "lab --envelope main --closes soon",
            2,
            "spec.envelopes[0].window.end: got 'soon', want a time such as 2026-01-31T08:00:00Z",
        ),
        (
            "lab --envelope main --gpus 9 --file budgets.yaml",
            1,
            "budgets.yaml exists already; name another --file, or remove it",
        ),
        (
            "lab --envelope main --gpus 9 --file no/such.yaml",
            1,
            "no/such.yaml cannot be written: No such file or directory; name another --file",
        ),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(runs: Runs, words: str, code: int, told: str) -> None:
    assert runs("budgets", "request", *words.split(), code=code).stderr == f"Error: {told}\n"

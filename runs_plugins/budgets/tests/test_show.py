"""`runs budgets show` on the embedded cluster."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from runs_cli.main import root

Runs = Callable[..., Result]
BUDGETS = """
apiVersion: v1
kind: Namespace
metadata: {name: guests}
---
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata: {name: lab}
spec:
  owner: lab
  parents: [ghost]
  namespaces: {names: [default]}
  envelopes:
  - {name: day, flavor: H100, gpus: 8, gpuHours: 100, window: {end: "2026-02-01T00:00:00Z"}, sharing: None}
  - name: night
    flavor: H100
    gpus: 6
    selector: {topology.kubernetes.io/region: default}
    lending: {to: ["guest*"], maxGPUs: 4}
  aggregateCaps:
  - {name: both, flavor: H100, envelopes: [night, day], gpus: 12}
---
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata: {name: vision}
spec: {owner: vision, parents: [lab]}
---
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata: {name: guests}
spec: {owner: guests, namespaces: {names: [guests]}}
"""
GUEST = """
apiVersion: runs.dev/v1alpha1
kind: Run
metadata: {name: guest, namespace: guests, annotations: {runs.dev/simulated-duration: 9h}}
spec: {resources: {flavor: H100, gpus: 4}, funding: {allowBorrow: true, sponsors: [lab]}}
"""


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Two nodes of eight; lab runs 6 of its own for half an hour, and lends 4."""
    for name in ("RUNS_PLUGINS", "RUNS_LOCAL"):
        monkeypatch.delenv(name, raising=False)
    path, manifest, guest = str(tmp_path / "fleet.db"), tmp_path / "budgets.yaml", tmp_path / "guest.yaml"
    manifest.write_text(BUDGETS)
    guest.write_text(GUEST)

    def call(*words: str, code: int = 0) -> Result:
        done = CliRunner().invoke(root, ["--local", path, *words])
        assert done.exit_code == code, done.output
        return done

    call("cluster", "init", "--nodes", "2", "--flavor", "H100", "--at", "2026-01-05T08:00:00Z")
    call("cluster", "apply", "-f", str(manifest))
    call("submit", "train", "--gpus", "6", "--simulated-duration", "9h")
    call("submit", "-f", str(guest))
    call("cluster", "advance", "30m")
    return call


def shown(runs: Runs, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(runs("budgets", "show", *words, "-o", "json").stdout)
    return found


def test_it_has_the_family_of_the_owner_and_what_spends_for_it(runs: Runs) -> None:
    found = shown(runs, "lab")
    kin = ("budget", "owner", "parents", "parentsIgnored", "children", "namespaces")
    assert [found[key] for key in kin] == ["lab", "lab", [], ["ghost"], ["vision"], ["default"]]
    assert shown(runs, "vision")["parents"] == ["lab"]


def test_it_has_each_envelope_with_its_use_its_hours_and_its_terms(runs: Runs) -> None:
    day, night = shown(runs, "lab")["envelopes"]
    left, used = day.pop("gpuHoursLeft"), day.pop("gpuHoursUsed")
    assert (used, left) == (pytest.approx(3, abs=0.02), pytest.approx(97, abs=0.02))
    assert day == {
        "envelope": "day", "flavor": "H100", "gpus": 8, "owned": 6, "shared": 0, "borrowed": 0, "headroom": 2,
        "opens": None, "closes": "2026-02-01T00:00:00Z", "selector": {}, "sharing": "None", "lending": None, "lent": [],
    }  # fmt: skip
    assert (night["borrowed"], night["headroom"], night["selector"]) == (
        4,
        2,
        {"topology.kubernetes.io/region": "default"},
    )
    assert night["lending"] == {"to": ["guest*"], "maxGPUs": 4, "maxGPUHours": None}
    [lent] = night["lent"]
    assert (lent["owner"], lent["gpus"], lent["gpuHours"]) == ("guests", 4, pytest.approx(2, abs=0.02))


def test_it_has_the_caps_with_their_use_and_the_conditions(runs: Runs) -> None:
    found = shown(runs, "lab")
    assert found["caps"] == [{"name": "both", "flavor": "H100", "envelopes": ["day", "night"], "gpus": 12, "used": 10}]
    assert [(one["type"], one["reason"]) for one in found["conditions"]] == [
        ("ExpiresSoon", "EnvelopeEnds"), ("FlavorMissing", "NodesFound"), ("LendingUnread", "Read"),
        ("Overcommitted", "AllPaid"), ("Ready", "ParentUnknown"),
    ]  # fmt: skip


def test_for_people_each_of_it_is_a_table(runs: Runs) -> None:
    lines = [line.split() for line in runs("budgets", "show", "lab", "-o", "wide").output.splitlines()]
    assert ["Parents:", "none", "(and", "without", "effect", "ghost)"] in lines
    night = lines[lines.index(["Envelopes"]) + 3]
    assert night[:7] == ["night", "H100", "6", "0", "0", "4", "2"]
    terms = lines[lines.index(["Terms"]) + 3]
    assert " ".join(terms) == "night - - family guest*, at most 4 GPUs topology.kubernetes.io/region=default"
    assert lines[lines.index(["Lent,", "and", "has", "lent"]) + 2][:3] == ["night", "guests", "4"]
    assert ["both", "H100", "day,", "night", "12", "10"] in lines
    assert runs("budgets", "show", "lab", "-o", "name").output.split() == ["lab/day", "lab/night"]


def test_a_budget_that_is_not_there_is_refused_with_what_is_near(runs: Runs) -> None:
    told = "Error: there is no Budget visio (did you mean vision?); `runs budgets list` lists all\n"
    assert runs("budgets", "show", "visio", code=1).stderr == told

"""The keys that the page on who pays gives for each command are those that the command has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from runs_cli.main import root

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "who-pays.md"
OWNERS = """
apiVersion: v1
kind: Namespace
metadata: {name: guests}
---
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata: {name: lab}
spec:
  owner: lab
  namespaces: {names: [default]}
  envelopes: [{name: main, flavor: H100, gpus: 16, lending: {to: ["*"]}}]
  aggregateCaps: [{name: all, flavor: H100, envelopes: [main], gpus: 16}]
---
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata: {name: guest}
spec: {owner: guest, namespaces: {names: [guests]}}
"""
LOAN = """
apiVersion: runs.dev/v1alpha1
kind: Run
metadata: {name: loan, namespace: guests, annotations: {runs.dev/simulated-duration: 9h}}
spec: {resources: {flavor: H100, gpus: 4}, funding: {allowBorrow: true, sponsors: [lab]}}
"""
WORDS = {
    "budgets usage": (),
    "budgets tree": (),
    "budgets show": ("lab",),
    "budgets request": ("lab", "--envelope", "main", "--gpus", "2"),
    "sponsors list": ("guests/loan",),
    "who-pays": ("guests/loan",),
    "loans": (),
}
OBJECTS = ("manifest", "selector")
"""Those of Kubernetes, whose keys are not ours."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The lab lends to a guest, and so everything has an entry."""
    folder = tmp_path_factory.mktemp("who-pays")
    path, owners, loan = str(folder / "fleet.db"), folder / "owners.yaml", folder / "loan.yaml"
    owners.write_text(OWNERS)
    loan.write_text(LOAN)
    told(path, "cluster", "init", "--nodes", "2", "--flavor", "H100", "--at", "2026-01-05T08:00:00Z")
    told(path, "cluster", "apply", "-f", str(owners))
    told(path, "submit", "-f", str(loan))
    told(path, "cluster", "advance", "30m")
    return path


def told(path: str, *words: str) -> str:
    done = CliRunner(env={"RUNS_PLUGINS": None, "RUNS_LOCAL": None}).invoke(root, ["--local", path, *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def spelled(value: object, name: str = "") -> str:
    """`{a, b[] {c}}`: the keys of an object, sorted, with those of what is in it; of a list, the longest."""
    if isinstance(value, list):
        inside = max((spelled(one) for one in value if isinstance(one, dict)), key=len, default="")
        return f"[] {inside}".rstrip()
    if not isinstance(value, dict) or name in OBJECTS:
        return ""
    parts = []
    for key in sorted(value):
        inside = spelled(value[key], key)
        parts.append(f"{key}{'' if inside.startswith('[]') or not inside else ' '}{inside}")
    return f"{{{', '.join(parts)}}}"


def rows() -> dict[str, str]:
    text = PAGE.read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `([^`]+)` \| `\{([^`]+)\}` \|$", text, re.MULTILINE))


def test_every_command_has_its_line() -> None:
    assert rows().keys() == WORDS.keys()


@pytest.mark.parametrize("command", WORDS)
def test_its_keys_are_those_that_it_has(command: str, fleet: str) -> None:
    found = json.loads(told(fleet, *command.split(), *WORDS[command], "-o", "json"))
    assert f"{{{rows().get(command)}}}" == spelled(found)

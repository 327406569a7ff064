"""What a Budget may not say: refused alike where a person writes it and where an API server asks."""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from runs_budgets import plugin
from runs_cli.main import root
from runs_core.schema.crd import crds
from runs_core.schema.manifest import validate
from runs_core.serve.webhook.review import VALIDATE_PATH, Admission

SECTIONS = tuple(plugin.runs_sections())
ITSELF = "spec.parents: got a list of 2, want owners other than the Budget's own: nobody is its own parent"
CAP = "spec.aggregateCaps: got a list of 1, want envelopes of this Budget, of the cap's own flavor"


def budget(**spec: object) -> dict[str, Any]:
    whole = {"owner": "lab", **spec}
    return {"apiVersion": "runs.dev/v1alpha1", "kind": "Budget", "metadata": {"name": "lab"}, "spec": whole}


OWN_PARENT = budget(parents=["org", "lab"])
NO_ENVELOPE = budget(aggregateCaps=[{"name": "all", "flavor": "H100", "envelopes": ["main"], "gpus": 4}])
BAD = pytest.mark.parametrize(("body", "told"), [(OWN_PARENT, ITSELF), (NO_ENVELOPE, CAP)], ids=["parent", "cap"])


def test_other_parents_are_taken() -> None:
    assert validate(budget(parents=["org", "labs"]), SECTIONS) == []


@BAD
def test_it_is_one_sentence(body: dict[str, Any], told: str) -> None:
    assert [str(problem) for problem in validate(body, SECTIONS)] == [told]


@BAD
def test_the_webhook_refuses_it(body: dict[str, Any], told: str) -> None:
    request = {"uid": "7f", "operation": "CREATE", "object": body, "oldObject": None}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    status, answer = Admission(flavors=lambda: (), sections=SECTIONS).answer(VALIDATE_PATH, json.dumps(review).encode())
    assert (status, answer["response"]["allowed"]) == (HTTPStatus.OK, False)
    assert answer["response"]["status"]["message"] == told


@BAD
def test_the_embedded_cluster_does_not_take_it(
    body: dict[str, Any], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RUNS_PLUGINS", "RUNS_LOCAL"):
        monkeypatch.delenv(name, raising=False)
    manifest, fleet = tmp_path / "budget.yaml", ["--local", str(tmp_path / "fleet.db")]
    manifest.write_text(json.dumps(body))
    assert CliRunner().invoke(root, [*fleet, "cluster", "init", "--nodes", "1"]).exit_code == 0
    done = CliRunner().invoke(root, [*fleet, "cluster", "apply", "-f", str(manifest)])
    assert (done.exit_code, done.stderr) == (2, f"Error: {manifest}:1 {told}\n")


def test_the_api_server_is_told_both_in_its_own_words() -> None:
    [crd] = [one for one in crds(SECTIONS) if one["spec"]["names"]["kind"] == "Budget"]
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    told = {rule["fieldPath"]: rule["message"] for rule in spec["x-kubernetes-validations"]}
    assert set(told) == {".owner", ".parents", ".aggregateCaps"}
    assert (told[".parents"] in ITSELF, told[".aggregateCaps"] in CAP) == (True, True)

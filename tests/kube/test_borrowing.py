"""Borrowing on a real API server: its commands, as somebody who sees all and keeps the runs of one namespace."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.kube.people import (
    Person,
    applied,
    changed,
    gone,
    installed,
    join,
    named,
    person,
    scheduler_kubeconfig,
    space,
    until,
)

import runs_borrowing.plugin
import runs_budgets.plugin
from runs_core.hooks.registry import of
from runs_core.schema.crd import crds
from runs_core.schema.names import API_VERSION

if TYPE_CHECKING:
    from tests.kube.conftest import Plane

GUEST = "borrowing-guest"
FLAVOR = "LOAN-80GB"
RUN = f"""apiVersion: runs.dev/v1alpha1
kind: Run
metadata: {{name: train}}
spec:
  resources: {{gpus: 4, gpusPerPod: 2, flavor: {FLAVOR}}}
  template:
    spec:
      containers: [{{name: main, image: busybox, command: [train]}}]
"""
BANK: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "Budget",
    "metadata": {"name": "borrowing-bank"},
    "spec": {"owner": "bank", "envelopes": [{"name": "main", "flavor": FLAVOR, "gpus": 8, "lending": {"to": ["*"]}}]},
}
OWNER: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "Budget",
    "metadata": {"name": "borrowing-guest"},
    "spec": {"owner": "guest", "namespaces": {"names": [GUEST]}},
}


@pytest.fixture
def guest(kubeplane: Plane, tmp_path: Path) -> Iterator[Person]:
    """A scheduler with both plugins at work, and somebody whose namespace has no quota of its own."""
    both = of(budgets=runs_budgets.plugin, borrowing=runs_borrowing.plugin)
    installed(kubeplane)
    plain = list(crds())
    applied(kubeplane, crds(both.sections))
    until(lambda: "sponsors" in kubeplane.kubectl("explain", "run.spec.funding").stdout)
    applied(kubeplane, [*space(GUEST), BANK, OWNER])
    join(kubeplane, "loan-0", {"runs.dev/gpu-flavor": FLAVOR}, gpus=8)
    person(kubeplane, "gina", "runs-view")
    made = person(kubeplane, "gina", "runs-user", GUEST)
    made = attrs.evolve(made, kubeconfig=changed(made.kubeconfig, made.kubeconfig, context={"namespace": GUEST}))
    words = ["--kubeconfig", str(scheduler_kubeconfig(kubeplane)), "serve", "--http-address", "none"]
    with (tmp_path / "log").open("w") as log:
        scheduler = subprocess.Popen([sys.executable, "-m", "runs_cli.main", *words], stdout=log, stderr=log)
        try:
            yield made
        finally:
            scheduler.terminate()
            scheduler.wait(30)
            kubeplane.kubectl("delete", "clusterrolebinding", "gina-runs-view")
            kubeplane.kubectl("-n", GUEST, "delete", "rolebinding", "gina-runs-user")
            kubeplane.kubectl("-n", GUEST, "delete", "runs,pods", "--all", "--force", "--wait=false")
            gone(kubeplane, named("Node", "loan-0"), BANK, OWNER)
            applied(kubeplane, plain)


def test_the_api_server_holds_the_rule_that_caps_name_known_envelopes(kubeplane: Plane, guest: Person) -> None:
    def answer(*caps: tuple[str, list[str]]) -> str:
        named = [{"name": f"c{at}", "flavor": of, "envelopes": who, "gpus": 8} for at, (of, who) in enumerate(caps)]
        spec = {**BANK["spec"], "aggregateCaps": named}
        said = kubeplane.kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps({**BANK, "spec": spec}))
        return said.stderr if said.returncode else "ok"

    assert answer() == "ok"
    assert answer((FLAVOR, ["main"])) == "ok"
    wanted = "want envelopes of this Budget, of the cap's own flavor"
    assert wanted in answer((FLAVOR, ["main", "other"]))
    assert wanted in answer(("A100", ["main"]))
    assert wanted in answer((FLAVOR, ["main"]), (FLAVOR, ["other"]))


def test_the_api_server_holds_the_rule_that_nobody_is_its_own_parent(kubeplane: Plane, guest: Person) -> None:
    def answer(*parents: str) -> str:
        body = json.dumps({**BANK, "spec": {**BANK["spec"], "parents": list(parents)}})
        said = kubeplane.kubectl("apply", "--dry-run=server", "-f", "-", stdin=body)
        return said.stderr if said.returncode else "ok"

    assert answer("banks", "ban") == "ok"
    assert "want owners other than the Budget's own: nobody is its own parent" in answer("other", "bank")


def test_a_sponsor_that_is_named_while_the_run_runs_pays_for_it(kubeplane: Plane, guest: Person) -> None:
    guest.told("submit", "-f", "-", input=RUN)
    until(lambda: bool(guest.read("who-pays", "train")["now"]))
    assert guest.read("who-pays", "train")["now"] == [
        {"budget": None, "envelope": None, "class": "unfunded", "gpus": 4}
    ]
    guest.told("sponsors", "add", "train", "bank")
    until(lambda: bool(guest.read("loans")["items"]))
    assert guest.read("who-pays", "train")["now"] == [
        {"budget": "borrowing-bank", "envelope": "main", "class": "borrowed", "gpus": 4}
    ]
    [loan] = guest.read("loans", "--lender", "bank")["items"]
    assert (loan["borrower"], loan["run"], loan["gpus"]) == ("guest", f"{GUEST}/train", 4)
    funding = guest.read("get", "train")["spec"]["funding"]
    assert (funding["allowBorrow"], funding["sponsors"]) == (True, ["bank"])
    guest.told("sponsors", "remove", "train", "bank")
    assert guest.read("sponsors", "list", "train")["sponsors"] == []
    assert [loan["gpus"] for loan in guest.read("loans")["items"]] == [4]


def test_another_quota_is_asked_for_by_who_may_not_write_it_and_applied_by_who_may(
    kubeplane: Plane, guest: Person, tmp_path: Path
) -> None:
    """A child is given what its own envelope leaves out by its parent: 8 of the bank's; then 2 of its own beside."""
    child = {**OWNER, "spec": {**OWNER["spec"], "parents": ["bank"]}}
    applied(kubeplane, [child])
    until(lambda: guest.read("budgets", "show", "borrowing-bank")["children"] == ["guest"])
    until(lambda: bool(guest.read("budgets", "show", "borrowing-guest")["conditions"]))
    file = tmp_path / "request.yaml"
    words = ("borrowing-guest", "--envelope", "own", "--flavor", FLAVOR, "--gpus", "2", "--file", str(file))
    said = guest.read("budgets", "request", *words)
    assert [(one["owner"], one["relation"], one["before"], one["after"]) for one in said["headroom"]] == [
        ("guest", "itself", {"own": 0, "family": 8}, {"own": 2, "family": 8}),
        ("bank", "parent", {"own": 8, "family": 0}, {"own": 8, "family": 0}),
    ]
    refused = kubeplane.kubectl("--kubeconfig", str(guest.kubeconfig), "apply", "-f", str(file))
    assert "cannot patch" in refused.stderr
    done = kubeplane.kubectl("apply", "-f", str(file))
    assert done.returncode == 0, done.stderr

    def headroom() -> list[tuple[str, int]]:
        found = guest.read("budgets", "show", "borrowing-guest")["envelopes"]
        return [(one["envelope"], one["headroom"]) for one in found]

    until(lambda: headroom() == [("own", 2)])
    told = guest.told("budgets", "request", *words[:5], "--gpus", "3")
    assert "own: gpus 2 -> 3" in told

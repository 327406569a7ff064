"""`runs sponsors`, `who-pays` and `loans` on the embedded cluster."""

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
metadata: {name: bank}
---
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata: {name: quota-of-bank}
spec:
  owner: bank
  namespaces: {names: [bank]}
  envelopes:
  - {name: main, flavor: H100, gpus: 16, lending: {to: ["*"], maxGPUs: 8}}
---
apiVersion: runs.dev/v1alpha1
kind: Budget
metadata: {name: guest}
spec:
  owner: guest
  namespaces: {names: [default]}
  envelopes:
  - {name: main, flavor: H100, gpus: 4}
"""


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """16 GPUs; the bank lends up to 8, the guest has 4 of its own. `train` wants 12 and asks nobody: it is unfunded."""
    for name in ("RUNS_PLUGINS", "RUNS_LOCAL"):
        monkeypatch.delenv(name, raising=False)
    path, manifest = str(tmp_path / "fleet.db"), tmp_path / "budgets.yaml"
    manifest.write_text(BUDGETS)

    def call(*words: str, code: int = 0) -> Result:
        done = CliRunner().invoke(root, ["--local", path, *words])
        assert done.exit_code == code, done.output
        return done

    call("cluster", "init", "--nodes", "2", "--flavor", "H100", "--at", "2026-01-05T08:00:00Z")
    call("cluster", "apply", "-f", str(manifest))
    call("submit", "train", "--gpus", "12")
    return call


def told(runs: Runs, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(runs(*words, "-o", "json").stdout)
    return found


def asks(runs: Runs) -> tuple[bool, list[str]]:
    found = told(runs, "sponsors", "list", "train")
    return found["allowBorrow"], [sponsor["owner"] for sponsor in found["sponsors"]]


def budgets(*owners: str) -> str:
    """Of owners with nothing to spend in any namespace that there is."""
    said = "apiVersion: runs.dev/v1alpha1\nkind: Budget\nmetadata: {{name: quota-of-{0}}}\n"
    said += "spec: {{owner: {0}, namespaces: {{names: [{0}]}}, envelopes: [{{name: main, flavor: H100, gpus: 1}}]}}\n"
    return "---\n".join(said.format(owner) for owner in owners)


def test_sponsors_are_added_in_order_and_removed(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(budgets("zoe", "abel", "carol"))
    runs("cluster", "apply", "-f", str(tmp_path / "more.yaml"))
    assert asks(runs) == (False, [])
    runs("sponsors", "add", "train", "zoe", "abel")
    assert asks(runs) == (True, ["zoe", "abel"])
    runs("sponsors", "add", "train", "abel", "carol", "--first")
    assert asks(runs) == (True, ["abel", "carol", "zoe"])
    runs("sponsors", "remove", "train", "abel", "zoe")
    assert asks(runs) == (True, ["carol"])
    runs("sponsors", "remove", "train", "carol")
    assert asks(runs) == (True, [])
    assert told(runs, "get", "train")["spec"]["funding"] == {"allowBorrow": True}


def test_a_sponsor_that_is_not_asked_cannot_be_removed(runs: Runs) -> None:
    runs("sponsors", "add", "train", "bank")
    done = runs("sponsors", "remove", "train", "vision", code=1)
    assert done.stderr == "Error: run train does not ask vision to lend; it asks bank\n"
    assert asks(runs) == (True, ["bank"])


def test_an_owner_without_a_budget_is_no_sponsor(runs: Runs) -> None:
    runs("sponsors", "add", "train", "guest")
    done = runs("sponsors", "add", "train", "bnak", code=1)
    assert done.stderr == "Error: no Budget is of bnak (did you mean bank?); those who could lend are bank, guest\n"
    assert asks(runs) == (True, ["guest"])


def test_a_sponsor_whose_budget_has_gone_stays_and_can_be_taken_out(runs: Runs) -> None:
    runs("sponsors", "add", "train", "bank")
    runs("cluster", "delete", "budget", "quota-of-bank")
    runs("sponsors", "add", "train", "guest")
    assert asks(runs) == (True, ["bank", "guest"])
    runs("sponsors", "remove", "train", "bank")
    assert asks(runs) == (True, ["guest"])


def test_what_is_no_owner_is_refused_and_nothing_is_written(runs: Runs) -> None:
    done = runs("sponsors", "add", "train", "", code=2)
    assert "spec.funding.sponsors[0]: got ''" in done.stderr
    assert asks(runs) == (False, [])


def test_a_run_that_is_over_asks_nobody_any_more(runs: Runs) -> None:
    runs("cancel", "train")
    runs("cluster", "advance", "5m")
    assert "is over (Failed)" in runs("sponsors", "add", "train", "bank", code=1).stderr


def test_who_pays_now_and_who_has(runs: Runs) -> None:
    # 30 minutes of 12 GPUs unfunded: 6 GPU-hours. Then 30 minutes of 4 owned, 2 hours, and of 8 borrowed, 4 hours.
    runs("cluster", "advance", "30m")
    assert told(runs, "who-pays", "train") == {
        "run": "default/train",
        "now": [{"budget": None, "envelope": None, "class": "unfunded", "gpus": 12}],
        "gpuHours": {"owned": 0, "shared": 0, "borrowed": 0, "unfunded": 6},
        "byPayer": [{"budget": None, "envelope": None, "gpuHours": 6}],
    }
    runs("sponsors", "add", "train", "bank")
    runs("cluster", "advance", "30m")
    assert told(runs, "who-pays", "train") == {
        "run": "default/train",
        "now": [
            {"budget": "guest", "envelope": "main", "class": "owned", "gpus": 4},
            {"budget": "quota-of-bank", "envelope": "main", "class": "borrowed", "gpus": 8},
        ],
        "gpuHours": {"owned": 2, "shared": 0, "borrowed": 4, "unfunded": 6},
        "byPayer": [
            {"budget": "guest", "envelope": "main", "gpuHours": 2},
            {"budget": "quota-of-bank", "envelope": "main", "gpuHours": 4},
            {"budget": None, "envelope": None, "gpuHours": 6},
        ],
    }
    runs("cancel", "train")
    runs("cluster", "advance", "5m")
    over = told(runs, "who-pays", "train")
    assert over["now"] == []
    assert over["gpuHours"]["unfunded"] == 6
    assert over["gpuHours"]["borrowed"] >= 4  # until its pods had ended


def test_who_pays_for_people_names_nobody_where_nobody_does(runs: Runs) -> None:
    text = runs("who-pays", "train").output
    assert ["nobody", "unfunded", "12"] in [line.split() for line in text.splitlines()]


def test_a_claim_that_is_not_paid_for_has_no_payer(runs: Runs, tmp_path: Path) -> None:
    """The bank's loan of 8 is taken back by an edit of its Budget at 8:30; the guest's own 4 stay paid for."""
    runs("sponsors", "add", "train", "bank")
    assert runs("who-pays", "train", "-o", "name").output.split() == ["guest/main", "quota-of-bank/main"]
    runs("cluster", "advance", "30m")
    (tmp_path / "less.yaml").write_text(BUDGETS.replace(', lending: {to: ["*"], maxGPUs: 8}', ""))
    runs("cluster", "apply", "-f", str(tmp_path / "less.yaml"))
    runs("cluster", "advance", "30m")
    found = told(runs, "who-pays", "train")
    assert found["now"] == [
        {"budget": "guest", "envelope": "main", "class": "owned", "gpus": 4},
        {"budget": None, "envelope": None, "class": "unfunded", "gpus": 8},
    ]
    assert found["byPayer"] == [
        {"budget": "guest", "envelope": "main", "gpuHours": 4},
        {"budget": "quota-of-bank", "envelope": "main", "gpuHours": 4},
        {"budget": None, "envelope": None, "gpuHours": 4},
    ]


def test_loans_have_a_lender_and_a_borrower(runs: Runs) -> None:
    assert told(runs, "loans") == {"items": []}
    assert runs("loans").output == "Nobody lends anything now.\n"
    runs("cluster", "advance", "30m")
    runs("sponsors", "add", "train", "bank")
    runs("cluster", "advance", "30m")
    loan = {
        "lender": "bank", "budget": "quota-of-bank", "envelope": "main", "borrower": "guest", "run": "default/train",
        "gpus": 8, "since": "2026-01-05T08:30:00Z", "until": None, "gpuHours": 4,
    }  # fmt: skip
    assert told(runs, "loans") == {"items": [loan]}
    assert told(runs, "loans", "--lender", "bank", "--borrower", "guest") == {"items": [loan]}
    assert told(runs, "loans", "--lender", "guest") == {"items": []}
    assert told(runs, "loans", "--borrower", "bank") == {"items": []}
    assert told(runs, "loans", "-n", "bank") == {"items": []}
    assert runs("loans").output.splitlines()[1].split()[:5] == [
        "bank", "quota-of-bank/main", "guest", "default/train", "8"
    ]  # fmt: skip


def test_a_loan_that_has_ended_is_told_where_the_past_is_asked_for(runs: Runs) -> None:
    """8 GPUs from 8:00 to 8:30; the run is canceled then, and half an hour later only --since knows of it."""
    runs("sponsors", "add", "train", "bank")
    runs("cluster", "advance", "30m")
    runs("cancel", "train")
    runs("cluster", "advance", "30m")
    assert told(runs, "loans") == {"items": []}
    [loan] = told(runs, "loans", "--since", "1h")["items"]
    assert (loan["lender"], loan["gpus"], loan["since"]) == ("bank", 8, "2026-01-05T08:00:00Z")
    assert loan["until"] is not None
    assert loan["until"].startswith("2026-01-05T08:30:")
    assert loan["gpuHours"] == 4
    assert loan["until"] in runs("loans", "--since", "1h").output
    assert told(runs, "loans", "--since", "20m") == {"items": []}


def test_a_loan_that_its_lender_cannot_pay_for_any_more_is_told_as_one_that_has_ended(
    runs: Runs, tmp_path: Path
) -> None:
    """8 GPUs from 8:00 on; at 8:30 the bank lends to nobody any more. The run goes on."""
    runs("sponsors", "add", "train", "bank")
    runs("cluster", "advance", "30m")
    (tmp_path / "less.yaml").write_text(BUDGETS.replace(', lending: {to: ["*"], maxGPUs: 8}', ""))
    runs("cluster", "apply", "-f", str(tmp_path / "less.yaml"))
    runs("cluster", "advance", "30m")
    assert told(runs, "loans") == {"items": []}
    [loan] = told(runs, "loans", "--since", "2h")["items"]
    assert (loan["lender"], loan["run"], loan["gpus"], loan["gpuHours"]) == ("bank", "default/train", 8, 4)
    assert (loan["since"], loan["until"]) == ("2026-01-05T08:00:00Z", "2026-01-05T08:30:00Z")
    assert told(runs, "loans", "--since", "20m") == {"items": []}


def test_a_list_of_sponsors_says_what_each_lends(runs: Runs) -> None:
    runs("sponsors", "add", "train", "guest", "bank")
    runs("cluster", "advance", "1m")
    assert told(runs, "sponsors", "list", "train")["sponsors"] == [
        {"owner": "guest", "gpus": 0},
        {"owner": "bank", "gpus": 8},
    ]


def test_the_commands_are_off_with_the_plugin(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNS_PLUGINS", "budgets")
    assert "its plugin borrowing is off" in runs("loans", code=2).stderr


LATER = """
apiVersion: runs.dev/v1alpha1
kind: Run
metadata: {name: later}
spec:
  resources: {flavor: H100, gpus: 8}
  funding: {allowUnfunded: false}
"""


def test_a_sponsor_that_is_told_of_does_start_the_run(runs: Runs, tmp_path: Path) -> None:
    manifest = tmp_path / "later.yaml"
    manifest.write_text(LATER)
    runs("cancel", "train")
    runs("cluster", "advance", "1m")
    runs("submit", "-f", str(manifest))
    explained = told(runs, "explain", "later")
    assert [
        (one["change"], one["command"].split("fleet.db ")[-1] if one["command"] else None)
        for one in explained["remedies"]
    ] == [
        ("ask for 4 GPUs instead of 8", None),
        ("borrow 4 from bank (funding.sponsors)", "-n default sponsors add later bank"),
        ("set funding.allowUnfunded", None),
    ]
    command = explained["remedies"][1]["command"].split("fleet.db ")[-1]
    runs(*command.split())
    assert told(runs, "explain", "later")["phase"] == "Starting"
    assert told(runs, "who-pays", "later")["now"][1]["class"] == "borrowed"


def test_where_nothing_helps_that_is_said(runs: Runs) -> None:
    runs("submit", "vast", "--gpus", "12", "--gpus-per-pod", "12")
    told_ = "no single change of its width, groups, places, flavor, payers or duration is known to"
    assert told_ in runs("explain", "vast").stdout

"""The demo's day has one of everything, is the same every time, and leaves a state to go on with."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result

from runs_cli.failures import Stop
from runs_cli.main import root

Runs = Callable[..., Result]
SECONDS = 60


class Day(NamedTuple):
    """The demo, done once. seconds: of CPU."""

    state: Path
    told: str
    seconds: float


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    path = tmp_path_factory.mktemp("demo") / "day.db"
    began = time.process_time()
    answer = CliRunner().invoke(root, ["demo", "--state", str(path)])
    assert answer.exit_code == 0, answer.stderr
    return Day(path, answer.stdout, time.process_time() - began)


@pytest.fixture
def state(day: Day) -> Path:
    return day.state


def phases(runs: Runs, state: Path) -> dict[str, tuple[str, str]]:
    items = json.loads(runs("--local", str(state), "get", "-A", "-o", "json").stdout)["items"]
    return {item["metadata"]["name"]: (item["status"]["phase"], item["status"]["reason"]) for item in items}


def test_a_day_takes_less_than_a_minute_and_shows_queue_fleet_and_a_reason(day: Day) -> None:
    assert day.seconds < SECONDS
    for part in ("First in line", "The fleet", "Why does ", "The fleet, step by step", "Try next"):
        assert part in day.told


def test_runs_wait_because_the_fleet_is_full(runs: Runs, state: Path) -> None:
    assert len(json.loads(runs("--local", str(state), "queue", "-o", "json").stdout)["items"]) > 10
    for flavor in json.loads(runs("--local", str(state), "top", "-o", "json").stdout)["flavors"]:
        assert (flavor["active"] + flavor["unfunded"]) / flavor["gpus"] > 0.8


@pytest.mark.parametrize(
    ("name", "phase", "reason"),
    [
        ("pretrain", "Succeeded", "Succeeded"),
        ("evaluate", "Succeeded", "Succeeded"),
        ("flaky", "Succeeded", "Succeeded"),
        ("stuck", "Failed", "StartTimeout"),
        ("parked", "Held", "Suspended"),
        ("too-wide", "Queued", "NeverFits"),
        ("mistake", "Failed", "Canceled"),
    ],
)
def test_there_is_one_of_each_kind(runs: Runs, state: Path, name: str, phase: str, reason: str) -> None:
    assert phases(runs, state)[name] == (phase, reason)


def test_the_node_that_broke_cost_somebody_an_attempt(runs: Runs, state: Path) -> None:
    leases = runs("--local", str(state), "leases", "export", "-A", "--node", "h100-007").stdout.splitlines()
    assert any(json.loads(lease)["status"].get("closureReason") == "NodeLost" for lease in leases)


def test_a_family_shares_a_parent_recalls_and_a_stranger_lends(runs: Runs, day: Day, state: Path) -> None:
    def read(*words: str) -> Any:  # noqa: ANN401 - JSON
        return json.loads(runs("--local", str(state), *words, "-o", "json").stdout)

    tree = {one["owner"]: one for one in read("budgets", "tree")["items"]}
    assert {owner: one["parents"] for owner, one in tree.items()} == {
        "org:lab": [], "org:language": ["org:lab"], "org:vision": ["org:lab"], "org:robotics": [],
    }  # fmt: skip
    usage = {(one["budget"], one["envelope"]): one for one in read("budgets", "usage")["items"]}
    assert (usage["lab", "l40s"]["owned"], usage["lab", "l40s"]["shared"]) == (8, 4)
    assert [(one["envelope"], one["class"], one["gpus"]) for one in read("who-pays", "language/encode")["now"]] == [
        ("l40s", "shared", 4), ("l40s", "owned", 4),
    ]  # fmt: skip
    assert usage["vision", "l40s"]["borrowed"] == 8
    [loan] = read("loans")["items"]
    assert (loan["lender"], loan["borrower"], loan["run"]) == ("org:vision", "org:robotics", "robotics/arm")
    [recall] = [one for one in read("resolve", "list")["items"] if one["spec"]["beneficiary"]["namespace"] == "lab"]
    assert [cut["name"] for cut in recall["spec"]["cuts"]] == ["render"]
    assert ("lab", "l40s") in {(one["budget"], one["envelope"]) for one in read("who-pays", "vision/render")["byPayer"]}
    assert read("explain", "vision/render")["cut"]["beneficiary"] == "lab/baseline"


def test_a_promise_is_made_explained_and_kept(runs: Runs, day: Day, state: Path) -> None:
    [told] = json.loads(runs("--local", str(state), "explain", "vision/preview", "-o", "json").stdout)["promised"]
    [promise] = told["promises"]
    assert promise["at"] < promise["earliestStart"]
    assert (told["phase"], promise["basis"], promise["errorSeconds"]) == ("Released", "Ends", 0)
    assert "Promised starts" in day.told


def test_what_the_plugins_say_is_part_of_the_story(day: Day) -> None:
    _, promise, tree, payers, loans = day.told.split("\n`runs ")
    assert promise.startswith("explain vision/preview`")
    assert tree.startswith("budgets tree`")
    assert payers.startswith("who-pays ")
    assert loans.startswith("loans --lender org:vision`")
    assert "robotics/arm" in loans


@pytest.mark.parametrize("on", ["", "budgets"])
def test_without_plugins_the_day_is_lived_all_the_same(
    on: str, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNS_PLUGINS", on)
    told = runs("demo", "--state", str(tmp_path / "bare.db")).stdout
    assert ("budgets tree`" in told, "loans" in told) == (on == "budgets", False)
    assert "Try next" in told


def test_the_commands_to_try_next_work(runs: Runs, day: Day, tmp_path: Path) -> None:
    copy = shutil.copy(day.state, tmp_path / "again.db")
    lines = [line.split() for line in day.told.split("Try next")[1].strip().splitlines()]
    assert len(lines) > 5
    for line in lines:
        assert line[:3] == ["runs", "--local", str(day.state)]
        answer = runs("--local", str(copy), *line[3:])
        assert answer.exit_code == (1 if "plan" in line else 0), (line, answer.stderr)


def test_only_its_own_file_is_made_anew(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("runs_cli.actions.demo.created", _no_cluster)
    for name in ("", "-wal", "-shm", "-notes.txt", ".kept"):
        Path(f"runs-demo.db{name}").write_text("mine", encoding="utf-8")
    assert "no cluster" in runs("demo").stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs-demo.db-notes.txt", "runs-demo.db.kept"]


def _no_cluster(*_: object) -> None:
    raise Stop("no cluster")


def test_it_is_the_same_day_every_time(runs: Runs, state: Path, tmp_path: Path) -> None:
    heads = []
    for name in ("a.db", "b.db"):
        told = runs("demo", "--state", str(tmp_path / name), "-o", "json")
        heads.append(json.loads(told.stdout)["status"]["head"])
    assert heads[0] == heads[1]


def test_a_file_that_is_there_is_not_overwritten(runs: Runs, state: Path) -> None:
    answer = runs("demo", "--state", str(state))
    assert answer.exit_code == 1
    assert "exists already" in answer.stderr

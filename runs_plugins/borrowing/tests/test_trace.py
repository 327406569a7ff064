"""`explain` and `plan` say of each envelope why it gives no more, and who would be cut: each where it is true."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from runs_cli.main import root

Runs = Callable[..., Result]
Look = tuple[int, int, int, str]
REGION = "topology.kubernetes.io/region"


def budget(name: str, *envelopes: dict[str, Any], **spec: object) -> dict[str, Any]:
    body = {"owner": name, "envelopes": [{"flavor": "H100", **one} for one in envelopes], **spec}
    return {"apiVersion": "runs.dev/v1alpha1", "kind": "Budget", "metadata": {"name": name}, "spec": body}


def run(name: str, gpus: int, *, namespace: str = "default", per_pod: int = 1, **spec: object) -> dict[str, Any]:
    return {
        "apiVersion": "runs.dev/v1alpha1",
        "kind": "Run",
        "metadata": {"name": name, "namespace": namespace, "annotations": {"runs.dev/simulated-duration": "9h"}},
        "spec": {"resources": {"flavor": "H100", "gpus": gpus, "gpusPerPod": per_pod}, **spec},
    }


def asks(*sponsors: str, **more: object) -> dict[str, Any]:
    return {"allowBorrow": True, "sponsors": list(sponsors), **more}


CAPS = [{"name": "both", "flavor": "H100", "envelopes": ["c-capped", "d-capped"], "gpus": 4}]
OWN = (
    {"name": "a-spent", "gpus": 2, "gpuHours": 1},
    {"name": "b-busy", "gpus": 4},
    {"name": "c-capped", "gpus": 8},
    {"name": "d-capped", "gpus": 8},
    {"name": "e-brief", "gpus": 16, "gpuHours": 4},
    {"name": "f-later", "gpus": 1, "window": {"start": "2026-01-06T00:00:00Z"}},
    {"name": "g-over", "gpus": 1, "window": {"end": "2026-01-05T08:30:00Z"}},
    {"name": "h-north", "gpus": 1, "selector": {REGION: "north"}},
    {"name": "i-open", "gpus": 5},
)
OWNERS = (
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "guests"}},
    budget("vision", *OWN, parents=["lab"], namespaces={"names": ["default"]}, aggregateCaps=CAPS),
    budget("lab", {"name": "main", "gpus": 4}, {"name": "own", "gpus": 8, "sharing": "None"}),
    budget("guest", namespaces={"names": ["guests"]}),
    budget("old", {"name": "main", "gpus": 8, "lending": {"to": ["*"], "maxGPUHours": 1}}),
    budget("shy", {"name": "main", "gpus": 8, "lending": {"to": ["guest"]}}),
    budget("tight", {"name": "main", "gpus": 8, "lending": {"to": ["vis*"], "maxGPUs": 4}}),
    budget("bank", {"name": "main", "gpus": 8, "lending": {"to": ["*"]}}),
)
PROBE = run(
    "probe",
    99,
    topology={"selector": {REGION: "default"}},
    funding=asks("old", "shy", "tight", "bank", maxBorrowGPUs=6, allowUnfunded=False),
)
WHY: dict[str, Look] = {
    "vision/a-spent": (0, 2, 0, "hours used up"),
    "vision/b-busy": (0, 0, 0, "ranks below 1 claim"),
    "vision/c-capped": (0, 8, 4, "cap both"),
    "vision/d-capped": (0, 8, 0, "cap both"),
    "vision/e-brief": (0, 16, 8, "hours left would pay less than its minRuntime"),
    "vision/f-later": (0, 1, 0, "closed until 2026-01-06T00:00:00Z"),
    "vision/g-over": (0, 1, 0, "closed since 2026-01-05T08:30:00Z"),
    "vision/h-north": (0, 1, 0, "elsewhere"),
    "vision/i-open": (0, 5, 5, ""),
    "lab/main": (1, 4, 4, ""),
    "lab/own": (1, 8, 0, "not shared"),
    "old/main": (4, 8, 0, "hours to lend used up"),
    "shy/main": (4, 8, 0, "not lent to vision"),
    "tight/main": (4, 8, 4, "lends at most 4 GPUs"),
    "bank/main": (4, 8, 2, "borrow limit"),
}


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """128 GPUs, and the command line in a folder of its own. What is written is read from there."""
    for name in ("RUNS_PLUGINS", "RUNS_LOCAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*words: str, code: int = 0) -> Result:
        done = CliRunner().invoke(root, ["--local", "fleet.db", *words])
        assert done.exit_code == code, done.output
        return done

    call("cluster", "init", "--nodes", "16", "--flavor", "H100", "--at", "2026-01-05T08:00:00Z", "--seed", "7")
    return call


def written(*bodies: dict[str, Any]) -> str:
    Path("these.yaml").write_text("\n---\n".join(json.dumps(body) for body in bodies))
    return "these.yaml"


@pytest.fixture
def runs(empty: Runs) -> Runs:
    """An hour on: `burner` has used up a-spent, `holder` has b-busy, and `loan` all hours that old lends."""
    empty("cluster", "apply", "-f", written(*OWNERS))
    for one in (run("burner", 2), run("holder", 4), run("loan", 2, namespace="guests", funding=asks("old"))):
        empty("submit", "-f", written(one))
        empty("cluster", "advance", "1s")
    empty("cluster", "advance", "1h")
    return empty


def looks(found: dict[str, Any]) -> dict[str, Look]:
    return {
        f"{one['budget']}/{one['envelope']}": (one["tier"], one["had"], one["gave"], one["why"])
        for one in found["cover"]
    }


def test_plan_says_of_each_envelope_what_it_had_what_it_gave_and_why_no_more(runs: Runs) -> None:
    found = json.loads(runs("plan", "-f", written(PROBE), "-o", "json", code=1).stdout)
    assert looks(found) == WHY
    assert list(looks(found)) == [*list(WHY)[:11], "old/main", "shy/main", "tight/main", "bank/main"]


def test_explain_says_the_same_of_a_run_that_waits(runs: Runs) -> None:
    runs("submit", "-f", written(PROBE))
    assert looks(json.loads(runs("explain", "probe", "-o", "json").stdout)) == WHY


def test_for_people_it_is_a_table(runs: Runs) -> None:
    text = runs("plan", "-f", written(PROBE), code=1).output
    rows = [line.split() for line in text[text.index("Who was asked to pay") :].splitlines()]
    assert rows[1] == ["ENVELOPE", "AS", "HAD", "GAVE", "WHY"]
    assert ["vision/c-capped", "own", "8", "4", "cap", "both"] in rows
    assert ["lab/own", "child", "8", "0", "not", "shared"] in rows
    assert ["bank/main", "stranger", "8", "2", "borrow", "limit"] in rows


def test_where_each_reason_is_mended_each_gives_all_that_it_had(runs: Runs) -> None:
    """b-busy is free once its run ends; h-north is where the run may go."""
    own = [{key: value for key, value in one.items() if key in ("name", "gpus")} for one in OWN]
    lends = {"lending": {"to": ["*"]}}
    mended = (
        budget("vision", *own, parents=["lab"], namespaces={"names": ["default"]}),
        budget("lab", {"name": "main", "gpus": 4}, {"name": "own", "gpus": 8}),
        *(budget(name, {"name": "main", "gpus": 8, **lends}) for name in ("old", "shy", "tight")),
    )
    for name in ("burner", "holder"):
        runs("cancel", name)
    runs("cancel", "loan", "-n", "guests")
    runs("cluster", "apply", "-f", written(*mended))
    runs("cluster", "advance", "1m")
    probe = run("probe", 99, funding=asks("old", "shy", "tight", "bank", allowUnfunded=False))
    found = looks(json.loads(runs("plan", "-f", written(probe), "-o", "json", code=1).stdout))
    assert found.keys() == WHY.keys()
    assert [name for name, (_, had, gave, why) in found.items() if had != gave or why] == []
    assert found["vision/b-busy"] == (0, 4, 4, "")


def test_a_pod_has_one_payer(runs: Runs) -> None:
    found = json.loads(runs("plan", "-f", written(run("wide", 16, per_pod=8)), "-o", "json").stdout)
    assert looks(found)["vision/i-open"] == (0, 5, 0, "a pod of 8 GPUs has one payer")


# -- who runs, and who would be cut -----------------------------------------------------------------------------------

FAMILY = (
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lab"}},
    budget("lab", {"name": "main", "gpus": 32}, namespaces={"names": ["lab"]}),
    budget("vision", {"name": "main", "gpus": 64}, parents=["lab"], namespaces={"names": ["default"]}),
)


@pytest.fixture
def full(empty: Runs) -> Runs:
    """64 GPUs of vision's own, 32 of lab's that it shares, 32 that nobody pays for: the fleet is full, for an hour."""
    empty("cluster", "apply", "-f", written(*FAMILY))
    for name, gpus in (("first", 64), ("second", 32), ("third", 32)):
        empty("submit", "-f", written(run(name, gpus, per_pod=8)))
        empty("cluster", "advance", "1s")
    empty("cluster", "advance", "10m")
    return empty


HEIR = run("heir", 32, namespace="lab", per_pod=8)


def heir(runs: Runs, *, code: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(runs("plan", "-f", written(HEIR), "-o", "json", code=code).stdout)
    return found


def test_work_inside_its_least_runtime_is_told_with_the_end_of_that(full: Runs) -> None:
    """`second` counts too: it is lab's own claim that makes it unfunded."""
    found = heir(full, code=1)
    assert (found["verdict"], found["cuts"]) == ("Wait", [])
    assert found["spared"] == {"gpus": 64, "until": "2026-01-05T08:30:01Z"}
    text = full("plan", "-f", written(HEIR), code=1).output
    told = "64 GPUs of work that could be cut: safe for now, the first of it until"
    assert f"{told} 2026-01-05T08:30:01Z" in text


def test_who_may_be_cut_is_told_with_its_odds_and_one_of_them_is_cut(full: Runs) -> None:
    full("cluster", "advance", "30m")
    found = heir(full, code=0)
    assert (found["verdict"], found["reasons"][0]["code"], found["spared"]) == ("Start", "Activating", None)
    assert found["payers"] == [{"budget": "lab", "envelope": "main", "class": "owned", "gpus": 32}]
    assert found["cuts"] == [
        {"run": f"default/{name}", "group": None, "gpus": 32, "stage": "unfunded", "odds": 0.5}
        for name in ("second", "third")
    ]
    assert ["default/second", "32", "unfunded", "50.0%"] in [
        line.split() for line in full("plan", "-f", written(HEIR)).output.splitlines()
    ]
    assert json.loads(full("resolve", "list", "-o", "json").stdout)["items"] == []
    full("submit", "-f", written(HEIR))
    [cut] = json.loads(full("resolve", "show", "1", "-o", "json").stdout)["spec"]["cuts"]
    assert cut["name"] in ("second", "third")


def test_explain_has_the_last_cut_of_both_sides_with_seed_and_verification(full: Runs) -> None:
    full("cluster", "advance", "30m")
    full("submit", "-f", written(HEIR))
    full("cluster", "advance", "1m")
    resolution = json.loads(full("resolve", "show", "1", "-o", "json").stdout)["spec"]
    victim = resolution["cuts"][0]["name"]
    told = {}
    for name in ("lab/heir", f"default/{victim}"):
        told[name] = json.loads(full("explain", name, "-o", "json").stdout)["cut"]
        seed = told[name].pop("seed")
        assert seed.startswith(f"runs.dev/v1|{resolution['beneficiary']['uid']}|1|1|")
        assert seed.endswith(resolution["seed"]["nonce"])
    common = {"resolution": "resolution-1", "at": "2026-01-05T08:40:03Z", "beneficiary": "lab/heir", "gpus": 32}
    assert told["lab/heir"] == {**common, "lost": False, "verified": True}
    assert told[f"default/{victim}"] == {**common, "lost": True, "verified": True}
    assert json.loads(full("explain", "first", "-o", "json").stdout)["cut"] is None
    assert "resolution-1 takes 32 GPUs back from 1 run" in full("explain", "lab/heir", "--history").output
    text = full("explain", victim).output
    assert "resolution-1 took 32 GPUs from it for lab/heir at 2026-01-05T08:40:03Z; all of it follows" in text


def test_a_run_that_nobody_pays_for_is_told_who_was_asked(full: Runs) -> None:
    found = json.loads(full("explain", "third", "-o", "json").stdout)
    assert (found["verdict"], found["phase"]) == ("Start", "Running")
    assert looks(found) == {
        "vision/main": (0, 0, 0, "ranks below 1 claim"),
        "lab/main": (1, 0, 0, "ranks below 1 claim"),
    }
    assert json.loads(full("explain", "first", "-o", "json").stdout)["cover"] == []


def test_odds_that_nobody_could_work_out_in_time_are_left_out_and_said_to_be(empty: Runs) -> None:
    """4 of 32 runs of one GPU each: 863,040 ways to draw."""
    own = budget("lab", {"name": "main", "gpus": 4, "sharing": "None"}, namespaces={"names": ["lab"]})
    theirs = budget("vision", {"name": "main", "gpus": 96}, namespaces={"names": ["default"]})
    empty("cluster", "apply", "-f", written(FAMILY[0], own, theirs))
    empty("submit", "-f", written(run("first", 96, per_pod=8)))
    empty("submit", "-f", written(*(run(f"small-{at:02}", 1) for at in range(32))))
    empty("cluster", "advance", "40m")
    body = run("heir", 4, namespace="lab")
    found = json.loads(empty("plan", "-f", written(body), "-o", "json").stdout)
    assert len(found["cuts"]) == 32
    assert {one["odds"] for one in found["cuts"]} == {None}
    assert (
        "Who may be cut (more than 3000 ways to draw: no odds are worked out)"
        in empty("plan", "-f", written(body)).output
    )

"""`runs resolve run`: who would be cut for GPUs that are to be free, and the taking-back itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from runs_core.cluster.local import Store

Runs = Callable[..., Result]
NODE = """
apiVersion: v1
kind: Node
metadata: {name: NAME, labels: {runs.dev/gpu-flavor: h100, runs.dev/fabric-domain: DOMAIN}}
status: {allocatable: {nvidia.com/gpu: "8", cpu: "96", memory: 1Ti}}
"""


@pytest.fixture
def on(runs: Runs, tmp_path: Path) -> Runs:
    """Two nodes of 8; two runs of 4 lie on one of them for five hours now."""

    def _on(*words: str) -> Result:
        return runs("--local", str(tmp_path / "fleet.db"), *words)

    nodes = "\n---".join(
        NODE.replace("NAME", name).replace("DOMAIN", where) for name, where in (("n1", "a"), ("n2", "b"))
    )
    (tmp_path / "fleet.yaml").write_text(nodes, encoding="utf-8")
    _on("cluster", "init", "--at", "2026-01-05T12:00:00Z")
    _on("cluster", "apply", "-f", str(tmp_path / "fleet.yaml"))
    for name in ("one", "two"):
        assert _on("submit", name, "--gpus", "4").exit_code == 0
    _on("cluster", "advance", "5h")
    return _on


def asked(on: Runs, gpus: int, *more: str) -> Result:
    return on("resolve", "run", "--flavor", "h100", "--gpus", str(gpus), *more)


def answered(found: Result) -> dict[str, Any]:
    return dict(json.loads(found.stdout))


def home(on: Runs) -> str:
    """The domain that both lie in."""
    return next(name for name in ("a", "b") if answered(asked(on, 4, "--domain", name, "-o", "json"))["missing"] == 4)


def test_a_dry_run_shows_odds_and_changes_nothing(on: Runs) -> None:
    where = home(on)
    found = answered(asked(on, 4, "--domain", where, "-o", "json"))
    assert (found["scope"], found["missing"], found["resolution"]) == ([f"default/default/{where}"], 4, None)
    cuts = [(one["run"], one["gpus"], one["stage"], one["odds"]) for one in found["cuts"]]
    assert cuts == [("default/one", 4, "unfunded", 0.5), ("default/two", 4, "unfunded", 0.5)]
    assert on("resolve", "list", "-o", "name").stdout == ""


def test_applied_it_is_a_resolution_that_verifies(on: Runs) -> None:
    where = home(on)
    done = asked(on, 8, "--domain", where, "--apply", "-o", "json")
    assert (done.exit_code, answered(done)["resolution"]) == (0, "resolution-1")
    assert on("resolve", "verify", "1").exit_code == 0
    (one,) = json.loads(on("resolve", "list", "-o", "json").stdout)["items"]
    assert (one["spec"]["trigger"], len(one["spec"]["cuts"])) == ("Manual", 2)
    assert "beneficiary" not in one["spec"]
    assert "Manual" in on("resolve", "show", "1").stdout


def test_who_is_cut_by_hand_is_told_the_seed_that_the_draw_was_made_from(on: Runs) -> None:
    asked(on, 4, "--domain", home(on), "--apply")
    (shown,) = [line for line in on("resolve", "show", "1").stdout.splitlines() if line.startswith("Seed:")]
    seeds = [
        line.removeprefix("  seed ")
        for name in ("one", "two")
        for line in on("explain", name).stdout.splitlines()
        if line.startswith("  seed ")
    ]
    assert seeds == [shown.removeprefix("Seed:").strip()]


def test_where_enough_is_free_nothing_is_asked_for(on: Runs) -> None:
    done = asked(on, 8, "--apply", "-o", "json")
    assert (done.exit_code, answered(done)["resolution"], answered(done)["missing"]) == (0, None, 0)


def test_more_than_there_is_is_refused(on: Runs) -> None:
    done = asked(on, 9, "--domain", "a", "--apply")
    assert done.exit_code == 1
    assert "Nobody was cut: whoever may be cut, there would not be enough" in done.stdout


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--flavor", "h10", "--gpus", "4"), "there is no flavor h10 (did you mean h100?)"),
        (
            ("--flavor", "h100", "--gpus", "4", "--domain", "c"),
            "there is no domain c; the flavor has default/default/a, ",
        ),
        (("--flavor", "h100", "--gpus", "0"), "--gpus"),
        (("--gpus", "4"), "--flavor"),
    ],
)
def test_what_cannot_be_is_refused_with_a_remedy(on: Runs, words: tuple[str, ...], why: str) -> None:
    done = on("resolve", "run", *words)
    assert done.exit_code != 0
    assert why in done.stderr


def test_the_request_does_not_stay_on_the_node(on: Runs, tmp_path: Path) -> None:
    assert answered(asked(on, 16, "--apply", "-o", "json"))["resolution"] == "resolution-1"
    store = Store.open(tmp_path / "fleet.db")
    nodes = [body["metadata"] for body in store.find("Node")]
    store.close()
    assert [node.get("annotations", {}) for node in nodes] == [{}, {}]

"""A run that may have more than one width, as a plugin says, is shown as wide as it is, and as it may be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result

from runs_core.hooks.registry import of
from runs_core.testing.plugins import a_plugin
from runs_core.values.demand import Demand
from runs_core.values.run import Run

Runs = Callable[..., Result]


def runs_demand(run: Run) -> Demand | None:
    """Up to three times what it needs."""
    return Demand(least=run.gpus, most=3 * run.gpus, step=run.gpus) if "wide" in run.key.name else None


@pytest.fixture
def on(runs: Runs, fleet: str, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """A command on sixteen GPUs, with that plugin."""
    monkeypatch.setattr("runs_cli.enabled.registry", lambda _: of(stretch=a_plugin(runs_demand)))
    return lambda *words: runs("--local", fleet, *words)


def submitted(on: Runs, name: str) -> None:
    assert on("submit", name, "--gpus", "4").exit_code == 0


def column(on: Runs, name: str) -> dict[str, str]:
    title, *rows = (line.split() for line in on("get").stdout.splitlines())
    return {row[0]: row[title.index(name)] for row in rows}


def test_get_shows_the_width_that_it_has_of_the_one_that_it_would_take(on: Runs) -> None:
    for name in ("fixed", "wide", "wider"):
        submitted(on, name)
    assert column(on, "GPUS") == {"fixed": "4/4", "wide": "12/12", "wider": "0/12"}
    on("cancel", "fixed")
    on("cluster", "advance", "2m")
    assert column(on, "GPUS")["wider"] == "4/12"


def test_explain_says_from_which_width_to_which(on: Runs) -> None:
    for name in ("wide", "fixed"):
        submitted(on, name)
    assert "4 to 12 GPUs of H100" in on("explain", "wide").stdout
    assert "4 GPUs of H100" in on("explain", "fixed").stdout

"""The plugin as such: what every plugin must keep, and what its section takes."""

from __future__ import annotations

from typing import ClassVar

import pytest

from runs_borrowing import plugin
from runs_borrowing.sections import Borrowing
from runs_budgets import plugin as budgets
from runs_core.hooks.registry import of
from runs_core.schema.manifest import validate
from runs_core.testing.builders import a_run
from runs_core.testing.conformance import PluginConformance


class TestConformance(PluginConformance):
    name = "borrowing"
    plugin: ClassVar = plugin
    runs: ClassVar = (
        a_run("plain"),
        a_run("shy", sections=(Borrowing(sponsors=("bank",)),)),
        a_run("alone", sections=(Borrowing(allow_borrow=True, max_borrow_gpus=8),)),
    )


def refused(**funding: object) -> list[str]:
    run = {
        "apiVersion": "runs.dev/v1alpha1",
        "kind": "Run",
        "metadata": {"name": "job", "namespace": "guest"},
        "spec": {"resources": {"gpus": 8}, "funding": funding},
    }
    return [str(problem) for problem in validate(run, of(budgets=budgets, borrowing=plugin).sections)]


def test_one_section_has_the_fields_of_both_plugins() -> None:
    assert not refused(allowUnfunded=False, allowBorrow=True, maxBorrowGPUs=8, sponsors=["zoe", "abel"])


@pytest.mark.parametrize(
    ("field", "value", "want"),
    [
        ("sponsors", ["zoe", "zoe"], "got 'zoe' again, as in entry 0, want each once"),
        ("sponsors", [""], "got '', want "),
        ("maxBorrowGPUs", 0, "got 0, want a whole number from 1 to 10000000"),
        ("allowBorrow", "yes", "got 'yes', want true or false"),
        ("sponsor", ["zoe"], "got an unknown field (did you mean sponsors?)"),
    ],
)
def test_what_the_section_does_not_take_is_refused(field: str, value: object, want: str) -> None:
    [told] = refused(**{field: value})
    assert told.startswith(f"spec.funding.{field}")
    assert want in told

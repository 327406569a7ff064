"""What becomes of `spec.funding` with each set of plugins: refused by name, never ignored."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from runs_borrowing import plugin as borrowing
from runs_borrowing.sections import Borrowing
from runs_budgets import plugin as budgets
from runs_budgets.sections import Terms
from runs_core import Section
from runs_core.hooks.registry import of
from runs_core.schema.convert import run_from_object
from runs_core.schema.manifest import validate

CORE: Mapping[str, object] = {}
BUDGETS: Mapping[str, object] = {"budgets": budgets}
BOTH: Mapping[str, object] = {"budgets": budgets, "borrowing": borrowing}
BORROWS = {"allowBorrow": True, "maxBorrowGPUs": 8, "sponsors": ["bank"]}


def run(funding: object) -> dict[str, object]:
    spec = {"resources": {"gpus": 8}, "funding": funding}
    metadata = {"name": "job", "namespace": "guest"}
    return {"apiVersion": "runs.dev/v1alpha1", "kind": "Run", "metadata": metadata, "spec": spec}


def sections(plugins: Mapping[str, object]) -> tuple[Section, ...]:
    return of(**plugins).sections


def refusals(plugins: Mapping[str, object], funding: object) -> list[str]:
    return [str(problem) for problem in validate(run(funding), sections(plugins))]


def of_plugin(field: str, plugin: str) -> str:
    install = f"install it with `pip install -e runs_plugins/{plugin}`, or switch it on"
    return f"spec.funding{field}: got a field of the plugin {plugin}, which is not on: {install}"


def test_bare_core_names_the_plugin_of_each_field() -> None:
    assert refusals(CORE, {**BORROWS, "allowUnfunded": True}) == [
        of_plugin(".allowBorrow", "borrowing"),
        of_plugin(".maxBorrowGPUs", "borrowing"),
        of_plugin(".sponsors", "borrowing"),
        of_plugin(".allowUnfunded", "budgets"),
    ]


@pytest.mark.parametrize("funding", [{}, {"nonsense": 1}, 5])
def test_bare_core_names_budgets_for_the_section_as_a_whole(funding: object) -> None:
    assert refusals(CORE, funding) == [of_plugin("", "budgets")]


def test_budgets_alone_takes_its_own_field_and_names_borrowing_for_the_others() -> None:
    assert not refusals(BUDGETS, {"allowUnfunded": False})
    assert refusals(BUDGETS, {**BORROWS, "allowUnfunded": False}) == [
        of_plugin(".allowBorrow", "borrowing"),
        of_plugin(".maxBorrowGPUs", "borrowing"),
        of_plugin(".sponsors", "borrowing"),
    ]
    [told] = refusals(BUDGETS, {"nonsense": 1})
    assert "plugin" not in told


def test_both_take_all_of_it_each_its_own() -> None:
    funding = {**BORROWS, "allowUnfunded": False}
    assert not refusals(BOTH, funding)
    made = run_from_object(run(funding), sections(BOTH))
    assert made.spec.sections[Terms] == Terms(allow_unfunded=False)
    assert made.spec.sections[Borrowing] == Borrowing(allow_borrow=True, max_borrow_gpus=8, sponsors=("bank",))

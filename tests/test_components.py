"""Components that no package index holds: found, skipped or due."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

Component = Callable[[str, Sequence[str]], Path]


def test_a_component_is_found_through_its_variable(
    component: Component, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "program").touch()
    monkeypatch.setenv("RUNS_TEST_SAMPLE", str(tmp_path))
    assert component("RUNS_TEST_SAMPLE", ("program",)) == tmp_path.resolve()


def test_a_component_that_is_not_set_skips_and_says_how_to_get_it(
    component: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"RUNS_TEST_SAMPLE is not set: name a folder with program"):
        component("RUNS_TEST_SAMPLE", ("program",))


def test_a_component_that_is_not_set_fails_under_ci(component: Component, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"RUNS_TEST_SAMPLE is not set"):
        component("RUNS_TEST_SAMPLE", ("program",))


def test_a_folder_without_the_component_fails_everywhere(
    component: Component, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("RUNS_TEST_SAMPLE", str(tmp_path))
    with pytest.raises(pytest.fail.Exception, match=r"has no program$"):
        component("RUNS_TEST_SAMPLE", ("program",))


def test_the_openb_traces_have_the_published_columns(openb_traces: Path) -> None:
    with (openb_traces / "openb_node_list_all_node.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["sn", "cpu_milli", "memory_mib", "gpu", "model"]

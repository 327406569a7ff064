"""What tests of several distributions share: components that are no Python packages, found through the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

Component = Callable[[str, Sequence[str]], Path]


@pytest.fixture(scope="session")
def component() -> Component:
    """Answers the folder that a variable names, if it holds these files.

    A variable that is not set skips the test, and fails it under CI=true, where every component is due. A folder
    without the files is a mistake, and fails everywhere.
    """

    def folder(variable: str, holds: Sequence[str]) -> Path:
        named = os.environ.get(variable)
        if not named:
            lack = f"{variable} is not set: name a folder with {', '.join(holds)} (CONTRIBUTING.md, Test components)"
            if os.environ.get("CI") == "true":
                pytest.fail(lack, pytrace=False)
            pytest.skip(lack)
        path = Path(named).resolve()
        gone = [name for name in holds if not (path / name).is_file()]
        if gone:
            pytest.fail(f"{variable}={named} has no {', '.join(gone)}", pytrace=False)
        return path

    return folder


@pytest.fixture(scope="session")
def openb_traces(component: Component) -> Path:
    """The folder of the published Alibaba GPU trace of 2023: `openb_*.csv`, as they were published."""
    files = ("openb/openb_node_list_all_node.csv", "openb/openb_pod_list_default.csv")
    return component("RUNS_TEST_TRACES", files) / "openb"

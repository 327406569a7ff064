"""A plane to do harm to, for all tests of this folder, and the table of how each harm went."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
import pytest
from docs.generate.faults import MEASURED, Row
from tests.faults.plane import Plane, start
from tests.faults.stage import Launcher, Stage, Verdict

HERE = Path(__file__).parent
NUMBER = itertools.count(1)
FULL = os.environ.get("RUNS_TEST_FAULTS") == "full"
LONGEST_SECONDS = 7200
"""Of one test in full, which kills some hundred schedulers one after the other; each has a minute to settle."""


only_in_full = pytest.mark.skipif(not FULL, reason="one of those that only RUNS_TEST_FAULTS=full makes")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.xdist_group("faults"))  # one worker, and so one API server
            if "stage" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.kube)
            if FULL:
                item.add_marker(pytest.mark.timeout(LONGEST_SECONDS))


class Table:
    """rows: by fault."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def add(self, fault: str, how: str, seconds: Sequence[float], stage: Stage) -> Verdict:
        """Judges the scenario; the test fails where anything is wrong. seconds: for each time the fault was made."""
        found = stage.verdict()
        assert found.wrong() == []
        assert found.leases > 0
        assert found.pods > 0
        self.rows[fault] = Row(
            fault=fault,
            how=how,
            times=len(seconds),
            seconds=round(max(seconds), 1),
            broken=len(found.world),
            double=len(found.double),
            lost=len(found.lost),
            unheld=len(found.unheld),
            late=found.late,
            leases=found.leases,
            pods=found.pods,
            restarts=stage.restarts,
        )
        return found


@pytest.fixture(scope="session")
def full() -> bool:
    """Every kill, and full lengths; else a selection that takes little time."""
    return FULL


@pytest.fixture(scope="session")
def table() -> Iterator[Table]:
    made = Table()
    yield made
    if FULL and made.rows:
        before = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.is_file() else []
        kept = {row["fault"]: row for row in before} | {name: attrs.asdict(row) for name, row in made.rows.items()}
        MEASURED.write_text(json.dumps([kept[name] for name in sorted(kept)], indent=1) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def plane(component: Callable[[str, Sequence[str]], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    script = component("RUNS_TEST_KUBE", ("kubeplane", "kubenode")) / "kubeplane"
    folder = tmp_path_factory.mktemp("faults")
    try:
        made = start(script, folder)
        yield made
        made.rm()
    finally:
        subprocess.run([script, "rm", folder], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    made = Launcher(tmp_path_factory.mktemp("schedulers") / "log")
    yield made
    made.close()


@pytest.fixture
def stage(plane: Plane, launcher: Launcher, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))
    made = Stage(plane, launcher, tmp_path, f"{next(NUMBER)}-{words[:40]}".strip("-"))
    try:
        yield made
    finally:
        made.close()

"""Every scenario is played on every stage, and each must tell the same story as the one in memory, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.scenarios.local import LocalStage, RestartedStage
from tests.scenarios.memory import MemoryStage
from tests.scenarios.play import Play
from tests.scenarios.stage import Stage
from tests.scenarios.transcript import difference, transcript

from runs_core.settings import Settings

Makes = Callable[[Path, Settings], Stage]
STAGES: dict[str, Makes] = {
    "memory": lambda _, settings: MemoryStage(settings, oracles=True),
    "local": LocalStage,
    "restarted": RestartedStage,
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "settings(settings): what the scenario's cluster is set to")


@pytest.fixture(params=sorted(STAGES))
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Play]:
    """The scenario on one stage. Once it is over, it is played again in memory, and the two are compared."""
    marker = request.node.get_closest_marker("settings")
    settings: Settings = marker.args[0] if marker else Settings()
    scene = Play(STAGES[request.param](tmp_path, settings))
    failed = request.session.testsfailed
    yield scene
    if request.session.testsfailed > failed:
        return
    told = _finish(scene)
    if request.param != "memory":
        twin = Play(MemoryStage(settings))
        request.function(twin)
        differs = difference(told, _finish(twin))
        assert differs is None, f"{request.param} tells another story than memory:\n{differs}"


def _finish(scene: Play) -> str:
    scene.wait()
    told = transcript(scene.stage, scene.begin)
    scene.stage.close()
    return told

"""Every scenario is played on every stage, and each must tell the same story as the one in memory, byte for byte."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from tests.kube.conftest import start
from tests.scenarios.evidence import unverified
from tests.scenarios.funds import FundedPlay
from tests.scenarios.kube import KubeStage, RestartedKubeStage
from tests.scenarios.local import LocalStage, RestartedStage
from tests.scenarios.memory import MemoryStage
from tests.scenarios.plane import EmptyPlane
from tests.scenarios.play import Play
from tests.scenarios.stage import NONE, Stage
from tests.scenarios.stretch import STRETCH
from tests.scenarios.transcript import difference, transcript

from runs_budgets import plugin as budgets
from runs_core.hooks.registry import of
from runs_core.settings import Settings

Component = Callable[[str, Sequence[str]], Path]
Plugins = Mapping[str, object]
Makes = Callable[[pytest.FixtureRequest, Settings, Plugins], Stage]
STAGES: dict[str, Makes] = {
    "memory": lambda _, settings, plugins: MemoryStage(settings, plugins, oracles=True),
    "local": lambda request, *site: LocalStage(request.getfixturevalue("tmp_path"), *site),
    "restarted": lambda request, *site: RestartedStage(request.getfixturevalue("tmp_path"), *site),
    "kube": lambda request, *site: KubeStage(request.getfixturevalue("plane"), *site),
    "kube-restarted": lambda request, *site: RestartedKubeStage(request.getfixturevalue("plane"), *site),
}
ALL = os.environ.get("RUNS_TEST_SCENARIOS") == "all"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "settings(settings): what the scenario's cluster is set to")
    config.addinivalue_line("markers", "plugins(**plugins): which plugins are on, by name")
    config.addinivalue_line("markers", "fractions: of seconds, which pods on a real API server do not tell")
    config.addinivalue_line("markers", "unbroken: of what is seen by who goes on, and by nobody who begins after it")
    config.addinivalue_line("markers", "live: with plugins on, always played on a real API server as well")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """In every run of the tests only a choice of scenarios is played on an API server.

    Those of the bare core, and of those with plugins on the ones marked so; the latter with many leaders as well, who
    hear of what is there in another order each time.
    """
    if "play" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker
        chosen, bare, fractions = mark("live") is not None, mark("plugins") is None, mark("fractions") is not None
        restarts = mark("unbroken") is None
        played = {
            "kube": (ALL or bare or chosen) and not fractions,
            "kube-restarted": (ALL or chosen) and not fractions and restarts,
            "restarted": restarts,
        }
        metafunc.parametrize("play", [stage for stage in sorted(STAGES) if played.get(stage, True)], indirect=True)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and _stage_of(item).startswith("kube"):
            item.add_marker(pytest.mark.kube)
            item.add_marker(pytest.mark.xdist_group("scenarios-kube"))  # one worker, and so one API server


def _stage_of(item: pytest.Function) -> str:
    """What a scenario is played on. Of other tests: where they need the API server, kube."""
    if "play" not in item.fixturenames:
        return "kube" if "plane" in item.fixturenames else ""
    return str(item.callspec.params["play"])


@pytest.fixture(scope="session")
def plane(component: Component, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmptyPlane]:
    """One API server for all scenarios; each begins with it empty."""
    script = component("RUNS_TEST_KUBE", ("kubeplane", "kubenode")) / "kubeplane"
    folder = tmp_path_factory.mktemp("plane")
    try:
        empty = EmptyPlane(start(script, folder), of(budgets=budgets, stretch=STRETCH).sections)
        yield empty
        empty.end()
    finally:
        subprocess.run([script, "rm", folder], check=True, capture_output=True, timeout=60)


@pytest.fixture
def play(request: pytest.FixtureRequest) -> FundedPlay:
    """The scenario on one stage."""
    return FundedPlay(STAGES[request.param](request, _settings(request.node), _plugins(request.node)))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Once a scenario is over, it is played again in memory, and the two are compared."""
    result = yield
    scene = pyfuncitem.funcargs.get("play")
    if isinstance(scene, Play):
        told, stage = _finish(scene), _stage_of(pyfuncitem)
        if stage != "memory":
            twin = FundedPlay(MemoryStage(_settings(pyfuncitem), _plugins(pyfuncitem)))
            pyfuncitem.obj(twin)
            differs = difference(told, _finish(twin))
            assert differs is None, f"{stage} tells another story than memory:\n{differs}"
    return result


def _settings(item: pytest.Function) -> Settings:
    marker = item.get_closest_marker("settings")
    settings: Settings = marker.args[0] if marker else Settings()
    return settings


def _plugins(item: pytest.Function) -> Plugins:
    marker = item.get_closest_marker("plugins")
    return marker.kwargs if marker else NONE


def _finish(scene: Play) -> str:
    scene.wait()
    told = transcript(scene.stage, scene.begin)
    wrong = unverified(scene.stage)
    assert not wrong, f"resolutions that do not follow from themselves: {wrong}"
    scene.stage.close()
    return told

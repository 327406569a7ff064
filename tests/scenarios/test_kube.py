"""The stage with a real API server: what it tells otherwise, and that a scheduler that errs there is found out."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import attrs
import pytest
from tests.scenarios.echoes import NotedApi
from tests.scenarios.kube import HeardCluster, KubeStage
from tests.scenarios.memory import MemoryStage
from tests.scenarios.plane import MERGE, EmptyPlane
from tests.scenarios.play import Play
from tests.scenarios.transcript import difference, transcript

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.podmake import FINALIZER
from runs_core.cluster.kube.reading import Seen
from runs_core.settings import LocalSettings, Settings
from runs_core.values.change import Change
from runs_core.values.effect import Effect, EndPod
from runs_core.values.meta import Key
from runs_core.values.record import Record

SCENARIOS = 159


def scenarios() -> list[str]:
    """Every test of this folder that is given a play."""
    trees = [ast.parse(path.read_text()) for path in sorted(Path(__file__).parent.glob("test_*.py"))]
    found = [part for tree in trees for part in tree.body if isinstance(part, ast.FunctionDef)]
    return [one.name for one in found if one.name.startswith("test_") and "play" in [arg.arg for arg in one.args.args]]


def test_all_scenarios_are_played_on_the_api_server() -> None:
    names = scenarios()
    assert len(set(names)) == len(names) == SCENARIOS


def test_a_run_that_is_taken_away_by_force_holds_its_gpus_until_its_pods_have_gone(plane: EmptyPlane) -> None:
    """Deleted at 100 and its finalizers with it; its pods need 45 of 60 s: y has the GPUs at 145 and not before."""
    play = Play(KubeStage(plane, Settings()))
    play.fleet(a1=8)
    play.submit("x", gpus=8, stops="45s", runtime={"checkpointGrace": "60s"})
    play.submit("y", gpus=8)
    play.until(100)
    play.delete("x")
    freed(plane, "x")
    play.until(144)
    assert (play.names(), play.held_gpus(), len(play.pods("x"))) == (["y"], 8, 8)
    play.until(150)
    assert (play.ledger("x"), play.at("y", "startedAt")) == ([("Start", 0, "Deleted", 145)], 145)
    play.stage.close()


def freed(plane: EmptyPlane, name: str) -> None:
    """As whoever has no scheduler that would do it."""
    path = paths.one("Run", Key("research", name))
    plane.people.call("PATCH", path, {"metadata": {"finalizers": None}}, content=MERGE)


@pytest.mark.parametrize("others", [[], ["example.com/keep"]])
def test_a_run_has_our_finalizer_before_it_starts_and_goes_without_it(plane: EmptyPlane, others: list[str]) -> None:
    """Nobody else's is touched. No webhook is here: the scheduler sets it."""
    play = Play(KubeStage(plane, Settings()))
    play.fleet(a1=8)
    play.submit("x", gpus=8)
    path = paths.one("Run", Key("research", "x"))
    if others:
        plane.people.call("PATCH", path, {"metadata": {"finalizers": others}}, content=MERGE)
    play.wait(10)
    assert plane.people.call("GET", path)[1]["metadata"]["finalizers"] == [*others, FINALIZER]
    play.delete("x")
    play.wait(60)
    assert play.ledger("x")[0].closed == "Deleted"
    assert play.names() == (["x"] if others else [])
    if others:
        assert plane.people.call("GET", path)[1]["metadata"]["finalizers"] == others
        freed(plane, "x")
    play.stage.close()


def test_a_node_that_is_deleted_and_made_again_between_two_looks_is_lost(plane: EmptyPlane) -> None:
    """Its uid tells: x starts again on the new one."""
    play = Play(KubeStage(plane, Settings()))
    play.fleet(a1=8)
    play.submit("x", gpus=8)
    play.until(100)
    play.lose("a1")
    play.restore("a1")
    play.until(200)
    assert play.ledger("x") == [("Start", 0, "NodeLost", 100), ("Requeue", 100, None, None)]
    play.stage.close()


# -- a scheduler that errs --------------------------------------------------------------------------------------------


def canceled_and_lost(play: Play) -> str:
    """x, canceled at 100, takes 45 of 60 s; y has its GPUs at 145 and loses them at 200."""
    play.fleet(a1=8)
    play.submit("x", gpus=8, stops="45s", runtime={"checkpointGrace": "60s"})
    play.submit("y", gpus=8)
    play.until(100)
    play.cancel("x")
    play.until(200)
    play.lose("a1")
    play.until(250)
    return transcript(play.stage, play.begin)


class Hearing(HeardCluster):
    """What is told of each object goes through `hear`."""

    def __init__(self, api: NotedApi, settings: Settings, stage: KubeStage) -> None:
        super().__init__(api, settings, stage)
        self._take = self._in._counts
        self._before: dict[tuple[str, Key], Seen] = {}
        setattr(self._in, "_counts", self.hear)  # noqa: B010  # mypy holds methods against assignment

    def hear(self, kind: str, seen: Seen) -> Iterator[Change]:
        return self._take(kind, seen)


class Repeating(Hearing):
    """Hears of every change twice, and of what was before it in between."""

    def hear(self, kind: str, seen: Seen) -> Iterator[Change]:
        yield from super().hear(kind, seen)
        before = self._before.get((kind, seen.key))
        if before is not None:
            yield from super().hear(kind, before)
        yield from super().hear(kind, seen)
        self._before[kind, seen.key] = seen


class Hasty(HeardCluster):
    """Tells pods to go within 5 s, whatever was decided."""

    def commit(self, effects: Sequence[Effect], records: Sequence[Record]) -> None:
        super().commit([self._hastened(effect) for effect in effects], records)

    def _hastened(self, effect: Effect) -> Effect:
        if not isinstance(effect, EndPod):
            return effect
        return EndPod(attrs.evolve(effect.pod, grace=timedelta(seconds=5)))


class Deaf(Hearing):
    """Does not hear that a node has gone."""

    def hear(self, kind: str, seen: Seen) -> Iterator[Change]:
        if kind != "Node" or seen.value is not None:
            yield from super().hear(kind, seen)


class Believing(Hearing):
    """Is told of pods once more what was before the last change, and believes it."""

    def hear(self, kind: str, seen: Seen) -> Iterator[Change]:
        yield from super().hear(kind, seen)
        if kind == "Pod" and seen.value is not None:
            before = self._before.setdefault((kind, seen.key), seen)
            yield from super().hear(kind, attrs.evolve(before, version=seen.version + 1))


@pytest.mark.parametrize("scheduler", [HeardCluster, Repeating])
def test_the_api_server_tells_the_same_story(plane: EmptyPlane, scheduler: type[HeardCluster]) -> None:
    told = canceled_and_lost(Play(KubeStage(plane, Settings(), scheduler=scheduler)))
    assert difference(told, canceled_and_lost(Play(MemoryStage(Settings())))) is None


@pytest.mark.parametrize(("scheduler", "first"), [(Hasty, '"at": 105.0'), (Deaf, '"reason": "Evicted"')])
def test_a_scheduler_that_errs_there_is_found_out(plane: EmptyPlane, scheduler: type[HeardCluster], first: str) -> None:
    told = canceled_and_lost(Play(KubeStage(plane, Settings(), scheduler=scheduler)))
    found = difference(told, canceled_and_lost(Play(MemoryStage(Settings()))))
    assert found is not None
    assert first in found.splitlines()[0]


def test_a_scheduler_that_believes_old_news_never_comes_to_rest(plane: EmptyPlane) -> None:
    """It tells the pods of x to go, believes that it has not, and tells them again."""
    with pytest.raises(AssertionError, match="not quiet after 100 rounds, at 2026-01-05 12:01:40"):
        canceled_and_lost(Play(KubeStage(plane, Settings(), scheduler=Believing)))


def test_a_kubelet_that_is_late_is_found_out(plane: EmptyPlane) -> None:
    late = Settings(local=LocalSettings(pod_start=timedelta(seconds=3)))
    told = canceled_and_lost(Play(KubeStage(plane, late)))
    found = difference(told, canceled_and_lost(Play(MemoryStage(Settings()))))
    assert found is not None
    assert '"at": 3.0' in found.splitlines()[0]


def test_the_scheduler_has_no_rights_but_its_own(plane: EmptyPlane) -> None:
    """It is not by being administrator that it can do all that the scenarios need."""
    asked = {"resourceAttributes": {"group": "runs.dev", "resource": "budgets", "verb": "create"}}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": asked}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answers = [api.call("POST", path, body)[1]["status"]["allowed"] for api in (plane.people, plane.scheduler)]
    assert answers == [True, False]

"""Resolutions, their evidence and their nonces against an API server that is a dictionary."""

from __future__ import annotations

import base64
import copy
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import attrs
import pytest

from runs_core.cluster.kube import evidence
from runs_core.cluster.kube.api import Api, Refused
from runs_core.cluster.kube.binding import Binding
from runs_core.cluster.kube.cluster import KubeCluster
from runs_core.cluster.kube.entry import FIRST
from runs_core.cluster.kube.evidence import joined
from runs_core.cluster.kube.gates import Audits
from runs_core.cluster.kube.nonce import standing
from runs_core.cluster.kube.paths import one as path_of
from runs_core.cluster.kube.reflect import everything
from runs_core.errors import Unavailable
from runs_core.schema.convert import resolution_from_object, to_object
from runs_core.settings import Settings
from runs_core.testing.builders import A_MONDAY, a_pod, a_run
from runs_core.testing.resolutions import a_wide_one, numbered
from runs_core.values.change import ChainSeen, Change, ResolutionGone, ResolutionSeen, StartRefused
from runs_core.values.effect import Effect, EndPod, PutResolution, SetReservationStatus, SetResolutionStatus
from runs_core.values.lease import RunRef
from runs_core.values.meta import Meta
from runs_core.values.nonces import Chain
from runs_core.values.reservation import Reservation, ReservationPhase, ReservationSpec, ReservationStatus
from runs_core.values.resolution import Resolution, ResolutionPhase, ResolutionStatus, resolution_name
from runs_core.world.world import World

Object = dict[str, Any]
HOME = "/api/v1/namespaces/home"
SECRET, JOURNAL = f"{HOME}/secrets/runs-nonce", f"{HOME}/configmaps/runs-journal"
OURS = "/apis/runs.dev/v1alpha1/resolutions"


class Server(Api):
    """objects: by path. asked: writes in order. dies: at this many writes whoever writes is killed.

    slow: paths whose writes wait.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.asked: list[tuple[str, str]] = []
        self.version = 1
        self.dies = 10**6
        self.refuses: set[str] = set()
        self.slow: dict[str, threading.Event] = {}

    def call(self, method: str, path: str, body: Object | None = None, **_: object) -> tuple[int, Object]:
        if method == "GET":
            return 200, copy.deepcopy(self._read(path))
        if path in self.slow:
            assert self.slow[path].wait(10)
        if len(self.asked) >= self.dies:
            raise Unavailable("killed")
        self.asked.append((method, path))
        if path in self.refuses:
            raise Refused(403, "Forbidden", "not this one")
        if method == "DELETE":
            return 200, self.objects.pop(path)
        if method == "POST":
            path = f"{path}/{(body or {})['metadata']['name']}"
            if path in self.objects:
                raise Refused(409, "AlreadyExists", path)
        return 201, self._put(path.removesuffix("/status"), body or {})

    def apply(
        self, path: str, body: Object, *, query: Mapping[str, str] | None = None, seconds: float = 0.0
    ) -> tuple[int, Object]:
        return self.call("PATCH", path, body)

    def text(self, path: str, query: Mapping[str, str] | None = None, **_: object) -> Iterator[bytes]:
        raise AssertionError("nobody watches here")

    def _put(self, path: str, body: Object) -> Object:
        self.version += 1
        known = self.objects.get(path, {"metadata": {"uid": f"uid-{self.version}"}})
        metadata = {**known["metadata"], **body["metadata"], "resourceVersion": str(self.version)}
        self.objects[path] = copy.deepcopy({**known, **body, "metadata": metadata})
        return copy.deepcopy(self.objects[path])

    def _read(self, path: str) -> Object:
        if path in self.objects:
            return self.objects[path]
        if path.startswith((f"{HOME}/", f"{OURS}/")):
            raise Refused(404, "NotFound", path)
        items = [self.objects[key] for key in sorted(self.objects) if key.startswith(f"{path}/")]
        return {"items": items, "metadata": {"resourceVersion": str(self.version)}}


@pytest.fixture
def server() -> Server:
    return Server()


Scheduler = Callable[[], KubeCluster]


@pytest.fixture
def scheduler(server: Server) -> Iterator[Scheduler]:
    """Another process of it, each time."""
    made: list[KubeCluster] = []

    def start() -> KubeCluster:
        made.append(KubeCluster(server, Settings(), namespace="home", told=lambda _: None, clock=lambda: A_MONDAY))
        return made[-1]

    yield start
    for one in made:
        one.writer.stop()


def written(cluster: KubeCluster, *effects: Effect) -> list[Change]:
    """What is observed once all of it is over."""
    cluster.commit(effects, [])
    assert cluster.writer.drain(5)
    return list(cluster.observe()[1])


def led(cluster: KubeCluster) -> World:
    cluster.lead("me")
    world = World()
    for change in cluster.observe()[1]:
        world.apply(change)
    return world


# -- nonces -----------------------------------------------------------------------------------------------------------


def test_the_first_leader_makes_the_secret_and_binds_the_first_nonce(server: Server, scheduler: Scheduler) -> None:
    world = led(scheduler())
    assert world.nonces is not None
    assert base64.b64decode(server.objects[SECRET]["data"]["root"]).decode() == world.nonces.root
    assert server.objects[JOURNAL]["data"][FIRST] == world.nonces.commitment(1) == world.chain.commitment
    assert server.objects[SECRET]["immutable"] is True


def life(cluster: KubeCluster, one: Resolution) -> World:
    """Lead, keep a resolution unless there is one, see it, and write another batch."""
    world = led(cluster)
    if not world.resolutions():
        cluster._writes.write(PutResolution(one))
    cluster._look_again()
    for change in cluster.observe()[1]:
        world.apply(change)
    cluster.commit([], [])
    return world


def test_whoever_is_killed_at_any_write_loses_no_nonce_and_no_number(server: Server, scheduler: Scheduler) -> None:
    """Between Secret, journal, resolution and the next batch: the next leader goes on with the same chain."""
    one, killed = numbered(1), 0
    last = Chain(number=1, commitment=one.spec.next_commitment)
    for dies in range(8):
        server.objects.clear()
        server.asked.clear()
        server.dies = dies
        try:
            life(scheduler(), one)
        except Unavailable:
            killed += 1
        bound = {path: copy.deepcopy(body) for path, body in server.objects.items()}
        server.dies = 10**6
        world = life(scheduler(), one)
        assert (world.chain, led(scheduler()).chain) == (last, last)
        assert world.nonces is not None
        assert server.objects[JOURNAL]["data"][FIRST] == world.nonces.commitment(1)
        if SECRET in bound:
            assert server.objects[SECRET]["data"] == bound[SECRET]["data"]
        if FIRST in bound.get(JOURNAL, {}).get("data", {}):
            assert server.objects[JOURNAL]["data"][FIRST] == bound[JOURNAL]["data"][FIRST]
    assert 4 <= killed < 8


def test_two_that_start_at_once_agree_on_one_secret(server: Server) -> None:
    first = standing(server, "home")

    class Late(Server):
        def _read(self, path: str) -> Object:
            if path == SECRET and not self.asked:
                raise Refused(404, "NotFound", path)
            return super()._read(path)

    late = Late()
    late.objects = server.objects
    assert standing(late, "home") == first


def test_a_secret_that_is_not_ours_is_not_overwritten(server: Server) -> None:
    for data in ({}, {"root": "!"}, {"root": base64.b64encode(b"00").decode()}):
        server.objects[SECRET] = {"metadata": {"name": "runs-nonce"}, "data": data}
        with pytest.raises(Unavailable, match="the Secret runs-nonce"):
            standing(server, "home")
    assert server.asked == []


# -- writing ----------------------------------------------------------------------------------------------------------


def test_a_resolution_is_kept_and_seen(server: Server, scheduler: Scheduler) -> None:
    cluster, one = scheduler(), numbered(1)
    led(cluster)
    changes = written(cluster, PutResolution(one))
    assert [change.resolution.spec for change in changes if isinstance(change, ResolutionSeen)][-1] == one.spec
    assert resolution_from_object(server.objects[f"{OURS}/{one.name}"]).spec == one.spec
    assert joined(server, one) == one.spec.evidence.data


def test_the_journal_says_which_was_last_once_it_was_seen(server: Server, scheduler: Scheduler) -> None:
    cluster, one = scheduler(), numbered(1)
    led(cluster)
    written(cluster, PutResolution(one))
    written(cluster)
    del server.objects[f"{OURS}/{one.name}"]
    assert led(scheduler()).chain == Chain(number=1, commitment=one.spec.next_commitment)


def test_meeting_an_equal_one_is_done_and_meeting_another_is_refused(server: Server, scheduler: Scheduler) -> None:
    cluster, one = scheduler(), numbered(1)
    led(cluster)
    written(cluster, PutResolution(one))
    again = scheduler()
    led(again)
    assert not [change for change in written(again, PutResolution(one)) if isinstance(change, StartRefused)]
    other = attrs.evolve(one, spec=attrs.evolve(one.spec, digest="1" * 64))
    changes = written(again, PutResolution(other))
    assert one.spec.beneficiary is not None
    assert [change.run for change in changes if isinstance(change, StartRefused)] == [one.spec.beneficiary.run]
    seen = [change.resolution.spec for change in changes if isinstance(change, ResolutionSeen)]
    assert seen[-1] == one.spec


def test_one_that_the_cluster_does_not_take_is_gone_and_its_run_waits(server: Server, scheduler: Scheduler) -> None:
    cluster, one = scheduler(), numbered(1)
    led(cluster)
    server.refuses.add(OURS)
    changes = written(cluster, PutResolution(one))
    assert ResolutionGone(one.name) in changes
    (refused,) = [change for change in changes if isinstance(change, StartRefused)]
    assert refused.refusal is not None
    assert refused.refusal.until > A_MONDAY


def test_only_the_status_of_one_is_written_later(server: Server, scheduler: Scheduler) -> None:
    cluster, one = scheduler(), numbered(1)
    led(cluster)
    written(cluster, PutResolution(one))
    over = ResolutionStatus(phase=ResolutionPhase.RELEASED, reason="Started", end=A_MONDAY)
    written(cluster, SetResolutionStatus(attrs.evolve(one, status=over)))
    assert server.asked[-1] == ("PATCH", f"{OURS}/{one.name}/status")
    assert led(scheduler()).resolution(one.name) is not None
    assert server.objects[f"{OURS}/{one.name}"]["status"]["phase"] == "Released"


# -- nobody goes before it is kept ------------------------------------------------------------------------------------


def cutting(one: Resolution) -> tuple[list[Effect], list[str]]:
    """It, after the end of a pod of each run that it cuts, and the paths of those pods."""
    runs = [a_run(cut.name, namespace=cut.namespace) for cut in one.spec.cuts]
    pods = [attrs.evolve(a_pod(run, node="n1"), deleting=A_MONDAY) for run in runs]
    paths = [f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}" for pod in pods]
    return [*(EndPod(pod) for pod in pods), PutResolution(one)], paths


def deleted(server: Server) -> list[str]:
    return [path for method, path in server.asked if method == "DELETE"]


def test_nobody_is_told_to_go_before_the_resolution_is_kept(server: Server, scheduler: Scheduler) -> None:
    cluster, (effects, paths) = scheduler(), cutting(numbered(1))
    led(cluster)
    server.slow[OURS] = threading.Event()
    cluster.commit(effects, [])
    assert not cluster.writer.drain(0.3)
    cluster.commit(effects[:1], [])
    assert not cluster.writer.drain(0.1)
    assert deleted(server) == []
    server.slow[OURS].set()
    assert cluster.writer.drain(5)
    assert set(deleted(server)) == set(paths)
    assert server.asked.index(("POST", OURS)) < server.asked.index(("DELETE", paths[0]))


def test_nobody_is_told_to_go_if_the_resolution_is_refused(server: Server, scheduler: Scheduler) -> None:
    cluster, one = scheduler(), numbered(1)
    led(cluster)
    server.refuses.add(OURS)
    changes = written(cluster, *cutting(one)[0])
    assert deleted(server) == []
    assert one.spec.beneficiary is not None
    assert [change.run for change in changes if isinstance(change, StartRefused)] == [one.spec.beneficiary.run]
    server.refuses.clear()
    written(cluster, *cutting(one)[0])
    assert set(deleted(server)) == set(cutting(one)[1])


def activating(one: Resolution) -> tuple[Effect, str]:
    """What its beneficiary's promise says once there is the resolution, and the path of that."""
    to = one.spec.beneficiary
    assert to is not None
    meta = Meta(name=f"{to.run.name}-1", namespace=to.run.namespace)
    spec = ReservationSpec(run_ref=RunRef(name=to.run.name, uid=to.uid), flavor="h100", gpus=8, at=A_MONDAY)
    status = ReservationStatus(phase=ReservationPhase.ACTIVATING, reason="Activating")
    told = Reservation(meta=meta, spec=spec, status=status)
    return SetReservationStatus(told), f"{path_of('Reservation', meta.key)}/status"


def test_a_promise_rests_on_no_resolution_before_that_is_kept(server: Server, scheduler: Scheduler) -> None:
    cluster, one = scheduler(), numbered(1)
    effect, path = activating(one)
    led(cluster)
    server.slow[OURS] = threading.Event()
    cluster.commit([effect, PutResolution(one)], [])
    assert not cluster.writer.drain(0.3)
    assert ("PATCH", path) not in server.asked
    server.slow[OURS].set()
    assert cluster.writer.drain(5)
    assert server.asked.index(("POST", OURS)) < server.asked.index(("PATCH", path))


def test_a_promise_rests_on_no_resolution_that_is_refused(server: Server, scheduler: Scheduler) -> None:
    cluster, one = scheduler(), numbered(1)
    effect, path = activating(one)
    led(cluster)
    server.refuses.add(OURS)
    written(cluster, PutResolution(one), effect)
    assert ("PATCH", path) not in server.asked


def test_what_waits_for_nothing_is_noticed(
    server: Server, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Audits, "gates", lambda self, step: [])
    cluster, one = scheduler(), numbered(1)
    effect, path = activating(one)
    led(cluster)
    server.refuses.add(OURS)
    written(cluster, *cutting(one)[0], effect)
    assert deleted(server) != []
    assert ("PATCH", path) in server.asked


# -- one that a leader before sent too late ---------------------------------------------------------------------------


def arrives(server: Server, one: Resolution) -> None:
    """Whoever led before had sent it."""
    body = to_object(one)
    body.pop("status")
    server.call("POST", OURS, body)


def looked(cluster: KubeCluster) -> list[Change]:
    """What a watch would tell of resolutions."""
    read = partial(cluster._reader.seen, "Resolution")
    cluster.inbox.put(everything(cluster._api, "Resolution", OURS, read))
    return list(cluster.observe()[1])


def phases(changes: Sequence[Change]) -> list[str]:
    return [change.resolution.status.phase for change in changes if isinstance(change, ResolutionSeen)]


def test_one_that_arrives_after_another_took_over_is_over_and_the_chain_goes_on(
    server: Server, scheduler: Scheduler
) -> None:
    cluster, one = scheduler(), numbered(1)
    led(cluster)
    arrives(server, one)
    changes = looked(cluster)
    assert phases(changes) == ["Canceled"]
    assert ChainSeen(Chain(number=1, commitment=one.spec.next_commitment)) in changes
    assert cluster.writer.drain(5)
    assert server.objects[f"{OURS}/{one.name}"]["status"]["reason"] == "Late"
    assert set(phases(list(cluster.observe()[1]))) <= {"Canceled"}
    (stays,) = led(scheduler()).resolutions()
    assert stays.status.reason == "Late"


def test_one_that_was_there_before_is_carried_out(server: Server, scheduler: Scheduler) -> None:
    cluster, one = scheduler(), numbered(1)
    arrives(server, one)
    assert [kept.status.phase for kept in led(cluster).resolutions()] == ["Activating"]
    assert phases(looked(cluster)) == []
    assert "status" not in server.objects[f"{OURS}/{one.name}"]


def test_ones_own_is_not_late_however_early_it_is_heard_of(server: Server, scheduler: Scheduler) -> None:
    cluster, one = scheduler(), numbered(1)
    led(cluster)
    cluster.commit([PutResolution(one)], [])
    assert cluster.writer.drain(5)
    assert set(phases([*looked(cluster), *looked(cluster)])) == {"Activating"}


def test_a_late_one_that_has_the_number_of_ones_own_cuts_nobody(server: Server, scheduler: Scheduler) -> None:
    cluster, one = scheduler(), numbered(1)
    led(cluster)
    arrives(server, attrs.evolve(one, spec=attrs.evolve(one.spec, digest="1" * 64)))
    cluster.commit(cutting(one)[0], [])
    looked(cluster)
    assert cluster.writer.drain(5)
    changes = looked(cluster)
    assert deleted(server) == []
    assert set(phases(changes)) <= {"Canceled"}
    assert one.spec.beneficiary is not None
    assert one.spec.beneficiary.run in [change.run for change in changes if isinstance(change, StartRefused)]
    assert server.objects[f"{OURS}/{one.name}"]["status"]["reason"] == "Late"


def test_a_late_one_stays_over_if_that_cannot_be_written(server: Server, scheduler: Scheduler) -> None:
    cluster, one = scheduler(), numbered(1)
    led(cluster)
    server.refuses.add(f"{OURS}/{one.name}/status")
    arrives(server, one)
    changes = looked(cluster)
    assert cluster.writer.drain(5)
    server.version += 1
    server.objects[f"{OURS}/{one.name}"]["metadata"]["resourceVersion"] = str(server.version)
    assert set(phases([*changes, *looked(cluster)])) == {"Canceled"}


# -- evidence that is too long ----------------------------------------------------------------------------------------


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MOST_INLINE", 900)
    monkeypatch.setattr(evidence, "PART_CHARACTERS", 300)


@pytest.mark.usefixtures("short")
def test_long_evidence_lies_in_numbered_parts_that_are_there_first(server: Server, scheduler: Scheduler) -> None:
    cluster, one = scheduler(), numbered(1)
    led(cluster)
    server.asked.clear()
    written(cluster, PutResolution(one))
    paths = [path for method, path in server.asked if method == "POST"]
    assert paths[-1] == OURS
    assert set(paths[:-1]) == {f"{HOME}/configmaps"}
    assert len(paths) > 2
    stored = resolution_from_object(server.objects[f"{OURS}/{one.name}"])
    assert (stored.spec.evidence.data, stored.spec.evidence.parts) == ("", len(paths) - 1)
    assert joined(server, stored) == one.spec.evidence.data
    parts = [body for path, body in server.objects.items() if f"configmaps/{one.name}" in path]
    uid = server.objects[f"{OURS}/{one.name}"]["metadata"]["uid"]
    assert {part["metadata"]["ownerReferences"][0]["uid"] for part in parts} == {uid}


def ended(one: Resolution) -> SetResolutionStatus:
    """Long ago."""
    status = ResolutionStatus(phase=ResolutionPhase.RELEASED, reason="Freed", end=A_MONDAY - timedelta(days=365))
    return SetResolutionStatus(attrs.evolve(one, status=status))


def owners(server: Server, number: int) -> set[str]:
    """Of all evidence of that number."""
    parts = [body for path, body in server.objects.items() if f"configmaps/{resolution_name(number)}-" in path]
    assert len(parts) > 2
    return {owner["name"] for part in parts for owner in part["metadata"].get("ownerReferences", [{"name": "nobody"}])}


def one_lost_and_another_kept(server: Server, scheduler: Scheduler) -> KubeCluster:
    """The evidence of a first one is there, which is not. Another has its number, and is over, as is the next."""
    first = scheduler()
    led(first)
    server.refuses.add(OURS)
    written(first, PutResolution(numbered(1)))
    server.refuses.clear()
    assert owners(server, 1) == {"nobody"}
    heir = scheduler()
    led(heir)
    for one in (a_wide_one(1, 64), numbered(2)):
        written(heir, PutResolution(one))
        written(heir, ended(one))
    written(heir, PutResolution(numbered(3)))
    return heir


@pytest.mark.usefixtures("short")
def test_evidence_of_a_resolution_that_was_never_kept_goes_with_the_one_that_got_its_number(
    server: Server, scheduler: Scheduler
) -> None:
    heir = one_lost_and_another_kept(server, scheduler)
    assert owners(server, 1) == {"nobody", resolution_name(1)}
    assert heir.journal.entry.evidence.keys() == {resolution_name(number) for number in (1, 2, 3)}
    heir.sweep()
    assert heir.writer.drain(5)
    assert owners(server, 1) == {resolution_name(1)}
    heir._look_again()
    heir.observe()
    written(heir)
    assert heir.journal.entry.evidence.keys() == {resolution_name(2), resolution_name(3)}


@pytest.mark.usefixtures("short")
def test_evidence_that_no_journal_knows_of_is_noticed(
    server: Server, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Binding, "_evidence", lambda *_: {})
    heir = one_lost_and_another_kept(server, scheduler)
    heir.sweep()
    assert heir.writer.drain(5)
    assert owners(server, 1) == {"nobody", resolution_name(1)}


@pytest.mark.usefixtures("short")
def test_the_evidence_of_the_next_number_is_left_to_whoever_keeps_it(server: Server, scheduler: Scheduler) -> None:
    """It may be the same again, and is then taken over as it is."""
    first = scheduler()
    led(first)
    server.refuses.add(OURS)
    written(first, PutResolution(numbered(1)))
    server.refuses.clear()
    heir = scheduler()
    led(heir)
    written(heir)
    heir.sweep()
    assert heir.writer.drain(5)
    assert owners(server, 1) == {"nobody"}
    written(heir, PutResolution(numbered(1)))
    assert owners(server, 1) == {resolution_name(1)}


@pytest.mark.usefixtures("short")
def test_where_a_resolution_is_all_of_its_evidence_is(server: Server, scheduler: Scheduler) -> None:
    one = numbered(1)
    cluster = scheduler()
    led(cluster)
    kept = []
    for dies in range(14):
        server.objects.clear()
        server.asked.clear()
        server.dies = dies
        with suppress(Unavailable):
            cluster._writes.write(PutResolution(one))
        if f"{OURS}/{one.name}" in server.objects:
            kept.append(dies)
            stored = resolution_from_object(server.objects[f"{OURS}/{one.name}"])
            assert joined(server, stored) == one.spec.evidence.data
    assert 0 < len(kept) < 14

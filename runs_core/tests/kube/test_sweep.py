"""What was kept long enough is removed from an API server that is a dictionary, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from runs_core.cluster.kube import evidence, paths, sweep
from runs_core.cluster.kube.api import Api, Refused
from runs_core.cluster.kube.cluster import KubeCluster
from runs_core.cluster.kube.evidence import divided
from runs_core.cluster.kube.sweep import Swept
from runs_core.schema.convert import resolution_from_object, to_object
from runs_core.settings import RetentionSettings, Settings
from runs_core.testing.builders import A_MONDAY, a_lease, a_run
from runs_core.testing.resolutions import numbered
from runs_core.values.change import HeadSeen
from runs_core.values.lease import Closed, Lease, LeaseStatus, RunRef
from runs_core.values.meta import Meta
from runs_core.values.reservation import Reservation, ReservationPhase, ReservationSpec, ReservationStatus
from runs_core.values.resolution import Resolution, ResolutionPhase, ResolutionStatus

Object = dict[str, Any]
HOME = "/api/v1/namespaces/home/configmaps"
KEPT = Settings().retention.leases
LATER = A_MONDAY + KEPT + timedelta(minutes=1)
RUN = a_run("train", gpus=2)


class Server(Api):
    """objects: by path. removed: their names, in order. refuses: names that may not be removed."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.removed: list[str] = []
        self.owned: list[str] = []
        self.refuses: set[str] = set()
        self.version = 1

    def call(self, method: str, path: str, body: Object | None = None, **_: object) -> tuple[int, Object]:
        match method:
            case "GET":
                return 200, self._read(path)
            case "DELETE":
                return 200, self._delete(path, body or {})
            case "POST":
                return 201, self.put(f"{path}/{(body or {})['metadata']['name']}", body or {})
            case _:
                return 200, self.put(path, body or {})

    def apply(
        self, path: str, body: Object, *, query: Mapping[str, str] | None = None, seconds: float = 0.0
    ) -> tuple[int, Object]:
        self.owned += [f"{path} {owner['name']}" for owner in body["metadata"]["ownerReferences"]]
        return 200, body

    def text(self, path: str, query: Mapping[str, str] | None = None, **_: object) -> Iterator[bytes]:
        raise AssertionError("nobody watches here")

    def put(self, path: str, body: Object) -> Object:
        self.version += 1
        metadata = {**body["metadata"], "uid": f"uid-{self.version}", "resourceVersion": str(self.version)}
        self.objects[path] = {**body, "metadata": metadata}
        return self.objects[path]

    def _read(self, path: str) -> Object:
        if path in self.objects:
            return self.objects[path]
        if "/home/" in path:
            raise Refused(404, "NotFound", path)
        plural = path.rsplit("/", 1)[1]
        items = [body for where, body in sorted(self.objects.items()) if f"/{plural}/" in where]
        return {"items": items, "metadata": {"resourceVersion": str(self.version)}}

    def _delete(self, path: str, options: Object) -> Object:
        name = path.rsplit("/", 1)[1]
        if name in self.refuses:
            raise Refused(403, "Forbidden", "not this one")
        if path not in self.objects:
            raise Refused(404, "NotFound", path)
        if options["preconditions"]["uid"] != self.objects[path]["metadata"]["uid"]:
            raise Refused(409, "Conflict", "the UID in the precondition does not match the UID in record")
        self.removed.append(name)
        return self.objects.pop(path)


@pytest.fixture
def server() -> Server:
    return Server()


Leader = Callable[..., KubeCluster]


@pytest.fixture
def leader(server: Server) -> Iterator[Leader]:
    """One that has seen everything, at that time."""
    made: list[KubeCluster] = []

    def lead(now: datetime = LATER, settings: Settings | None = None) -> KubeCluster:
        told = Settings() if settings is None else settings
        made.append(KubeCluster(server, told, namespace="home", told=lambda _: None, clock=lambda: now))
        made[-1].lead("me")
        made[-1].observe()
        return made[-1]

    yield lead
    for one in made:
        one.writer.stop()


def a_past_lease(name: str, *, closed: bool = True) -> Lease:
    lease = a_lease(RUN, {"n1": (0, 1)})
    lease = attrs.evolve(lease, meta=attrs.evolve(lease.meta, name=name))
    status = LeaseStatus(closed=True, end=A_MONDAY, closure_reason=Closed.SUCCEEDED)
    return attrs.evolve(lease, status=status) if closed else lease


def keep(server: Server, *kept: Lease | Reservation | Resolution) -> None:
    for one in kept:
        server.put(paths.one(to_object(one)["kind"], one.meta.key), to_object(one))


def a_promise(name: str, phase: ReservationPhase = ReservationPhase.RELEASED) -> Reservation:
    spec = ReservationSpec(run_ref=RunRef(name="train", uid=RUN.uid), flavor="h100", gpus=2, at=A_MONDAY)
    status = ReservationStatus(phase=phase, end=A_MONDAY if phase.over else None)
    return Reservation(meta=Meta(name=name, namespace=RUN.key.namespace), spec=spec, status=status)


def over(number: int, end: datetime = A_MONDAY) -> Resolution:
    status = ResolutionStatus(phase=ResolutionPhase.RELEASED, reason="Started", end=end)
    return attrs.evolve(numbered(number), status=status)


def swept(cluster: KubeCluster) -> Swept:
    """What one call begins, and what came of it."""
    before = cluster.sweep()
    assert before == Swept()
    assert cluster.writer.drain(5)
    cluster._look_again()
    cluster.observe()
    return cluster.sweep()


def test_a_closed_lease_goes_when_its_time_is_over_and_an_open_one_never(server: Server, leader: Leader) -> None:
    keep(server, a_past_lease("closed"), a_past_lease("open", closed=False))
    assert swept(leader(A_MONDAY + KEPT)) == Swept()
    assert server.removed == []
    assert swept(leader()) == Swept(leases=1)
    assert server.removed == ["closed"]


def test_a_promise_that_is_over_goes_and_one_that_stands_never(server: Server, leader: Leader) -> None:
    keep(server, a_promise("kept"), a_promise("stands", ReservationPhase.PENDING))
    keep(server, a_promise("canceled", ReservationPhase.CANCELED))
    assert swept(leader(A_MONDAY + KEPT)) == Swept()
    assert swept(leader()) == Swept(reservations=2)
    assert server.removed == ["canceled", "kept"]


def test_a_sweep_of_an_open_lease_is_noticed(server: Server, leader: Leader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "ended", lambda value: value.spec.start if isinstance(value, Lease) else None)
    keep(server, a_past_lease("open", closed=False))
    swept(leader())
    assert server.removed == ["open"]


def test_a_resolution_that_is_over_goes_and_the_last_one_stays(server: Server, leader: Leader) -> None:
    keep(server, over(1), over(2), over(3))
    assert swept(leader()) == Swept(resolutions=2)
    assert server.removed == ["resolution-1", "resolution-2"]


def test_each_has_the_one_before_it_for_as_long_as_it_is_kept_itself(server: Server, leader: Leader) -> None:
    keep(server, over(1), over(2), numbered(3))
    assert swept(leader()) == Swept(resolutions=1)
    keep(server, over(3, A_MONDAY + timedelta(days=1)), numbered(4))
    assert swept(leader()) == Swept()
    assert swept(leader(LATER + timedelta(days=1))) == Swept(resolutions=1)
    assert server.removed == ["resolution-1", "resolution-2"]


def test_one_that_is_being_carried_out_stays_however_old_it_is(server: Server, leader: Leader) -> None:
    keep(server, numbered(1), over(2), over(3))
    assert swept(leader()) == Swept(resolutions=1)
    assert server.removed == ["resolution-2"]


def test_the_head_of_the_ledger_stays_as_it_is(server: Server, leader: Leader) -> None:
    keep(server, a_past_lease("closed"))
    cluster = leader()
    cluster.journal.write(attrs.evolve(cluster.journal.entry, head=77))
    assert swept(cluster) == Swept(leases=1)
    again = KubeCluster(server, Settings(), namespace="home", told=lambda _: None, clock=lambda: LATER)
    again.lead("other")
    assert HeadSeen(77) in again.observe()[1]


def test_so_many_go_at_once_and_no_more_before_those_are_gone(
    server: Server, leader: Leader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "MOST_AT_ONCE", 3)
    keep(server, *(a_past_lease(f"l{number}") for number in range(7)))
    cluster = leader()
    counts = [swept(cluster).leases]
    while len(counts) < 4 and counts[-1]:
        assert cluster.writer.drain(5)
        cluster._look_again()
        cluster.observe()
        counts.append(cluster.sweep().leases)
    assert counts == [3, 3, 1, 0]
    assert server.removed == [f"l{number}" for number in range(7)]


def test_what_is_refused_is_said_and_tried_again(server: Server, leader: Leader) -> None:
    keep(server, a_past_lease("closed"))
    server.refuses.add("closed")
    cluster = leader()
    assert swept(cluster).refusal == "GPULease closed: Forbidden: not this one"
    server.refuses.clear()
    assert cluster.writer.drain(5)
    cluster.sweep()
    assert cluster.writer.drain(5)
    assert server.removed == ["closed"]


def test_who_is_deposed_removes_nothing(server: Server, leader: Leader) -> None:
    keep(server, a_past_lease("closed"))
    cluster = leader()
    cluster.allow(lambda: False)
    assert swept(cluster).refusal is not None
    assert server.removed == []


def test_another_of_its_name_stays(server: Server, leader: Leader) -> None:
    keep(server, a_past_lease("closed"))
    cluster = leader()
    keep(server, a_past_lease("closed", closed=False))
    cluster.sweep()
    assert cluster.writer.drain(5)
    assert server.removed == []


def test_evidence_in_parts_is_given_to_its_resolution_before_that_goes(
    server: Server, leader: Leader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who kept it may have been killed before it said whose they are; an archive has all of it."""
    monkeypatch.setattr(evidence, "MOST_INLINE", 900)
    monkeypatch.setattr(evidence, "PART_CHARACTERS", 300)
    one, settings = over(1), Settings(retention=RetentionSettings(archive=str(tmp_path)))
    body, parts = divided(one, "home")
    assert len(parts) > 1
    server.put(f"{paths.one('Resolution', one.meta.key)}", {**to_object(one), "spec": body["spec"]})
    for part in parts:
        server.put(f"{HOME}/{part['metadata']['name']}", part)
    keep(server, over(2))
    assert swept(leader(settings=settings)) == Swept(resolutions=1)
    assert server.owned == [f"{HOME}/{p['metadata']['name']} {one.name}" for p in parts]
    (line,) = (tmp_path / "resolutions.jsonl").read_text().splitlines()
    assert resolution_from_object(json.loads(line)).spec.evidence.data == one.spec.evidence.data


def test_what_cannot_be_archived_stays(server: Server, leader: Leader, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    settings = Settings(retention=RetentionSettings(archive=str(tmp_path / "file")))
    keep(server, a_past_lease("closed"))
    refusal = swept(leader(settings=settings)).refusal
    assert refusal is not None
    assert "retention.archive" in refusal
    assert server.removed == []

"""The live cluster's adapter against an API server that is a dictionary."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import pytest

from runs_core.cluster.kube.api import Api, Refused
from runs_core.cluster.kube.cluster import KubeCluster
from runs_core.cluster.kube.news import Everything, Written
from runs_core.cluster.kube.pace import BURST
from runs_core.cluster.kube.podmake import FINALIZER
from runs_core.cluster.kube.reflect import Event, Restored
from runs_core.cluster.kube.tries import MOST_CONFLICTS
from runs_core.cluster.kube.writer import Work, Write, Writer
from runs_core.errors import Deposed, Unavailable
from runs_core.schema.convert import to_object
from runs_core.schema.pods import pod_to_object
from runs_core.settings import Settings
from runs_core.testing.builders import A_MONDAY, a_lease, a_node, a_pod, a_run, a_world
from runs_core.values.change import Change, LeaseSeen, RunGone, RunSeen, RunUnread, StartRefused
from runs_core.values.effect import CloseLease, Effect, Emit, EndPod, OpenLease, RemoveRun, SetRunStatus
from runs_core.values.lease import Closed, Lease, LeaseStatus
from runs_core.values.run import Phase, Run

Object = dict[str, Any]
RUN, NEXT = a_run("train", gpus=2), a_run("next", gpus=2)
HELD = a_lease(RUN, {"n1": (0, 1)})


class Server(Api):
    """objects: by path. asked: writes in order. refuse: what the next writes of a path are answered; None: as ever.

    mute: paths whose next write is done and not answered.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.asked: list[tuple[str, str]] = []
        self.refuse: dict[str, list[Refused | None]] = {}
        self.mute: set[str] = set()
        self.version = 1
        self.lock = threading.Lock()
        self.go_on = threading.Event()
        self.go_on.set()

    def wait(self) -> None:
        self.go_on.wait(5)

    def put(self, path: str, body: Object) -> Object:
        self.version += 1
        known = self.objects.get(path, {})
        uid = known.get("metadata", {}).get("uid", f"uid-{self.version}")
        metadata = {**known.get("metadata", {}), "uid": uid, **body["metadata"], "resourceVersion": str(self.version)}
        self.objects[path] = {**known, **body, "metadata": metadata}
        return self.objects[path]

    def call(self, method: str, path: str, body: Object | None = None, **_: object) -> tuple[int, Object]:
        if method == "PATCH" and path.endswith("/closes"):
            self.go_on.wait(5)
        with self.lock:
            if method == "GET":
                return 200, self._read(path)
            self.asked.append((method, path))
            path = path.removesuffix("/status")
            if self.refuse.get(path) and (refused := self.refuse[path].pop(0)) is not None:
                raise refused
            if method == "POST":
                path = f"{path}/{(body or {})['metadata']['name']}"
                if path in self.objects:
                    raise Refused(409, "AlreadyExists", "it is there")
            self._judge(path, (body or {}).get("metadata", {}))
            made = self.put(path, body or {"metadata": {}})
            if path in self.mute:
                self.mute.discard(path)
                raise Unavailable("written, and not answered")
            return 201, made

    def _judge(self, path: str, metadata: Object) -> None:
        """A resourceVersion is a precondition."""
        known = self.objects.get(path, {}).get("metadata", {})
        if metadata.get("resourceVersion") and known and metadata["resourceVersion"] != known["resourceVersion"]:
            raise Refused(409, "Conflict", "the object has been modified")

    def apply(
        self, path: str, body: Object, *, query: Mapping[str, str] | None = None, seconds: float = 0.0
    ) -> tuple[int, Object]:
        return self.call("PATCH", path, body)

    def text(self, path: str, query: Mapping[str, str] | None = None, **_: object) -> Iterator[bytes]:
        raise AssertionError("nobody watches here")

    def _read(self, path: str) -> Object:
        plural = path.rsplit("/", 1)[1]
        items = [self.objects[key] for key in sorted(self.objects) if f"/{plural}/" in key]
        if path in self.objects:
            return self.objects[path]
        if plural in {"runs-journal", "runs-nonce"}:
            raise Refused(404, "NotFound", "no journal")
        return {"items": items, "metadata": {"resourceVersion": str(self.version)}}


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def cluster(server: Server) -> Iterator[KubeCluster]:
    made = KubeCluster(server, Settings(), namespace="home", told=lambda _: None, clock=lambda: A_MONDAY)
    yield made
    made.writer.stop()


def closed(lease: Lease) -> Lease:
    return attrs.evolve(lease, status=LeaseStatus(closed=True, end=A_MONDAY, closure_reason=Closed.SUCCEEDED))


def path(thing: Run | Lease) -> str:
    plural = "runs" if isinstance(thing, Run) else "gpuleases"
    return f"/apis/runs.dev/v1alpha1/namespaces/{thing.key.namespace}/{plural}/{thing.key.name}"


def stored(server: Server, thing: Run | Lease) -> Object:
    return server.put(path(thing), to_object(thing))


def phased(run: Run, phase: Phase) -> Run:
    return attrs.evolve(run, status=attrs.evolve(run.status, phase=phase))


def observed(cluster: KubeCluster) -> list[Change]:
    return list(cluster.observe()[1])


def heard(cluster: KubeCluster) -> list[Change]:
    """What is observed once there is something."""
    while not (told := observed(cluster)):
        assert cluster.inbox.wait(10)
    return told


def test_a_start_waits_for_the_closure_of_the_lease_whose_places_it_takes(server: Server, cluster: KubeCluster) -> None:
    held = attrs.evolve(HELD, meta=attrs.evolve(HELD.meta, name="closes"))
    opens = a_lease(NEXT, {"n1": (0, 1)})
    server.go_on.clear()
    cluster.lead("me")
    cluster.commit([CloseLease(closed(held)), OpenLease(opens)], ())
    assert not cluster.writer.drain(0.1)
    server.go_on.set()
    assert cluster.writer.drain(5)
    leases = [(how, asked.rsplit("/", 1)[1]) for how, asked in server.asked if "gpuleases" in asked]
    assert leases == [("PATCH", "closes"), ("POST", "gpuleases")]
    assert path(opens) in server.objects


def test_a_start_whose_places_are_not_freed_is_decided_anew_and_nobody_is_blamed(
    server: Server, cluster: KubeCluster
) -> None:
    server.refuse[path(HELD)] = [Refused(403, "Forbidden", "no")]
    cluster.lead("me")
    opens = a_lease(NEXT, {"n1": (0, 1)})
    effects: list[Effect] = [CloseLease(closed(HELD)), OpenLease(opens), SetRunStatus(phased(NEXT, Phase.STARTING))]
    cluster.commit(effects, ())
    assert cluster.writer.drain(5)
    told = observed(cluster)
    assert not any(isinstance(change, StartRefused) for change in told)
    assert path(opens) not in server.objects


def left(server: Server, effects: list[Effect]) -> None:
    """What a leader leaves that wrote only its journal."""
    first = KubeCluster(server, Settings(), namespace="home", told=lambda _: None, clock=lambda: A_MONDAY)
    first.lead("first")
    first.allow(lambda: False)
    first.commit(effects, ())
    first.writer.stop()


def test_who_takes_over_opens_what_the_one_before_may_still_be_opening(server: Server, cluster: KubeCluster) -> None:
    opens = a_lease(NEXT, {"n1": (0, 1)})
    left(server, [OpenLease(opens)])
    cluster.lead("heir")
    assert path(opens) in server.objects
    assert {change.lease.key for change in observed(cluster) if isinstance(change, LeaseSeen)} == {opens.key}


def test_who_stops_before_it_has_taken_over_leaves_the_journal_as_it_was(server: Server, cluster: KubeCluster) -> None:
    """The one before may still be opening what it says, and whoever leads next has to know."""
    opens = a_lease(NEXT, {"n1": (0, 1)})
    left(server, [OpenLease(opens)])
    leases = path(opens).rsplit("/", 1)[0]
    server.refuse[leases] = [Refused(503, "Unavailable", "not now")]
    cluster.allow(lambda: ("POST", leases) not in server.asked)
    with pytest.raises(Refused):
        cluster.lead("heir")
    cluster.allow(lambda: True)
    assert cluster.stop(1)
    heir = KubeCluster(server, Settings(), namespace="home", told=lambda _: None, clock=lambda: A_MONDAY)
    heir.lead("next")
    heir.writer.stop()
    assert path(opens) in server.objects


def test_who_takes_over_opens_nothing_on_places_that_are_held(server: Server, cluster: KubeCluster) -> None:
    opens = a_lease(NEXT, {"n1": (0, 1)})
    left(server, [CloseLease(closed(HELD)), OpenLease(opens)])
    stored(server, HELD)
    cluster.lead("heir")
    assert path(opens) not in server.objects


def test_who_takes_over_opens_nothing_for_a_run_that_still_holds_an_earlier_attempt(
    server: Server, cluster: KubeCluster
) -> None:
    again = a_lease(RUN, {"n2": (0, 1)}, attempt=2)
    left(server, [CloseLease(closed(HELD)), OpenLease(again)])
    stored(server, HELD)
    cluster.lead("heir")
    assert path(again) not in server.objects


def test_who_takes_over_opens_nothing_that_is_being_closed_again(server: Server, cluster: KubeCluster) -> None:
    left(server, [OpenLease(HELD), CloseLease(closed(HELD))])
    cluster.lead("heir")
    assert path(HELD) not in server.objects


@pytest.mark.parametrize("shape", [{"role": "Another"}, {"slots": {"n1": ["first"]}}, {"slots": None}, {"runRef": {}}])
def test_while_a_lease_cannot_be_read_its_run_is_not_judged(
    server: Server, cluster: KubeCluster, shape: Object
) -> None:
    """Such as one of a newer release: to the audit the run would have lost what it holds."""
    body = stored(server, HELD)
    body["metadata"]["labels"] = {"runs.dev/run": RUN.key.name}
    body["spec"] = {**body["spec"], **shape}
    left(server, [OpenLease(a_lease(NEXT, {"n2": (0, 1)}))])
    cluster.lead("me")
    observed(cluster)
    assert cluster.busy(RUN.key)
    assert not cluster.busy(NEXT.key)
    (told,) = cluster.hidden
    assert told.startswith(f"GPULease {HELD.key} cannot be read: ")
    stored(server, HELD)
    cluster.inbox.put(Event(resource="GPULease", deleted=False, item=server.objects[path(HELD)]))
    observed(cluster)
    assert (cluster.busy(RUN.key), cluster.hidden) == (False, [])


def test_one_that_is_closed_and_cannot_be_read_hides_nothing(server: Server, cluster: KubeCluster) -> None:
    body = stored(server, closed(HELD))
    body["metadata"]["labels"] = {"runs.dev/run": RUN.key.name}
    body["spec"] = {**body["spec"], "role": "Another"}
    cluster.lead("me")
    observed(cluster)
    assert (cluster.busy(RUN.key), cluster.hidden) == (False, [])


@pytest.mark.parametrize("listed", [True, False])
def test_a_lease_that_could_not_be_read_and_is_gone_keeps_nobody_from_being_judged(
    server: Server, cluster: KubeCluster, listed: bool
) -> None:
    body = stored(server, HELD)
    body["metadata"]["labels"] = {"runs.dev/run": RUN.key.name}
    body["spec"] = {**body["spec"], "role": "Another"}
    cluster.lead("me")
    observed(cluster)
    assert cluster.busy(RUN.key)
    del server.objects[path(HELD)]
    if listed:
        server.version += 1
        cluster.lead("me")
    else:
        body["metadata"]["resourceVersion"] = str(server.version + 1)
        cluster.inbox.put(Event(resource="GPULease", deleted=True, item=body))
    observed(cluster)
    assert not cluster.busy(RUN.key)


def test_an_attempt_whose_lease_is_there_and_closed_is_spent_and_nobody_is_blamed(
    server: Server, cluster: KubeCluster
) -> None:
    stored(server, closed(HELD))
    stored(server, RUN)
    cluster.lead("me")
    observed(cluster)
    cluster.commit([OpenLease(HELD), SetRunStatus(phased(RUN, Phase.STARTING))], ())
    assert cluster.writer.drain(5)
    told = observed(cluster)
    runs = [change.run.status for change in told if isinstance(change, RunSeen)]
    assert (runs[-1].phase, runs[-1].attempt) == (Phase.QUEUED, 1)
    assert not any(isinstance(change, StartRefused) for change in told)
    assert cluster.writer.drain(5)
    assert server.objects[path(RUN)]["status"]["attempt"] == 1


def test_so_is_one_whose_lease_was_another_and_is_closed(server: Server, cluster: KubeCluster) -> None:
    """The API server refuses the other spec before anything else."""
    stored(server, closed(HELD))
    stored(server, RUN)
    cluster.lead("me")
    observed(cluster)
    opens = a_lease(RUN, {"n2": (0, 1)})
    server.refuse[path(opens)] = [Refused(422, "Invalid", "want no change: what a lease says was so; make a new one")]
    cluster.commit([OpenLease(opens), SetRunStatus(phased(RUN, Phase.STARTING))], ())
    assert cluster.writer.drain(5)
    told = observed(cluster)
    runs = [change.run.status for change in told if isinstance(change, RunSeen)]
    assert (runs[-1].phase, runs[-1].attempt) == (Phase.QUEUED, 1)
    assert not any(isinstance(change, StartRefused) for change in told)


def test_who_takes_over_looks_at_runs_again_whatever_the_watch_told_it(server: Server, cluster: KubeCluster) -> None:
    old = stored(server, RUN)
    cluster.inbox.put(Event(resource="Run", deleted=False, item=dict(old)))
    assert [change.run.status.phase for change in observed(cluster) if isinstance(change, RunSeen)] == [Phase.QUEUED]
    stored(server, phased(RUN, Phase.SUCCEEDED))
    cluster.lead("me")
    world = a_world(a_node("n1"))
    for change in observed(cluster):
        world.apply(change)
    found = world.run(RUN.key)
    assert found is not None
    assert found.status.phase is Phase.SUCCEEDED


def test_an_event_from_before_the_last_list_brings_nothing_back(server: Server, cluster: KubeCluster) -> None:
    gone = to_object(HELD)
    gone["metadata"]["resourceVersion"] = "1"
    stored(server, RUN)
    cluster.lead("me")
    observed(cluster)
    cluster.inbox.put(Event(resource="GPULease", deleted=False, item=gone))
    assert observed(cluster) == []
    gone["metadata"]["resourceVersion"] = str(server.version + 1)
    cluster.inbox.put(Event(resource="GPULease", deleted=False, item=gone))
    assert [type(change) for change in observed(cluster)] == [LeaseSeen]


def test_nor_does_an_answer_that_comes_after_a_list_which_lacks_it(server: Server, cluster: KubeCluster) -> None:
    gone = to_object(HELD)
    gone["metadata"]["resourceVersion"] = "1"
    stored(server, RUN)
    cluster.lead("me")
    observed(cluster)
    cluster.inbox.put(Written(effect=OpenLease(HELD), answer=gone))
    assert observed(cluster) == []
    late = {**gone, "metadata": {**gone["metadata"], "resourceVersion": "99"}}
    cluster.inbox.put(Written(effect=OpenLease(HELD), answer=late))
    assert [change.lease.key for change in observed(cluster) if isinstance(change, LeaseSeen)] == [HELD.key]


def test_a_status_that_may_not_be_written_is_decided_anew_after_a_pause_that_grows(
    server: Server, cluster: KubeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as under a Role that lacks it: else all runs would be decided on, and refused, as fast as can be."""
    monkeypatch.setattr("random.uniform", lambda *_: 1.0)
    stored(server, RUN)["metadata"]["finalizers"] = [FINALIZER]
    cluster.lead("me")
    observed(cluster)
    pauses: list[float] = []
    for _ in range(3):
        began = time.monotonic()
        server.refuse[path(RUN)] = [Refused(403, "Forbidden", "no")]
        cluster.commit([SetRunStatus(phased(RUN, Phase.HELD))], ())
        told = heard(cluster)
        assert [change.run.status.phase for change in told if isinstance(change, RunSeen)] == [Phase.QUEUED]
        pauses.append(time.monotonic() - began)
    assert pauses[0] >= 0.5
    assert pauses[2] >= 2.0
    cluster.commit([SetRunStatus(phased(RUN, Phase.HELD))], ())
    assert cluster.writer.drain(5)
    observed(cluster)
    assert server.objects[path(RUN)]["status"]["phase"] == "Held"
    server.refuse[path(RUN)] = [Refused(403, "Forbidden", "no")]
    cluster.commit([SetRunStatus(phased(RUN, Phase.QUEUED))], ())
    assert cluster.inbox.wait(10)
    while not observed(cluster):
        assert cluster.inbox.wait(1.5), "it has been written since, and waits no longer than at first"


def test_the_next_of_its_name_does_not_wait_for_what_was_refused_of_a_run_that_is_gone(
    server: Server, cluster: KubeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda *_: 1.0)
    pauses: list[float] = []

    def tell_later(task: Callable[[], None], seconds: float) -> None:
        pauses.append(seconds)
        task()

    monkeypatch.setattr(cluster.writer, "tell_later", tell_later)
    stored(server, RUN)["metadata"]["finalizers"] = [FINALIZER]
    cluster.lead("me")

    def refused() -> None:
        observed(cluster)
        server.refuse[path(RUN)] = [Refused(403, "Forbidden", "no")]
        cluster.commit([SetRunStatus(phased(RUN, Phase.HELD))], ())
        assert cluster.writer.drain(5)

    refused()
    refused()
    item = server.objects.pop(path(RUN))
    server.version += 1
    item["metadata"]["resourceVersion"] = str(server.version)
    cluster.inbox.put(Event(resource="Run", deleted=True, item=item))
    again = stored(server, RUN)
    again["metadata"]["finalizers"] = [FINALIZER]
    cluster.inbox.put(Event(resource="Run", deleted=False, item=again))
    refused()
    assert pauses == [0.5, 1.0, 0.5]


def test_a_pod_that_may_not_be_ended_is_asked_again_after_a_pause_that_grows_and_its_run_says_so(
    server: Server, cluster: KubeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy of others protects it: who asks as fast as can be writes the journal each time, and says nothing."""
    monkeypatch.setattr("random.uniform", lambda *_: 1.0)
    pod = a_pod(phased(RUN, Phase.RUNNING), node="n1")
    where = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
    server.put(where, pod_to_object(pod))
    stored(server, RUN)["metadata"]["finalizers"] = [FINALIZER]
    cluster.lead("me")
    observed(cluster)
    pauses: list[float] = []
    for _ in range(3):
        began = time.monotonic()
        server.refuse[where] = [Refused(422, "Invalid", "it is protected")]
        cluster.commit([EndPod(attrs.evolve(pod, deleting=A_MONDAY)), SetRunStatus(phased(RUN, Phase.RUNNING))], ())
        heard(cluster)
        pauses.append(time.monotonic() - began)
    assert pauses[0] >= 0.5
    assert pauses[2] >= 2.0
    assert cluster.writer.drain(5)
    (event,) = [one for name, one in server.objects.items() if "/events/" in name]
    assert (event["reason"], event["type"], event["regarding"]["name"]) == ("WriteRefused", "Warning", "train")
    assert event["note"] == (
        "the cluster refuses what the scheduler writes for it: Invalid: it is protected; "
        "it is tried again within a minute or so: let the scheduler's account do it"
    )


def test_who_sees_that_the_api_server_was_set_back_begins_anew(cluster: KubeCluster) -> None:
    cluster.inbox.put(Restored(resource="Run"))
    with pytest.raises(Deposed, match="the API server shows Runs as they were before"):
        cluster.observe()


def test_a_refused_start_of_a_run_that_is_gone_is_held_against_none_that_comes_after(
    server: Server, cluster: KubeCluster
) -> None:
    gone = stored(server, RUN)
    cluster.lead("me")
    observed(cluster)
    leases = path(HELD).rsplit("/", 1)[0]
    server.refuse[leases] = [Refused(403, "Forbidden", "no")]
    version = str(server.version + 1)
    gone = {**gone, "metadata": {**gone["metadata"], "resourceVersion": version}}
    cluster.inbox.put(Event(resource="Run", deleted=True, item=gone))
    cluster.commit([OpenLease(HELD)], ())
    assert cluster.writer.drain(5)
    told = observed(cluster)
    assert RunGone(RUN.key) in told
    assert not any(isinstance(change, StartRefused) for change in told)


@pytest.mark.parametrize(("times", "refused"), [(MOST_CONFLICTS, False), (MOST_CONFLICTS + 1, True)])
def test_a_conflict_is_tried_again_for_a_while(times: int, refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [Refused(409, "Conflict", "somebody wrote at the same time")] * times

    def write() -> None:
        if left:
            raise left.pop()

    monkeypatch.setattr("random.uniform", lambda *_: 0.0)
    writer = Writer(threads=1)
    assert (writer.attempt(write) is not None) is refused
    writer.stop()


def test_a_place_does_not_seem_held_again_while_its_lease_is_let_go(server: Server, cluster: KubeCluster) -> None:
    stored(server, HELD)
    cluster.lead("me")
    observed(cluster)
    server.refuse[path(HELD)] = [Refused(409, "Conflict", "uid mismatch: no existing object was found")]
    cluster.commit([CloseLease(closed(HELD))], ())
    assert cluster.writer.drain(5)
    told = [change.lease.status.closed for change in observed(cluster) if isinstance(change, LeaseSeen)]
    assert told
    assert all(told)


def test_a_write_that_fails_in_a_way_nobody_thought_of_is_refused_and_hangs_nothing() -> None:
    told: list[str] = []
    writer = Writer(threads=1)
    broken: Write = [].pop
    work = Work(key=RUN.key, stages=[[broken]], failed=lambda refusal: told.append(str(refusal)), done=lambda: None)
    writer.add(work)
    assert writer.drain(5)
    writer.stop()
    assert told == ["Defect: IndexError: pop from empty list"]


def test_a_place_whose_closure_was_refused_stays_shut_until_that_is_known(server: Server, cluster: KubeCluster) -> None:
    server.refuse[path(HELD)] = [Refused(403, "Forbidden", "no")]
    cluster.lead("me")
    opens = a_lease(NEXT, {"n1": (0, 1)})
    cluster.commit([CloseLease(closed(HELD))], ())
    assert cluster.writer.drain(5)
    cluster.commit([OpenLease(opens)], ())
    assert cluster.writer.drain(5)
    assert path(opens) not in server.objects
    observed(cluster)
    cluster.commit([OpenLease(opens)], ())
    assert cluster.writer.drain(5)
    assert path(opens) in server.objects


def test_a_status_that_is_refused_for_no_reason_of_its_own_is_written(server: Server, cluster: KubeCluster) -> None:
    stored(server, RUN)
    cluster.lead("me")
    observed(cluster)
    server.refuse[path(RUN)] = [Refused(409, "Conflict", "the object has been modified")]
    cluster.commit([SetRunStatus(phased(RUN, Phase.HELD))], ())
    assert cluster.writer.drain(5)
    assert phase_of(server) == "Held"


def phase_of(server: Server) -> str:
    return str(server.objects[path(RUN)]["status"]["phase"])


def begun(server: Server, cluster: KubeCluster) -> None:
    """It leads, and has seen the run as it is stored."""
    body = stored(server, RUN)
    body["metadata"]["finalizers"] = [FINALIZER]
    cluster.lead("me")
    observed(cluster)


def test_a_status_that_was_overtaken_is_not_written_and_is_decided_anew(server: Server, cluster: KubeCluster) -> None:
    begun(server, cluster)
    stored(server, phased(RUN, Phase.SUCCEEDED))
    cluster.commit([SetRunStatus(phased(RUN, Phase.STARTING))], ())
    assert cluster.writer.drain(5)
    assert phase_of(server) == "Succeeded"
    told = [change.run.status.phase for change in observed(cluster) if isinstance(change, RunSeen)]
    assert told[-1] is Phase.SUCCEEDED


def test_a_status_is_written_over_an_edit_of_the_spec(server: Server, cluster: KubeCluster) -> None:
    begun(server, cluster)
    stored(server, attrs.evolve(RUN, spec=attrs.evolve(RUN.spec, suspend=True)))
    cluster.commit([SetRunStatus(phased(RUN, Phase.STARTING))], ())
    assert cluster.writer.drain(5)
    assert phase_of(server) == "Starting"


def test_two_statuses_in_a_row_are_each_written_over_the_one_before(server: Server, cluster: KubeCluster) -> None:
    begun(server, cluster)
    for phase in (Phase.STARTING, Phase.RUNNING, Phase.SUCCEEDED):
        cluster.commit([SetRunStatus(phased(RUN, phase))], ())
        assert cluster.writer.drain(5)
    assert phase_of(server) == "Succeeded"
    assert len([asked for _, asked in server.asked if asked.endswith("/status")]) == 3


def test_a_status_whose_answer_was_lost_is_known_again(server: Server, cluster: KubeCluster) -> None:
    """It arrived: the same one, sent again, meets itself, and the next goes over it."""
    begun(server, cluster)
    server.mute.add(path(RUN))
    cluster.commit([SetRunStatus(phased(RUN, Phase.STARTING))], ())
    assert cluster.writer.drain(5)
    assert server.asked.count(("PUT", f"{path(RUN)}/status")) == 2
    cluster.commit([SetRunStatus(phased(RUN, Phase.RUNNING))], ())
    assert cluster.writer.drain(5)
    assert phase_of(server) == "Running"


def test_a_status_is_not_written_on_another_run_of_the_name(server: Server, cluster: KubeCluster) -> None:
    begun(server, cluster)
    stored(server, attrs.evolve(RUN, meta=attrs.evolve(RUN.meta, uid="another")))
    cluster.commit([SetRunStatus(phased(RUN, Phase.STARTING))], ())
    assert cluster.writer.drain(5)
    assert phase_of(server) == "Queued"


def test_a_run_that_cannot_be_read_counts_as_gone_once_it_is_to_go(server: Server, cluster: KubeCluster) -> None:
    """Until then it counts as it was last read, and is told of. The audit lets it go."""
    begun(server, cluster)
    body = stored(server, RUN)
    body["spec"] = {"resources": {"gpus": "many"}}
    cluster.inbox.put(Event(resource="Run", deleted=False, item=copy.deepcopy(body)))
    (unread,) = observed(cluster)
    assert isinstance(unread, RunUnread)
    assert "got 'many', want int" in (unread.why or "")
    assert cluster.doomed == {}
    body["metadata"].update(deletionTimestamp="2026-01-31T08:00:00Z", resourceVersion=str(server.version + 1))
    cluster.inbox.put(Event(resource="Run", deleted=False, item=body))
    assert observed(cluster) == [RunUnread(RUN.key, None), RunGone(RUN.key)]
    assert cluster.doomed == {RUN.key: body["metadata"]["uid"]}
    cluster.commit([RemoveRun(RUN.key, body["metadata"]["uid"])], ())
    assert cluster.writer.drain(5)
    assert ("DELETE", path(RUN)) in server.asked


def test_who_begins_anew_hears_of_a_run_that_cannot_be_read_until_it_can_or_is_gone(
    server: Server, cluster: KubeCluster
) -> None:
    body = stored(server, RUN)
    body["spec"] = {"resources": {"gpus": "many"}}
    cluster.lead("me")
    (unread,) = {one for one in observed(cluster) if isinstance(one, RunUnread)}
    cluster.inbox.put(Everything())
    assert [one for one in observed(cluster) if isinstance(one, RunUnread)] == [unread]
    stored(server, RUN)
    cluster.inbox.put(Event(resource="Run", deleted=False, item=server.objects[path(RUN)]))
    assert [type(one) for one in observed(cluster)] == [RunUnread, RunSeen]
    cluster.inbox.put(Everything())
    assert not [one for one in observed(cluster) if isinstance(one, RunUnread)]


def test_the_first_status_of_a_run_comes_after_our_finalizer(server: Server, cluster: KubeCluster) -> None:
    stored(server, RUN)
    cluster.lead("me")
    observed(cluster)
    for phase in (Phase.HELD, Phase.QUEUED):
        cluster.commit([SetRunStatus(phased(RUN, phase))], ())
        assert cluster.writer.drain(5)
    asked = [asked.removeprefix(path(RUN)) for _, asked in server.asked if "/runs/" in asked]
    assert asked == ["", "/status", "/status"]
    assert server.objects[path(RUN)]["metadata"]["finalizers"] == [FINALIZER]


def test_nothing_starts_without_our_finalizer_and_a_status_can_say_why(server: Server, cluster: KubeCluster) -> None:
    stored(server, RUN)
    cluster.lead("me")
    observed(cluster)
    server.refuse[path(RUN)] = [Refused(403, "Forbidden", "cannot patch runs")] * 2
    cluster.commit([OpenLease(HELD), SetRunStatus(phased(RUN, Phase.STARTING))], ())
    assert cluster.writer.drain(5)
    refused = [change.refusal for change in observed(cluster) if isinstance(change, StartRefused)]
    assert [one.message for one in refused if one] == ["Forbidden: cannot patch runs"]
    assert path(HELD) not in server.objects
    cluster.commit([SetRunStatus(phased(RUN, Phase.HELD))], ())
    assert cluster.writer.drain(5)
    assert phase_of(server) == "Held"


def events(server: Server) -> int:
    return sum("/events" in asked for _, asked in server.asked)


def test_what_was_refused_is_told_to_nobody(server: Server, cluster: KubeCluster) -> None:
    lease = a_lease(NEXT, {"n1": (0, 1)})
    said = Emit("Run", NEXT.key, "Started", "it starts", A_MONDAY)
    server.refuse[path(lease).rsplit("/", 1)[0]] = [Refused(403, "Forbidden", "quota")]
    cluster.lead("me")
    cluster.commit([OpenLease(lease), said], ())
    assert cluster.writer.drain(5)
    assert events(server) == 0
    cluster.commit([OpenLease(lease), said], ())
    assert cluster.writer.drain(5)
    assert events(server) == 1


def test_beyond_its_pace_only_warnings_are_told_and_the_rest_is_counted(server: Server, cluster: KubeCluster) -> None:
    cluster.lead("me")
    said = [Emit("Run", RUN.key, "Started", str(number), A_MONDAY) for number in range(BURST + 40)]
    cluster.commit([*said, Emit("Run", RUN.key, "Failed", "it failed", A_MONDAY, warning=True)], ())
    assert cluster.writer.drain(30)
    left_out = cluster.untold()
    assert 0 < left_out <= 40
    assert events(server) == BURST + 40 - left_out + 1


def test_the_journal_tells_of_no_lease_that_is_written(server: Server, cluster: KubeCluster) -> None:
    """However long the rest of the run's writes may wait: what is there can be seen."""
    server.go_on.clear()
    held = attrs.evolve(HELD, meta=attrs.evolve(HELD.meta, name="closes"))
    cluster.lead("me")
    cluster.commit([OpenLease(a_lease(NEXT, {"n1": (2, 3)})), CloseLease(closed(held))], ())
    assert set(cluster.journal.entry.intents) == {str(RUN.key), str(NEXT.key)}
    until(lambda: not cluster.writer.busy(NEXT.key))
    observed(cluster)
    cluster.commit([SetRunStatus(phased(a_run("third", gpus=1), Phase.HELD))], ())
    assert set(cluster.journal.entry.intents) == {str(RUN.key)}
    server.go_on.set()


def until(so: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_success_that_comes_before_it_was_told_that_the_run_began_is_told_before_its_leases_close(
    server: Server, cluster: KubeCluster
) -> None:
    """Whoever finds them closed, after a crash between the two, finds the run over, and starts nothing again."""
    begun(server, cluster)
    server.go_on.clear()
    cluster.writer.add(Work(key=RUN.key, stages=[[server.wait]], failed=lambda _: None, done=lambda: None))
    cluster.commit([SetRunStatus(phased(RUN, Phase.RUNNING))], ())
    cluster.commit([CloseLease(closed(HELD)), SetRunStatus(phased(RUN, Phase.SUCCEEDED))], ())
    server.go_on.set()
    assert cluster.writer.drain(5)
    asked = [(how, asked) for how, asked in server.asked if asked.startswith((path(RUN), path(HELD)))]
    assert asked[-2:] == [("PUT", f"{path(RUN)}/status"), ("PATCH", path(HELD))]
    assert server.asked.count(("PUT", f"{path(RUN)}/status")) == 1
    assert phase_of(server) == "Succeeded"


def test_a_status_that_was_overtaken_is_not_sent_and_the_last_one_counts(server: Server, cluster: KubeCluster) -> None:
    begun(server, cluster)
    server.go_on.clear()
    held = attrs.evolve(HELD, meta=attrs.evolve(HELD.meta, name="closes"))
    cluster.commit([CloseLease(closed(held)), SetRunStatus(at(Phase.QUEUED))], ())  # waits at the closure
    cluster.commit([SetRunStatus(at(Phase.HELD))], ())
    server.go_on.set()
    assert cluster.writer.drain(5)
    assert server.asked.count(("PUT", f"{path(RUN)}/status")) == 1
    phases = [change.run.status.phase for change in observed(cluster) if isinstance(change, RunSeen)]
    assert phases[-1] is Phase.HELD


def at(phase: Phase) -> Run:
    return attrs.evolve(RUN, status=attrs.evolve(RUN.status, phase=phase))

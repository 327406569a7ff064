"""What a write asks of the API server, and what it makes of the answer."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import attrs
import pytest

from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.cluster.kube.statuses import Basis
from runs_core.cluster.kube.write_leases import SPENT, LeaseWrites
from runs_core.cluster.kube.write_pods import PodWrites
from runs_core.cluster.kube.writes import Writes
from runs_core.schema.convert import to_object
from runs_core.testing.builders import A_MONDAY, a_lease, a_pod, a_run
from runs_core.values.effect import CloseLease, Effect, Emit, EndPod, OpenLease, RemovePod
from runs_core.values.lease import Closed, Lease, LeaseStatus
from runs_core.values.meta import DNS_NAME, Key

OPEN = a_lease(a_run("train", gpus=2), {"n1": (0, 1)})
SEEN = Basis(version=7)
SHUT = attrs.evolve(OPEN, status=LeaseStatus(closed=True, end=A_MONDAY, closure_reason=Closed.SUCCEEDED))


class Server(Api):
    """Stores what it is sent. known: the object that is there.

    apart: it has the CRD of a release whose leases had their status apart.
    """

    def __init__(self, *, apart: bool = False) -> None:
        self.apart = apart
        self.known: Object | None = None
        self.sent: list[tuple[str, str, Object]] = []

    def call(self, method: str, path: str, body: Object | None = None, **_: Any) -> tuple[int, Object]:  # noqa: ANN401  # as the real one
        self.sent.append((method, path, body or {}))
        if method == "GET":
            return 200, self.known or {"metadata": {"uid": "told-by-the-server", "resourceVersion": "8"}}
        if method == "DELETE" and self.known is not None:
            if (body or {}).get("preconditions", {}).get("uid") != self.known["metadata"]["uid"]:
                raise Refused(409, "Conflict", "the UID in the precondition does not match the UID in record")
            return 200, self.known
        if self.known is not None:
            raise Refused(409, "AlreadyExists", "it is there")
        stored = dict(body or {})
        return 200, {**stored, "status": {"closed": False}} if self.apart else stored


def writes(server: Server) -> Writes:
    return Writes(server, lambda _: None, lambda _: None, ())


def closing(lease: Lease) -> list[tuple[str, str, Object]]:
    server = Server()
    writes(server).write(CloseLease(lease), SEEN)
    return server.sent


def test_a_lease_is_closed_and_let_go_in_one_write() -> None:
    ((method, path, body),) = closing(SHUT)
    assert (method, path.rsplit("/", 2)[1:]) == ("PATCH", ["gpuleases", SHUT.meta.name])
    assert body["status"]["closed"]
    assert body["metadata"]["finalizers"] is None
    assert "spec" not in body


def test_a_closed_lease_does_not_say_whose_each_field_is() -> None:
    ((_, _, body),) = closing(SHUT)
    assert body["metadata"]["managedFields"] == [{}], "one empty entry, which clears them; none would leave them"


def test_nothing_of_what_a_lease_was_metered_as_outlives_its_closure() -> None:
    ((_, _, body),) = closing(SHUT)
    assert body["status"] == {
        "closed": True,
        "end": "2026-01-05T12:00:00Z",
        "closureReason": "Succeeded",
        "closureDetail": None,
        "gpuSeconds": None,
        "meteredAs": None,
        "meteredUntil": None,
    }


def there(lease: Lease) -> Server:
    """A server that has it already."""
    server = Server()
    server.known = to_object(lease)
    return server


def test_a_lease_that_is_there_and_equal_is_adopted() -> None:
    stored = writes(there(OPEN)).write(OpenLease(OPEN))
    assert stored is not None
    assert stored["metadata"]["name"] == OPEN.meta.name


def test_a_lease_that_is_there_and_closed_is_spent() -> None:
    with pytest.raises(Refused) as refused:
        writes(there(SHUT)).write(OpenLease(OPEN))
    assert refused.value.reason == SPENT


def test_a_lease_that_is_there_and_is_another_is_refused() -> None:
    another = attrs.evolve(OPEN, spec=a_lease(a_run("train", gpus=2), {"n2": (0, 1)}).spec)
    with pytest.raises(Refused, match="is another one"):
        writes(there(another)).write(OpenLease(OPEN))


def test_a_lease_is_open_and_held_when_it_is_minted() -> None:
    server = Server()
    writes(server).write(OpenLease(OPEN))
    ((_, _, body),) = server.sent
    assert body["metadata"]["finalizers"] == ["runs.dev/ledger"]
    assert "status" not in body


def test_a_closure_names_the_very_lease_so_that_none_comes_back() -> None:
    ((_, _, body),) = closing(SHUT)
    assert body["metadata"]["uid"] == SHUT.meta.uid != ""
    asked, (_, _, body) = closing(attrs.evolve(SHUT, meta=attrs.evolve(SHUT.meta, uid="")))
    assert asked[0] == "GET"
    assert body["metadata"]["uid"] == "told-by-the-server"


class Changing(Server):
    """Has a lease that somebody wrote after it was seen at version 7; deleted: so that it is to go.

    seen: what it was while whoever watches could see it: one that is to go is gone with its last finalizer.
    """

    def __init__(self, *, deleted: bool) -> None:
        super().__init__()
        self.deleted = deleted
        self.seen: list[Object] = []

    def call(self, method: str, path: str, body: Object | None = None, **more: Any) -> tuple[int, Object]:  # noqa: ANN401  # as the real one
        answer = super().call(method, path, body, **more)
        if method == "GET":
            going = {"deletionTimestamp": "2026-01-05T12:00:00Z"} if self.deleted else {}
            return 200, {"metadata": {"uid": SHUT.meta.uid, "resourceVersion": "8", **going}}
        assert body is not None
        if body["metadata"].get("resourceVersion", "8") != "8":
            raise Refused(409, "Conflict", "the object has been modified; please apply your changes to the latest")
        if not self.deleted or "finalizers" not in body["metadata"]:
            self.seen.append(answer[1])
        return answer


class AtOnce(LeaseWrites):
    """Closes a lease in one write, whether somebody deletes it or not."""

    def close(self, lease: Lease, version: int = 0) -> Object:
        return self._stamp(lease, {"uid": lease.meta.uid, "finalizers": None}) or {}


def seen_closed(kind: type[LeaseWrites], lease: Lease = SHUT, *, deleted: bool = True) -> bool:
    """Whether anybody who watches ever sees the lease closed."""
    server = Changing(deleted=deleted)
    kind(server).close(lease, SEEN.version)
    assert server.sent[-1][2]["metadata"]["finalizers"] is None, "it is let go in the end"
    return any(one["status"]["closed"] for one in server.seen)


def test_a_lease_that_is_being_deleted_is_seen_closed_before_it_goes() -> None:
    assert seen_closed(LeaseWrites, attrs.evolve(SHUT, meta=attrs.evolve(SHUT.meta, deleting=A_MONDAY)))


def test_a_lease_that_is_deleted_before_its_closure_arrives_is_seen_closed_before_it_goes() -> None:
    assert seen_closed(LeaseWrites)


def test_a_lease_that_goes_with_its_closure_is_found_out() -> None:
    assert not seen_closed(AtOnce)


def test_a_lease_that_was_metered_before_its_closure_arrives_is_closed_all_the_same() -> None:
    assert seen_closed(LeaseWrites, deleted=False)


def test_a_lease_that_is_written_again_and_again_is_closed_later() -> None:
    server = Changing(deleted=False)
    server.call = _always_newer(server)  # type: ignore[method-assign]  # somebody is quicker each time
    with pytest.raises(Refused) as refused:
        LeaseWrites(server).close(SHUT, SEEN.version)
    assert (refused.value.reason, [method for method, *_ in server.sent]) == ("Conflict", ["PATCH", "GET", "PATCH"])


def _always_newer(server: Changing) -> Callable[..., tuple[int, Object]]:
    def call(method: str, path: str, body: Object | None = None, **more: Any) -> tuple[int, Object]:  # noqa: ANN401  # as the real one
        if method == "PATCH" and body is not None:
            body = {**body, "metadata": {**body["metadata"], "resourceVersion": "7"}}
        return Changing.call(server, method, path, body, **more)

    return call


def test_a_lease_that_the_server_keeps_open_does_not_count_as_closed() -> None:
    with pytest.raises(Refused, match="of another release") as refused:
        writes(Server(apart=True)).write(CloseLease(SHUT), SEEN)
    assert refused.value.passing


POD = a_pod(a_run("train", gpus=2), node="n1")


@pytest.mark.parametrize(
    ("effect", "basis"), [(EndPod(POD), Basis()), (RemovePod(POD.key), Basis(value=POD))], ids=["ended", "removed"]
)
def test_a_pod_that_is_told_to_go_is_no_other_of_its_name(effect: Effect, basis: Basis) -> None:
    """A run that is made again under its name has pods of the same names, and whoever is late still means the first."""
    server = Server()
    server.known = {"metadata": {"uid": "another"}}
    assert writes(server).write(effect, basis) is None
    ((method, _, options),) = server.sent
    assert (method, options["preconditions"]) == ("DELETE", {"uid": POD.uid})


@pytest.mark.parametrize(("millis", "seconds"), [(0, 1), (500, 1), (1500, 2), (30_000, 30)])
def test_a_pod_that_is_told_to_go_stays_until_its_kubelet_says_that_it_ended(millis: int, seconds: int) -> None:
    """With no grace at all the API server takes its object away at once, whatever still runs on its GPUs."""
    server = Server()
    writes(server).write(EndPod(attrs.evolve(POD, grace=timedelta(milliseconds=millis))))
    ((_, _, options),) = server.sent
    assert options["gracePeriodSeconds"] == seconds


def test_the_event_of_a_node_with_a_long_name_has_a_name_that_the_server_takes() -> None:
    node, server = f"{'a' * 199}-1.example", Server()
    writes(server).write(Emit("Node", Key("", node), "SetAside", "it cannot be read", A_MONDAY))
    ((_, _, body),) = server.sent
    assert re.fullmatch(DNS_NAME, body["metadata"]["name"])
    assert body["regarding"]["name"] == node


class Adding(Server):
    """Has an admission that adds to the pods that are made."""

    def __init__(self, **added: Object) -> None:
        super().__init__()
        self.added = added

    def call(self, method: str, path: str, body: Object | None = None, **more: Any) -> tuple[int, Object]:  # noqa: ANN401  # as the real one
        status, answer = super().call(method, path, copy.deepcopy(body), **more)
        if method == "POST":
            answer["metadata"]["uid"] = "made"
            for part, one in self.added.items():
                answer["spec"][part] = [*answer["spec"].get(part, ()), one]
        return status, answer


def made_by(server: Server) -> Object:
    body = {"metadata": {"name": POD.name, "namespace": POD.namespace}, "spec": {"containers": [asking("main", 1)]}}
    return PodWrites(server).create(POD, body, "nvidia.com/gpu")


def asking(name: str, gpus: int) -> Object:
    return {"name": name, "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}


@pytest.mark.parametrize(
    "added",
    [{}, {"containers": {"name": "proxy"}}, {"containers": asking("proxy", 0)}, {"initContainers": asking("first", 1)}],
)
def test_a_pod_that_others_add_to_is_made_as_long_as_it_asks_for_no_more_gpus(added: Object) -> None:
    server = Adding(**added)
    assert made_by(server)["metadata"]["uid"] == "made"
    assert [method for method, _, _ in server.sent] == ["POST"]


def test_one_that_then_asks_for_more_gpus_than_its_run_holds_is_taken_back_with_the_remedy() -> None:
    server = Adding(containers=asking("proxy", 1))
    with pytest.raises(
        Refused, match=r"to ask for 2 nvidia\.com/gpu where the run holds 1: let the template ask for 0"
    ):
        made_by(server)
    assert [(method, body.get("preconditions")) for method, _, body in server.sent[1:]] == [("DELETE", {"uid": "made"})]

"""What a write asks of the API server, and what it makes of the answer."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.cluster.kube.write_leases import SPENT, LeaseWrites
from runs_core.cluster.kube.writes import Writes
from runs_core.schema.convert import to_object
from runs_core.testing.builders import A_MONDAY, a_lease, a_run
from runs_core.values.effect import CloseLease, OpenLease
from runs_core.values.lease import Closed, Lease, LeaseStatus

OPEN = a_lease(a_run("train", gpus=2), {"n1": (0, 1)})
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
            return 200, self.known or {"metadata": {"uid": "told-by-the-server"}}
        if self.known is not None:
            raise Refused(409, "AlreadyExists", "it is there")
        stored = dict(body or {})
        return 200, {**stored, "status": {"closed": False}} if self.apart else stored


def writes(server: Server) -> Writes:
    return Writes(server, lambda _: None, lambda _: None, ())


def closing(lease: Lease) -> list[tuple[str, str, Object]]:
    server = Server()
    writes(server).write(CloseLease(lease))
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


class Deleting(Server):
    """Has a lease that somebody deletes: it goes with the write that takes its last finalizer off, unseen."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Object] = []

    def call(self, method: str, path: str, body: Object | None = None, **more: Any) -> tuple[int, Object]:  # noqa: ANN401  # as the real one
        answer = super().call(method, path, body, **more)
        if body is not None and "finalizers" not in body["metadata"]:
            self.seen.append(answer[1])
        return answer


class AtOnce(LeaseWrites):
    """Closes a lease in one write, whether somebody deletes it or not."""

    def close(self, lease: Lease) -> Object:
        return super().close(attrs.evolve(lease, meta=attrs.evolve(lease.meta, deleting=None)))


def seen_closed(kind: type[LeaseWrites]) -> bool:
    """Whether anybody who watches ever sees the lease closed."""
    server = Deleting()
    going = attrs.evolve(SHUT, meta=attrs.evolve(SHUT.meta, deleting=A_MONDAY))
    kind(server).close(going)
    assert server.sent[-1][2]["metadata"]["finalizers"] is None, "it is let go in the end"
    return any(one["status"]["closed"] for one in server.seen)


def test_a_lease_that_is_being_deleted_is_seen_closed_before_it_goes() -> None:
    assert seen_closed(LeaseWrites)


def test_a_lease_that_goes_with_its_closure_is_found_out() -> None:
    assert not seen_closed(AtOnce)


def test_a_lease_that_the_server_keeps_open_does_not_count_as_closed() -> None:
    with pytest.raises(Refused, match="of another release") as refused:
        writes(Server(apart=True)).write(CloseLease(SHUT))
    assert refused.value.passing

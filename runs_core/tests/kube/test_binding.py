"""What is decided at once and is more than the journal takes, against an API server that is a dictionary."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import attrs
import pytest

from runs_core.cluster.kube import binding
from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.cluster.kube.cluster import KubeCluster
from runs_core.settings import Settings
from runs_core.testing.builders import A_MONDAY, a_lease, a_run
from runs_core.values.effect import OpenLease
from runs_core.values.lease import Lease

RUNS = [a_run(f"r{number}", gpus=1) for number in range(12)]
LEASES = [a_lease(run, {"n1": (number,)}) for number, run in enumerate(RUNS)]
TAKES = 1200
"""Bytes of a journal: enough for some of them."""


class Server(Api):
    """Takes a journal of so many bytes. leases: those that were opened, in order; refuses: one of them."""

    def __init__(self) -> None:
        self.leases: list[str] = []
        self.journals: list[int] = []
        self.refuses = ""
        self.away = False
        self.slow = 0.0

    def call(self, method: str, path: str, body: Object | None = None, **_: object) -> tuple[int, Object]:
        body = body or {}
        if method == "GET":
            if path.endswith(("runs-journal", "runs-nonce")):
                raise Refused(404, "NotFound", path)
            return 200, {"items": [], "metadata": {"resourceVersion": "1"}}
        if path.endswith("/runs-journal"):
            self._journal(body)
        if path.endswith("/gpuleases"):
            time.sleep(self.slow)
            if body["metadata"]["name"] == self.refuses:
                raise Refused(403, "Forbidden", "quota")
            self.leases.append(body["metadata"]["name"])
        number = str(len(self.leases) + len(self.journals) + 1)
        return 201, {**body, "metadata": {**body["metadata"], "resourceVersion": number, "uid": number}}

    def _journal(self, body: Object) -> None:
        length = len(body["data"].get("intents", ""))
        if length > TAKES + len("{}") + len(RUNS) * len('"research/r10":,'):
            raise Refused(422, "Invalid", "Too long")
        self.journals.append(length)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def cluster(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeCluster]:
    monkeypatch.setattr(binding, "MOST_BYTES", TAKES)
    made = KubeCluster(server, Settings(), namespace="home", told=lambda _: None, clock=lambda: A_MONDAY)
    made.lead("me")
    made.observe()
    yield made
    made.writer.stop()


def begin(cluster: KubeCluster, leases: Sequence[Lease] = LEASES) -> None:
    cluster.commit([OpenLease(lease) for lease in leases], ())


def names(leases: Sequence[Lease]) -> list[str]:
    return [lease.meta.name for lease in leases]


def written(cluster: KubeCluster, server: Server, count: int) -> None:
    """Until so many leases are open."""
    end = time.monotonic() + 10
    while len(server.leases) < count:
        assert time.monotonic() < end, f"{len(server.leases)} of {count}"
        cluster.wait(0.2)
        cluster.observe()


def test_more_than_the_journal_takes_is_bound_bit_by_bit(server: Server, cluster: KubeCluster) -> None:
    begin(cluster)
    assert 0 < len(cluster.journal.entry.intents) < len(LEASES)
    written(cluster, server, len(LEASES))
    assert sorted(server.leases) == sorted(names(LEASES))
    assert len(server.journals) >= 4, "the first is the takeover's"


def test_a_journal_that_is_asked_for_too_much_takes_nothing(
    server: Server, cluster: KubeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binding, "MOST_BYTES", 1 << 20)
    with pytest.raises(Refused, match="Too long"):
        begin(cluster)
    assert server.leases == []


def test_what_comes_later_does_not_overtake(server: Server, cluster: KubeCluster) -> None:
    server.slow = 0.02
    begin(cluster, LEASES[:-1])
    begin(cluster, LEASES[-1:])
    assert str(RUNS[-1].key) not in cluster.journal.entry.intents
    written(cluster, server, len(LEASES))


def test_nothing_is_written_before_it_is_bound(server: Server, cluster: KubeCluster) -> None:
    begin(cluster)
    bound = set(cluster.journal.entry.intents)
    end = time.monotonic() + 5
    while len(server.leases) < len(bound):
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(0.1)  # for what should not come
    assert len(server.leases) == len(bound)
    assert {str(run.key) for run, lease in zip(RUNS, LEASES, strict=True) if lease.meta.name in server.leases} == bound


def test_what_was_to_follow_a_refused_start_is_never_bound(server: Server, cluster: KubeCluster) -> None:
    """The start of r0 is refused while its next lease waits to be bound."""
    server.refuses, server.slow = LEASES[0].meta.name, 0.02
    begin(cluster)
    late = attrs.evolve(LEASES[0], meta=attrs.evolve(LEASES[0].meta, name="late"))
    begin(cluster, [late])
    written(cluster, server, len(LEASES) - 1)
    assert "late" not in server.leases
    assert not cluster.writer.busy(RUNS[0].key)
    assert all("late" not in intent.names for intent in cluster.journal.entry.intents.values())


def test_who_stops_leaves_what_was_never_bound(server: Server, cluster: KubeCluster) -> None:
    begin(cluster)
    bound = len(cluster.journal.entry.intents)
    assert not cluster.stop(5)
    assert len(server.leases) == bound

from __future__ import annotations

from typing import Any

import attrs
import pytest

from runs_core.cluster.kube.api import Api, Refused
from runs_core.cluster.kube.journal import MOST_PLAIN_BYTES, MOST_TRIES, Intent, Journal
from runs_core.errors import Deposed, Unavailable
from runs_core.testing.builders import a_lease, a_run

RUN = a_run("train", gpus=2)
LEASE = a_lease(RUN, {"n1": (0, 1)})
CLOSING = {str(RUN.key): Intent().joined([], [LEASE])}


class Server:
    """One ConfigMap. deaf: it does as told, and its answer is lost. busy: so many writes meet a conflict."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] | None = None
        self.version = 0
        self.deaf = False
        self.busy = 0

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, seconds: float = 0.0
    ) -> tuple[int, dict[str, Any]]:
        if method == "POST":
            return 201, self._store(body or {})
        if self.stored is None:
            raise Refused(404, "NotFound", "no journal")
        return 200, self.stored

    def swap(self, path: str, body: dict[str, Any], *, seconds: float) -> tuple[int, dict[str, Any]]:
        if self.busy:
            self.busy -= 1
            raise Refused(409, "Conflict", "busy")
        if self.stored is None or body["metadata"]["resourceVersion"] != self.stored["metadata"]["resourceVersion"]:
            raise Refused(409, "Conflict", "changed")
        answer = self._store(body)
        if self.deaf:
            raise Unavailable("no answer")
        return 200, answer

    def _store(self, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.stored = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        return self.stored


class Wire(Api):
    """An Api that goes nowhere but to this server."""

    def __init__(self, server: Server) -> None:
        self.call = server.call  # type: ignore[method-assign,assignment]  # the fake takes what a journal sends
        self.swap = server.swap  # type: ignore[method-assign,assignment]  # likewise


@pytest.fixture
def server() -> Server:
    return Server()


def journal(server: Server) -> Journal:
    return Journal(Wire(server), "runs-system")


def leading(server: Server, holder: str) -> Journal:
    made = journal(server)
    made.take_over(holder)
    return made


def test_each_take_over_raises_the_term_and_finds_what_was_there(server: Server) -> None:
    first = leading(server, "a")
    first.write(attrs.evolve(first.entry, head=255, intents=CLOSING))
    second = journal(server)
    before = second.take_over("b")
    assert (before.term, before.holder, before.head) == (1, "a", 255)
    assert (second.entry.term, second.entry.holder) == (2, "b")
    assert second.entry.intents == CLOSING


def test_who_was_replaced_is_refused_and_writes_nothing(server: Server) -> None:
    first = leading(server, "a")
    second = leading(server, "b")
    with pytest.raises(Deposed, match="b has taken over"):
        first.write(attrs.evolve(first.entry, head=1))
    assert journal(server).take_over("c") == second.entry


def test_a_write_whose_answer_was_lost_is_known_as_ones_own(server: Server) -> None:
    first = leading(server, "a")
    server.deaf = True
    with pytest.raises(Unavailable):
        first.write(attrs.evolve(first.entry, head=1))
    server.deaf = False
    first.write(attrs.evolve(first.entry, head=2))
    assert journal(server).take_over("b").head == 2


def test_a_journal_that_somebody_deleted_deposes(server: Server) -> None:
    first = leading(server, "a")
    server.stored = None
    with pytest.raises(Deposed, match="somebody removed the ConfigMap"):
        first.write(attrs.evolve(first.entry, head=1))


def test_leases_that_are_being_opened_are_read_back_as_they_were_meant(server: Server) -> None:
    first = leading(server, "a")
    first.write(attrs.evolve(first.entry, intents={str(RUN.key): Intent().joined([LEASE], [])}))
    (found,) = journal(server).take_over("b").opening()
    assert (found.key, found.spec) == (LEASE.key, LEASE.spec)


def test_a_large_batch_is_packed(server: Server) -> None:
    first = leading(server, "a")
    many = {f"ns/r{number}": Intent().joined([LEASE], []) for number in range(1000)}
    first.write(attrs.evolve(first.entry, intents=many))
    assert server.stored is not None
    plain = sum(len(intent.text) for intent in many.values())
    assert plain > MOST_PLAIN_BYTES
    assert sum(map(len, server.stored["data"].values())) < plain / 10
    assert journal(server).take_over("b").intents == many


def test_a_small_batch_stands_there_to_be_read(server: Server) -> None:
    first = leading(server, "a")
    first.write(attrs.evolve(first.entry, intents={str(RUN.key): Intent().joined([LEASE], [])}))
    assert server.stored is not None
    assert LEASE.meta.name in server.stored["data"]["intents"]


def test_conflicts_that_nobody_else_made_depose_nobody(server: Server) -> None:
    mine = leading(server, "a")
    server.busy = MOST_TRIES - 1
    mine.write(attrs.evolve(mine.entry, head=1))
    server.busy = MOST_TRIES
    with pytest.raises(Unavailable, match="again and again"):
        mine.write(attrs.evolve(mine.entry, head=2))
    assert journal(server).take_over("b").head == 1

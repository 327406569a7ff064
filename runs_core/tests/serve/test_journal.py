from __future__ import annotations

from typing import Any

import attrs
import pytest

from runs_core.cluster.kube.api import Api, Refused
from runs_core.cluster.kube.entry import MOST_PLAIN_BYTES, Intent
from runs_core.cluster.kube.journal import MOST_TRIES, Journal
from runs_core.cluster.kube.rights import JOURNAL, UNREAD
from runs_core.errors import Deposed, Unavailable
from runs_core.testing.builders import a_lease, a_run
from runs_core.values.nonces import Chain

RUN = a_run("train", gpus=2)
LEASE = a_lease(RUN, {"n1": (0, 1)})
CLOSING = {str(RUN.key): Intent().joined([], [LEASE])}


class Server:
    """One ConfigMap. deaf: it does as told, and its answer is lost. busy: so many writes meet a conflict.

    others: what other ConfigMaps say, by name. forbidden: none may be made.
    """

    def __init__(self) -> None:
        self.stored: dict[str, Any] | None = None
        self.version = 0
        self.deaf = False
        self.busy = 0
        self.others: dict[str, dict[str, str]] = {}
        self.forbidden = False

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, seconds: float = 0.0, content: str = ""
    ) -> tuple[int, dict[str, Any]]:
        if method == "POST":
            assert body is not None
            if body["metadata"]["name"] == JOURNAL:
                return 201, self._store(body)
            if self.forbidden:
                raise Refused(403, "Forbidden", "no more")
            if body["metadata"]["name"] in self.others:
                raise Refused(409, "AlreadyExists", "it is there")
            self.others[body["metadata"]["name"]] = body["data"]
            return 201, body
        if path.endswith(UNREAD):
            if method == "PATCH" and body is not None:
                self.others[UNREAD] = body["data"]
            return 200, {"metadata": {"uid": "uid-1"}, "data": self.others[UNREAD]}
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


def test_who_was_replaced_is_refused_again_and_again(server: Server) -> None:
    """On its way out it would say that nothing of its own is in flight, in place of what is of the other's."""
    first = leading(server, "a")
    second = leading(server, "b")
    second.write(attrs.evolve(second.entry, intents=CLOSING))
    for _ in range(2):
        with pytest.raises(Deposed, match="b has taken over"):
            first.write(attrs.evolve(first.entry, intents={}))
    assert journal(server).take_over("c").intents == CLOSING


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


OPENING = {str(RUN.key): Intent().joined([LEASE], [])}


def edited(server: Server, **data: str | None) -> None:
    """Somebody changes these of what a leader wrote; None: takes them away."""
    first = leading(server, "a")
    first.write(attrs.evolve(first.entry, head=255, intents=OPENING, evidence={"resolution-1": ("a",)}))
    change(server, **data)


def change(server: Server, **data: str | None) -> None:
    assert server.stored is not None
    merged = {**server.stored["data"], **{name.replace("_", "."): text for name, text in data.items()}}
    server.version += 1
    metadata = {**server.stored["metadata"], "resourceVersion": str(server.version)}
    kept = {name: text for name, text in merged.items() if text is not None}
    server.stored = {**server.stored, "metadata": metadata, "data": kept}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"term": "x"}, "term is 'x'"),
        ({"term": "-1"}, "term is '-1'"),
        ({"term": None}, "term is missing"),
        ({"head": "no hex"}, "head is 'no hex'"),
        ({"head": "-1"}, "head is '-1'"),
        ({"head": None}, "head is missing"),
        ({"resolutions": "1.5"}, "resolutions is '1.5'"),
        ({"firstCommitment": None}, "firstCommitment is missing"),
        ({"evidence": "{"}, "evidence is '{'"),
        ({"evidence": '{"a": "b"}'}, 'evidence is \'{"a": "b"}\''),
        ({"evidence": '{"a": [1]}'}, "evidence is '{\"a\": [1]}'"),
        ({"intents": "{"}, "intents is '{'"),
        ({"intents": "[]"}, "intents is '[]'"),
        ({"intents": "[" * 100_000}, "intents is '[[["),
        ({"intents": None}, "intents is missing"),
        ({"intents_zlib": "!"}, "intents.zlib is '!'"),
        ({"intents_zlib": "eJw="}, "intents.zlib is 'eJw='"),
        ({"intents": '{"ns/a": 5}'}, "intents of ns/a are 5"),
        ({"intents": '{"ns/a": {"opens": [{}], "closes": []}}'}, "intents of ns/a are a map"),
        ({"intents": '{"ns/a": {"opens": [], "closes": [5]}}'}, "intents of ns/a are a map"),
    ],
)
def test_what_somebody_made_of_the_journal_is_kept_aside_and_told_and_the_rest_counts(
    server: Server, data: dict[str, str | None], said: str
) -> None:
    edited(server, **data)
    assert server.stored is not None
    changed = server.stored["data"]
    heir = journal(server)
    before = heir.take_over("b", "bound")
    (told,) = heir.unread
    assert told.startswith(f"the journal, ConfigMap runs-system/runs-journal, cannot be read: {said}")
    assert told.endswith(f"; ConfigMap {UNREAD} keeps it, and that part counts as never written")
    assert server.others == {UNREAD: changed}
    assert (before.head, before.holder) == (0 if "head" in data else 255, "a")
    assert bool(before.opening()) is not any(key.startswith("intents") for key in data)
    again = journal(server)
    again.take_over("c")
    assert again.unread == ()


def test_of_journals_that_cannot_be_read_the_last_is_kept(server: Server) -> None:
    for term in ("x", "y"):
        edited(server, term=term)
        journal(server).take_over("b")
    assert [data["term"] for data in server.others.values()] == ["y"]


def test_of_what_was_in_flight_only_that_is_set_aside_which_cannot_be_read(server: Server) -> None:
    good = OPENING[str(RUN.key)].text
    edited(server, intents=f'{{"ns/bad": {{}}, "{RUN.key}": {good}}}')
    (found,) = journal(server).take_over("b").opening()
    assert found.key == LEASE.key


def test_a_journal_that_cannot_be_read_is_replaced_also_where_it_may_not_be_kept(server: Server) -> None:
    edited(server, term="x")
    server.forbidden = True
    heir = journal(server)
    heir.take_over("b")
    assert heir.unread[0].endswith("; it could not be kept: no more, and that part counts as never written")
    assert heir.entry.term == 1


def test_who_leads_puts_right_what_somebody_changes_beside_its_name(server: Server) -> None:
    first = leading(server, "a")
    change(server, intents="{", head="x")
    first.write(attrs.evolve(first.entry, head=7, intents=CLOSING))
    heir = journal(server)
    assert (heir.take_over("b").head, heir.unread) == (7, ())


@pytest.mark.parametrize("data", [{"term": "x"}, {"term": None}, {"term": "7"}])
def test_who_leads_and_finds_its_term_changed_leads_no_more(server: Server, data: dict[str, str | None]) -> None:
    first = leading(server, "a")
    change(server, **data)
    with pytest.raises(Deposed, match="somebody changed the ConfigMap runs-system/runs-journal"):
        first.write(attrs.evolve(first.entry, head=1))


def test_a_chain_outlives_the_commitment_before_it(server: Server) -> None:
    first = leading(server, "a")
    first.write(attrs.evolve(first.entry, chain=Chain(number=7, commitment="next")))
    change(server, firstCommitment=None)
    heir = journal(server)
    heir.take_over("b", "bound")
    assert (heir.entry.first, heir.entry.chain) == ("bound", Chain(number=7, commitment="next"))


def test_much_that_cannot_be_read_is_told_in_a_sentence(server: Server) -> None:
    edited(server, intents="{" + ",".join(f'"ns/{n}": 5' for n in range(1000)) + "}")
    heir = journal(server)
    heir.take_over("b")
    assert "intents of ns/2 are 5; 997 more; ConfigMap" in heir.unread[0]

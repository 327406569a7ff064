from __future__ import annotations

import urllib.error
import urllib.request
from http import HTTPStatus

import pytest

from runs_core.errors import InvalidInput, Unavailable
from runs_core.serve.health import LIVE_SECONDS, Health, HealthServer, address


def test_a_loop_that_turns_is_alive_and_one_that_does_not_is_not() -> None:
    now = [0.0]
    health = Health(lambda: now[0])
    now[0] = LIVE_SECONDS
    assert health.answer("/livez") == (HTTPStatus.OK, "ok\n")
    now[0] += 1
    assert health.answer("/livez") == (HTTPStatus.SERVICE_UNAVAILABLE, "the loop has not turned for 61 s\n")
    health.turned()
    assert health.answer("/livez")[0] is HTTPStatus.OK


def test_ready_says_everything_that_is_missing() -> None:
    health = Health()
    health.needs(lambda: ["no nodes yet"])
    health.needs(lambda: ["no certificate"])
    assert health.answer("/readyz") == (HTTPStatus.SERVICE_UNAVAILABLE, "no nodes yet\nno certificate\n")
    assert health.answer("/healthz")[0] is HTTPStatus.SERVICE_UNAVAILABLE
    assert health.answer("/livez")[0] is HTTPStatus.OK


def test_it_is_answered_over_http() -> None:
    server = HealthServer(("127.0.0.1", 0), Health())
    server.start()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/readyz?verbose", timeout=5) as answer:
            assert (answer.status, answer.read()) == (200, b"ok\n")
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/secrets", timeout=5)
        refused.value.close()
    finally:
        server.stop()


def test_an_address_that_is_taken_is_refused_with_a_remedy() -> None:
    first = HealthServer(("127.0.0.1", 0), Health())
    first.start()
    try:
        with pytest.raises(Unavailable, match="name another --http-address"):
            HealthServer(("127.0.0.1", first.port), Health())
    finally:
        first.stop()


@pytest.mark.parametrize(
    ("text", "found"),
    [("127.0.0.1:8080", ("127.0.0.1", 8080)), (":0", ("", 0)), ("[::1]:80", ("::1", 80)), ("none", None)],
)
def test_addresses(text: str, found: tuple[str, int] | None) -> None:
    assert address(text, "--http-address") == found


@pytest.mark.parametrize("text", ["8080", "host:", "a:b:1", "host:70000", "", ":12x"])
def test_what_is_no_address_is_refused_by_its_flag(text: str) -> None:
    with pytest.raises(InvalidInput, match="--http-address: got"):
        address(text, "--http-address")

"""A request leaves in one write, whatever it carries."""

from __future__ import annotations

from typing import Any

import pytest
from urllib3 import PoolManager, connection_from_url

from runs_core.cluster.kube.wire import in_one_write

BODY = b'{"kind":"Run"}'


class Socket:
    """All of one that sending needs: it notes each write."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def settimeout(self, seconds: object) -> None:
        """As if it took it."""

    def sendall(self, data: bytes) -> None:
        self.sent.append(bytes(data))


def connection(pool: Any) -> tuple[Any, Socket]:  # noqa: ANN401 - a pool of either kind, and its connections
    made, socket = pool.ConnectionCls("example.test"), Socket()
    made.sock = socket
    return made, socket


def written(pool: Any, body: bytes | None) -> list[bytes]:  # noqa: ANN401 - likewise
    made, socket = connection(pool)
    made.request("POST", "/apis", body=body, headers={"Accept": "application/json"})
    return socket.sent


def ours(scheme: str) -> object:
    return in_one_write(PoolManager()).connection_from_url(f"{scheme}://example.test")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("body", [None, BODY])
def test_headers_and_body_leave_together(scheme: str, body: bytes | None) -> None:
    (sent,) = written(ours(scheme), body)
    assert sent.startswith(b"POST /apis HTTP/1.1\r\n")
    assert sent.endswith(b"\r\n\r\n" + (body or b""))


def test_a_pool_as_it_comes_writes_them_one_after_the_other() -> None:
    headers, body = written(connection_from_url("http://example.test"), BODY)
    assert headers.endswith(b"\r\n\r\n")
    assert body == BODY


def test_what_breaks_while_it_is_made_sends_nothing() -> None:
    made, socket = connection(ours("https"))
    with pytest.raises(ValueError, match="header"):
        made.request("POST", "/apis", body=BODY, headers={"X": "two\nlines"})
    assert not socket.sent

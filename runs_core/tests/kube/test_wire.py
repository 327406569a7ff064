"""A request leaves in one write, whatever it carries."""

from __future__ import annotations

from typing import Any

import pytest
from urllib3 import HTTPSConnectionPool, PoolManager, connection_from_url
from urllib3.connection import HTTPSConnection

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


class ByTunnel(HTTPSConnection):
    """As a proxy's library makes its own."""


class ByTunnels(HTTPSConnectionPool):
    ConnectionCls = ByTunnel


def test_the_kinds_of_a_proxy_stay() -> None:
    """Else its connections would pass the proxy by."""
    pool = PoolManager()
    pool.pool_classes_by_scheme = {"https": ByTunnels}
    made = in_one_write(pool).connection_from_url("https://example.test")
    assert isinstance(made, ByTunnels)
    assert issubclass(made.ConnectionCls, ByTunnel)
    (sent,) = written(made, BODY)
    assert sent.endswith(BODY)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_errors_tell_is_urllib3s_own_name(scheme: str) -> None:
    made, as_it_comes = ours(scheme), connection_from_url(f"{scheme}://example.test")
    assert str(made) == str(as_it_comes)
    assert str(connection(made)[0]) == str(connection(as_it_comes)[0])

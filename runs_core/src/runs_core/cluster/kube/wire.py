"""Connections that send a request in one write.

Headers and body come one after the other as Python's own client sends them, and each write is a packet and a record of
TLS: the server is woken for the headers, and has to wait for the rest.
"""

from __future__ import annotations

from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection


class _Plain(HTTPConnection):
    _parts: list[bytes] | None = None

    def request(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - urllib3's own
        """As urllib3 makes it, kept until it is whole."""
        self._parts = []
        try:
            super().request(*args, **options)
            whole = b"".join(self._parts)
        finally:
            self._parts = None
        self.send(whole)

    def send(self, data: Any) -> None:  # noqa: ANN401 - urllib3's own; bytes, as all bodies here
        if self._parts is None:
            super().send(data)
        else:
            self._parts.append(data)


class _Secure(_Plain, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


def in_one_write(pool: PoolManager) -> PoolManager:
    """The same pool, before its first connection."""
    pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return pool

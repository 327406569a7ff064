"""Connections that send a request in one write.

Headers and body come one after the other as Python's own client sends them, and each write is a packet and a record of
TLS: the server is woken for the headers, and has to wait for the rest.
"""

from __future__ import annotations

from typing import Any

from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.connection import HTTPConnection


class _Whole(HTTPConnection):
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


def in_one_write(pool: PoolManager) -> PoolManager:
    """The same pool, before its first connection; a proxy's has kinds of its own, which it keeps."""
    kinds = pool.pool_classes_by_scheme.items()
    pool.pool_classes_by_scheme = {scheme: _whole(kind) for scheme, kind in kinds}
    return pool


def _whole(kind: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    """Under the same names, which errors tell."""
    connection = type(kind.ConnectionCls.__name__, (_Whole, kind.ConnectionCls), {})
    return type(kind.__name__, (kind,), {"ConnectionCls": connection})

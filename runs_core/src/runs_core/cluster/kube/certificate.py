"""The client certificate of a kubeconfig's user. Its files have another one before it expires."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

LOOK_SECONDS = 1.0
Stamp = tuple[tuple[int, int, int], ...]


class ClientCertificate:
    """Each new connection reads the files; who is told that they changed has to leave the connections that there are.

    A server knows whoever connected by what was shown then, and refuses each request once that has expired.
    """

    def __init__(self, certificate: str, key: str | None) -> None:
        self._certificate, self._key = Path(certificate), Path(key or certificate)
        self._stamp = self._look()
        self._looked = time.monotonic()

    def changed(self) -> bool:
        """Whether there is another pair since this was last asked. One that is only half there is none yet."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        stamp = self._look()
        if stamp in (None, self._stamp) or not self._sound():
            return False
        self._stamp = stamp
        return True

    def _look(self) -> Stamp | None:
        try:
            found = [file.stat() for file in (self._certificate, self._key)]
        except OSError:
            return None
        return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)

    def _sound(self) -> bool:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_cert_chain(self._certificate, self._key, password="")  # without one a person would be asked
        except (OSError, ValueError):
            return False
        return True

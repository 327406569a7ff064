"""The bearer token of requests. A service account's lasts for an hour or so, and its file has another long before."""

from __future__ import annotations

import time
from pathlib import Path

from kubernetes import client
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigMerger

from runs_core.errors import Unavailable

TOKEN_SECONDS = 1.0
"""How long a token is used before it is asked for again: a kubeconfig's is looked up anew each time, which costs more
than all else that is done for a request's headers."""


class Token:
    """As the configuration has it. file: of a kubeconfig, which counts before the token that it may have beside it."""

    def __init__(self, configuration: client.Configuration, file: Path | None = None) -> None:
        self._configuration = configuration
        self._file = file
        self._header: tuple[str | None, float] = (None, -TOKEN_SECONDS)

    def header(self) -> str | None:
        """What goes into `authorization`; None: nothing.

        Unavailable: there has never been one that could be read. While it is being replaced, the last one counts.
        """
        known, since = self._header
        if time.monotonic() - since < TOKEN_SECONDS:
            return known
        since = time.monotonic()
        try:
            known = self._look()
        except (OSError, ValueError, ConfigException) as error:
            if known is None:
                raise Unavailable(f"the token of the kubeconfig or of this pod cannot be read: {error}") from error
        self._header = (known, since)
        return known

    def _look(self) -> str | None:
        if self._file is None:
            found = (self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization") or "").strip()
        else:
            found = self._file.read_text(encoding="utf-8").strip()
            if not found:
                raise ValueError(f"{self._file} is empty")
            found = f"Bearer {found}"
        if not (found.isascii() and found.isprintable()):
            raise ValueError("it has a character that no token has")
        return found or None


def token_file(kubeconfig: str | None, context: str | None) -> Path | None:
    """The `tokenFile` of the user of this context, or of the current one, in a kubeconfig that has been found sound."""
    known = KubeConfigMerger(kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION).config  # type: ignore[no-untyped-call]  # the client has no types
    name = known["contexts"].get_with_name(context or known["current-context"])["context"].safe_get("user")
    user = known["users"].get_with_name(name, safe=True) if name and known.safe_get("users") else None
    file = user["user"].safe_get("tokenFile") if user is not None and user.safe_get("user") else None
    return Path(user.path).absolute().parent / file if user is not None and file else None

"""Requests to an API server: connection and authentication are the official client's, bodies are raw bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import urllib3
from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException

from runs_core.cluster.kube.certificate import ClientCertificate
from runs_core.cluster.kube.decode import Decode, Malformed, whole
from runs_core.cluster.kube.token import Token, token_file
from runs_core.cluster.kube.wire import in_one_write
from runs_core.errors import RunsError, Unavailable

Object = dict[str, Any]
Close = Callable[[], None]
JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
MANAGER = "runs"
CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
"""Of silence. All that is written can be written twice: to ask again early costs less than to wait."""
MOST_RETRY_SECONDS = 30.0
"""A server that asks for a longer pause is asked again all the same: whoever waits must not wait for ever."""
POOL = 64


class Refused(RunsError):
    """The API server answered, and the answer is no. status: HTTP code; reason: Kubernetes' word for it."""

    def __init__(self, status: int, reason: str, message: str, *, retry_after: float | None = None) -> None:
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        super().__init__(f"{reason or status}: {message}")

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later without anybody changing anything."""
        return self.status == HTTPStatus.TOO_MANY_REQUESTS or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def another(self) -> bool:
        """Whether the object that is there, if any, is another than the one that was meant; any other conflict passes.

        No name of an object has capitals or spaces.
        """
        told = "UID in" in self.message or "uid mismatch" in self.message
        return self.status == HTTPStatus.CONFLICT and told


class Api:
    """One API server. Safe to use from many threads."""

    def __init__(self, configuration: client.Configuration, token_file: Path | None = None) -> None:
        configuration.connection_pool_maxsize = POOL
        configuration.retries = False
        self._token = Token(configuration, token_file)
        shown = configuration.cert_file
        self._certificate = ClientCertificate(shown, configuration.key_file) if shown else None
        self._pool = in_one_write(client.ApiClient(configuration).rest_client.pool_manager)
        self.host = configuration.host.rstrip("/")

    @classmethod
    def connect(cls, kubeconfig: str | None = None, context: str | None = None) -> Self:
        """The cluster of a kubeconfig file, or, inside a pod without one, the cluster around it."""
        configuration, file = client.Configuration(), None
        try:
            config.load_kube_config(  # type: ignore[no-untyped-call]  # the client has no types for it
                config_file=kubeconfig, context=context, client_configuration=configuration
            )
            file = token_file(kubeconfig, context)
        except OSError as error:
            raise Unavailable(f"the kubeconfig cannot be used: {error.filename}: {error.strerror}") from error
        except ConfigException as error:
            if kubeconfig is not None or context is not None:
                raise Unavailable(f"the kubeconfig cannot be used: {error}") from error
            try:
                config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # likewise
            except ConfigException as inside:
                raise Unavailable(f"no kubeconfig ({error}) and not inside a cluster ({inside})") from error
        if not configuration.host.startswith(("https://", "http://")):
            told = f"got {configuration.host!r} as the cluster's server, want https://HOST:PORT"
            raise Unavailable(f"the kubeconfig cannot be used: {told}")
        try:
            return cls(configuration, file)
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"the kubeconfig's proxy-url cannot be used: {error}") from error
        except ImportError as error:
            told = f"the kubeconfig's proxy-url is a SOCKS proxy, which needs PySocks ({error}): pip install PySocks"
            raise Unavailable(told) from error

    def close(self) -> None:
        """Leave the connections that nobody uses at present."""
        self._pool.clear()

    def call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        content: str = JSON,
        query: Mapping[str, str] | None = None,
        seconds: float = READ_SECONDS,
        decode: Decode = whole,
    ) -> tuple[int, Object]:
        """(HTTP status, decoded body). Refused: it says no. Unavailable: it does not answer in time."""
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds)
        try:
            answer = self._pool.request(
                method, self._url(path, query), body=data, headers=self._headers(content), timeout=timeout
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"{self.host} does not answer: {_cause(error)}") from error
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise _refused(answer.status, answer.data, answer.headers.get("Retry-After"))
        try:
            return answer.status, decode(answer.data) if answer.data else {}
        except Malformed as error:
            raise Unavailable(f"{self.host} is no Kubernetes API server: it answers in another language") from error

    def apply(
        self, path: str, body: Object, *, query: Mapping[str, str] | None = None, seconds: float = READ_SECONDS
    ) -> tuple[int, Object]:
        """Server-side apply as our field manager. 201: it was not there before."""
        options = {"fieldManager": MANAGER, "force": "true", **(query or {})}
        return self.call("PATCH", path, body, content=APPLY, query=options, seconds=seconds)

    def swap(self, path: str, body: Object, *, seconds: float = READ_SECONDS) -> tuple[int, Object]:
        """Compare-and-swap of an object, or of its status: the body says of which resourceVersion."""
        return self.call("PUT", path, body, query={"fieldManager": MANAGER}, seconds=seconds)

    def text(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        seconds: float | None = None,
        opened: Callable[[Close], None] | None = None,
    ) -> Iterator[bytes]:
        """The lines of a long answer as they come: a watch, or logs. Ends when the server ends it.

        seconds: of silence after which it counts as Unavailable; None: never. opened: told how any thread can end it.
        """
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds)
        try:
            answer = self._pool.request(
                "GET", self._url(path, query), headers=self._headers(JSON), timeout=timeout, preload_content=False
            )
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise _refused(answer.status, answer.data, answer.headers.get("Retry-After"))
            try:
                if opened is not None:
                    opened(partial(_end, answer))
                yield from _lines(answer)
            finally:
                answer.close()
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"{self.host} does not answer: {_cause(error)}") from error

    def _url(self, path: str, query: Mapping[str, str] | None) -> str:
        return f"{self.host}{path}?{urlencode(query)}" if query else f"{self.host}{path}"

    def _headers(self, content: str) -> dict[str, str]:
        if self._certificate is not None and self._certificate.changed():
            self.close()
        headers = {"Accept": JSON, "Content-Type": content, "User-Agent": "runs"}
        token = self._token.header()
        if token is not None:
            headers["authorization"] = token
        return headers


def _end(answer: urllib3.BaseHTTPResponse) -> None:
    """Whoever reads it is woken, also from a wait that would last for minutes."""
    with suppress(OSError, ValueError, RuntimeError):  # it has ended by itself
        answer.shutdown()


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    while chunk := answer.read1(1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _refused(status: int, body: bytes, retry_after: str | None) -> Refused:
    try:
        told = whole(body)
        reason, message = str(told.get("reason", "")), str(told.get("message", ""))
    except (Malformed, AttributeError):
        reason, message = "", body[:200].decode(errors="replace")
    seconds = min(float(retry_after), MOST_RETRY_SECONDS) if retry_after and retry_after.isdecimal() else None
    return Refused(status, reason, message, retry_after=seconds)


def _cause(error: Exception) -> str:
    """In the words of the system, without those of the library around them."""
    text = str(getattr(error, "reason", None) or error)
    return re.sub(r"^<?(_Plain|_Secure|HTTPS?Connection|urllib3)[^:]*?(\(.*?\)|>)?: ", "", text)

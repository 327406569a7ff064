"""The credentials of requests, and what is said where nobody answers them."""

from __future__ import annotations

import http.server
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kubernetes import client

from runs_core.cluster.kube import token
from runs_core.cluster.kube.api import Api
from runs_core.cluster.kube.context import current
from runs_core.errors import Unavailable

Kubeconfig = Callable[[dict[str, str], dict[str, str]], str]


class Server(http.server.HTTPServer):
    """tokens: those that it was asked with."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.tokens: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(http.server.BaseHTTPRequestHandler):
    """Nothing but that it was heard."""

    server: Server

    def do_GET(self) -> None:
        self.server.tokens.append(self.headers["Authorization"])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the standard library's name
        """Nothing."""


@pytest.fixture
def server(serve: Callable[[Server], None]) -> Server:
    made = Server()
    serve(made)
    return made


def connected(host: str) -> Api:
    """With another token each time that it is looked up, as where tokens are short-lived."""
    configuration, looks = client.Configuration(), iter(range(100))
    configuration.host = host

    def look(found: client.Configuration) -> None:
        found.api_key["authorization"] = f"Bearer {next(looks)}"

    configuration.refresh_api_key_hook = look  # type: ignore[assignment]  # the client says that it has none
    return Api(configuration)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_why_nobody_answers_is_said_in_the_words_of_the_system(scheme: str) -> None:
    with pytest.raises(Unavailable) as told:
        connected(f"{scheme}://127.0.0.1:1").call("GET", "/version")
    why = "does not answer: Failed to establish a new connection: "
    assert str(told.value).startswith(f"{scheme}://127.0.0.1:1 {why}")


def test_a_kubeconfig_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Unavailable, match=f"{path} is no YAML; mend it, or name another with --kubeconfig"):
        current(str(path))


def test_a_token_is_not_looked_up_for_each_request(server: Server) -> None:
    asked = connected(server.address)
    for _ in range(3):
        asked.call("GET", "/")
    assert server.tokens == ["Bearer 0"] * 3


def test_a_new_token_is_found_soon(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = connected(server.address)
    asked.call("GET", "/")
    monkeypatch.setattr(token, "TOKEN_SECONDS", 0.0)
    asked.call("GET", "/")
    assert server.tokens == ["Bearer 0", "Bearer 1"]


@pytest.mark.parametrize("beside", [{}, {"token": "older"}])
def test_a_kubeconfigs_token_file_is_read_again_and_while_it_is_replaced_the_last_token_counts(
    server: Server, kubeconfig: Kubeconfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, beside: dict[str, str]
) -> None:
    """A service account's token is good for an hour, and whoever keeps the file writes another one into it."""
    monkeypatch.setattr(token, "TOKEN_SECONDS", 0.0)
    file = tmp_path / "token"
    file.write_text("first\n")
    asked = Api.connect(kubeconfig({"server": server.address}, {"tokenFile": "token", **beside}))
    asked.call("GET", "/")
    file.write_text("second\n")
    asked.call("GET", "/")
    file.write_text("")
    asked.call("GET", "/")
    file.unlink()
    asked.call("GET", "/")
    assert server.tokens == ["Bearer first", "Bearer second", "Bearer second", "Bearer second"]


@pytest.mark.parametrize(("said", "sent"), [("one\n", "Bearer one"), ("o\nne", None), ("\u00e9", None)])
def test_a_token_is_sent_without_what_a_header_cannot_have(
    server: Server, kubeconfig: Kubeconfig, said: str, sent: str | None
) -> None:
    asked = Api.connect(kubeconfig({"server": server.address}, {"token": said}))
    if sent is None:
        with pytest.raises(Unavailable, match="cannot be read: it has a character that no token has"):
            asked.call("GET", "/")
    else:
        asked.call("GET", "/")
        assert server.tokens == [sent]


@pytest.mark.filterwarnings("ignore:SOCKS support in urllib3")
@pytest.mark.parametrize(
    ("cluster", "user", "told"),
    [
        (
            {"server": "example.test:6443"},
            {},
            "got 'example.test:6443' as the cluster's server, want https://HOST:PORT",
        ),
        ({"proxy-url": "example.test:3128"}, {}, "the kubeconfig's proxy-url cannot be used: "),
        ({"proxy-url": "socks5://127.0.0.1:1080"}, {}, "needs PySocks .*: pip install PySocks"),
        ({}, {"tokenFile": "/not/there"}, "the kubeconfig cannot be used: /not/there: No such file"),
        ({"certificate-authority": "/not/there"}, {}, "the kubeconfig cannot be used: File does not exist: /not/there"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_one_sentence(
    kubeconfig: Kubeconfig, monkeypatch: pytest.MonkeyPatch, cluster: dict[str, str], user: dict[str, str], told: str
) -> None:
    monkeypatch.setitem(sys.modules, "socks", None)  # as where PySocks is not installed
    with pytest.raises(Unavailable, match=told):
        Api.connect(kubeconfig(cluster, user))

"""Servers on this machine for the time of a test, and kubeconfigs that name them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from socketserver import BaseServer

import pytest
import yaml

Serve = Callable[[BaseServer], None]
Kubeconfig = Callable[[dict[str, str], dict[str, str]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """In a thread of its own, until the test is over."""
    with ExitStack() as over:

        def begin(server: BaseServer) -> None:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            for what in (thread.join, server.server_close, server.shutdown):  # the last one first
                over.callback(what)
            thread.start()

        yield begin


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Kubeconfig:
    """Writes one of one cluster and one user, and says where."""

    def write(cluster: dict[str, str], user: dict[str, str]) -> str:
        whole = {
            "current-context": "here",
            "clusters": [{"name": "one", "cluster": {"server": "https://127.0.0.1:1", **cluster}}],
            "users": [{"name": "me", "user": user}],
            "contexts": [{"name": "here", "context": {"cluster": "one", "user": "me"}}],
        }
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(whole))
        return str(file)

    return write

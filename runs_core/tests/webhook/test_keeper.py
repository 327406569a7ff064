"""Certificates of our own, where something stands in their way."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from runs_core.cluster.kube.api import Api, Refused
from runs_core.errors import Unavailable
from runs_core.serve.webhook.keeper import CertificateKeeper
from runs_core.testing.builders import A_MONDAY

Object = dict[str, Any]


class Server(Api):
    """Objects by path."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}

    def call(self, method: str, path: str, body: Object | None = None, **_: object) -> tuple[int, Object]:
        if method == "POST" and body is not None:
            self.objects[f"{path}/{body['metadata']['name']}"] = body
            return 201, body
        if path not in self.objects:
            raise Refused(404, "NotFound", path)
        return 200, self.objects[path]


@pytest.fixture
def keeper() -> CertificateKeeper:
    return CertificateKeeper(Server(), "home", ["runs.home.svc"], lambda: A_MONDAY)


def test_a_disk_that_is_full_is_told_of_and_tried_again(
    keeper: CertificateKeeper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A thread that ended of it would leave the webhooks without a certificate for good."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(Unavailable, match="No such file or directory"):
        keeper.look()
    assert keeper.problem is not None
    assert "the webhooks' certificates cannot be kept up" in keeper.problem
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    keeper.look()
    assert not keeper.problem
    assert keeper.context().cert_store_stats()

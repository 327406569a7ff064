"""The test plane itself: if these fail, no other result of this folder means anything."""

from __future__ import annotations

import json
import ssl
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.kube.conftest import Plane


def test_the_api_server_answers_its_version_to_a_raw_request(kubeplane: Plane) -> None:
    request = urllib.request.Request(
        f"{kubeplane.server}/version", headers={"Authorization": f"Bearer {kubeplane.token}"}
    )
    trust = ssl.create_default_context(cafile=kubeplane.ca)
    with urllib.request.urlopen(request, context=trust, timeout=10) as answer:
        version = json.load(answer)
    assert version["gitVersion"].startswith("v1.3"), version


def test_kubectl_acts_as_admin(kubeplane: Plane) -> None:
    manifest = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a-namespace"}})
    made = kubeplane.kubectl("create", "-f", "-", stdin=manifest)
    assert made.returncode == 0, made.stderr
    assert kubeplane.kubectl("get", "namespace", "a-namespace", "-o", "name").stdout == "namespace/a-namespace\n"


def test_a_failing_kubectl_says_so_and_does_not_raise(kubeplane: Plane) -> None:
    missing = kubeplane.kubectl("get", "namespace", "no-such-namespace")
    assert missing.returncode == 1
    assert "NotFound" in missing.stderr

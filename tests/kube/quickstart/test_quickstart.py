"""The page on a live cluster is executed as it stands: every shell block, in order, on a real API server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kube.quickstart.conftest import HOWTO, played, shown

if TYPE_CHECKING:
    from tests.kube.conftest import Plane


def test_the_page_on_a_live_cluster_works_from_install_to_explain(cluster: Plane, tmp_path: Path) -> None:
    page = (HOWTO / "live-cluster.md").read_text()
    done = played("\n".join(shown(page, tmp_path)), tmp_path, cluster)
    log = (tmp_path / "scheduler.log").read_text() if (tmp_path / "scheduler.log").exists() else ""
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{log[-3000:]}"
    assert re.search(r"train +Running +16/16", done.stdout)
    assert "default/wide" in done.stdout
    assert "NotEnoughGPUs: wants 24" in done.stdout


def test_a_page_with_a_command_that_fails_is_found_out(cluster: Plane, tmp_path: Path) -> None:
    page = "```sh\nkubectl version\nruns submit -f nothing.yaml\nkubectl version\n```\n"
    assert played("\n".join(shown(page, tmp_path)), tmp_path, cluster).returncode != 0

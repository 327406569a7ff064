"""GPUs taken back by hand: every draw is real, and nothing has to be short for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from tests.faults.plane import Object
from tests.faults.stage import MERGE, Stage

from runs_core.cluster.kube import paths
from runs_core.schema.requests import RESOLVE, annotation_of
from runs_core.serve.manifests.installation import NAMESPACE
from runs_core.values.request import Request

NODE = f"{paths.LISTS['Node']}/node-00000"
AT_ONCE = {"reclaim": {"minRuntime": "0s", "mostMinRuntime": "0s"}, "resolver": {"quantum": "0s"}}
"""Settings: nobody is safe for a while after a start."""


@contextmanager
def asked(stage: Stage, gpus: int, ahead: float = 0) -> Iterator[str]:
    """An administrator wants so many free, whoever has them; the request's uid. It is taken away in the end.

    ahead: seconds that the scheduler's clock is.
    """
    at = datetime.now(UTC) + timedelta(seconds=ahead)
    request = Request(uid=str(uuid4()), flavor="H100-80GB", gpus=gpus, domain="", at=at)
    _annotate(stage, annotation_of(request))
    try:
        yield request.uid
    finally:
        _annotate(stage, None)


def _annotate(stage: Stage, text: str | None) -> None:
    stage.plane.admin.call("PATCH", NODE, {"metadata": {"annotations": {RESOLVE: text}}}, content=MERGE)


def answers(stage: Stage, uid: str) -> list[Object]:
    """The Resolution that came of it, if any."""
    return [one for one in stage.items("Resolution") if one["spec"].get("request", {}).get("uid") == uid]


def taken_back(stage: Stage, gpus: int, ahead: float = 0) -> str:
    """Ask, and wait until all that was cut has gone; the Resolution's name."""
    with asked(stage, gpus, ahead) as uid:
        stage.await_(
            lambda: [one["status"].get("phase") for one in answers(stage, uid)] == ["Released"],
            "nothing was taken back",
        )
        (found,) = answers(stage, uid)
        name: str = found["metadata"]["name"]
        return name


def verified(stage: Stage, name: str) -> tuple[int, str]:
    """Exit code and output of `runs resolve verify`."""
    words = ["--kubeconfig", str(stage.plane.dir / "kubeconfig"), "resolve", "verify", name]
    command = [sys.executable, "-m", "runs_cli.main", *words, "--system-namespace", NAMESPACE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr

"""The webhooks do not answer, or show certificates that nobody accepts."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.faults.conftest import Table, only_in_full
from tests.faults.plane import listed, until
from tests.faults.stage import Scheduler, Stage
from tests.faults.test_kills import a_life
from tests.faults.test_watches import canceling

from runs_core.cluster.kube.api import Refused
from runs_core.serve.manifests.installation import Installation
from runs_core.serve.manifests.webhooks import ByUrl, FailurePolicy, webhooks
from runs_core.serve.webhook.issue import Pair, authority, serving

HOST = "127.0.0.1"
DAY = timedelta(days=1)
CONFIGURATIONS = ("mutatingwebhookconfiguration/runs", "validatingwebhookconfiguration/runs")


class Guard:
    """The webhooks of a scheduler outside the cluster, with certificates from files. port: where they listen."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self.folder = folder
        with socket.socket() as found:
            found.bind((HOST, 0))
            self.port = found.getsockname()[1]
        self.signer = authority(datetime.now(UTC) - 10 * DAY, 20 * DAY)
        self.show(self.certificate())

    def certificate(self, *, expired: bool = False) -> Pair:
        now = datetime.now(UTC)
        return serving(self.signer, [HOST], now - 2 * DAY if expired else now, DAY)

    def show(self, pair: Pair) -> None:
        """As an administrator's tools write them: one file after the other."""
        (self.folder / "tls.crt").write_text(pair.certificate)
        (self.folder / "tls.key").write_text(pair.key)

    def register(self, failure: FailurePolicy) -> None:
        reach = ByUrl(base=f"https://{HOST}:{self.port}")
        made = webhooks(Installation(), reach, authority=self.signer.certificate, failure=failure)
        self.stage.plane.kubectl("apply", "--server-side", "-f", "-", stdin=listed(made))

    def scheduler(self, holder: str) -> Scheduler:
        words = ("--webhook-address", f"{HOST}:{self.port}", "--webhook-cert-dir", str(self.folder))
        return self.stage.scheduler(holder, *words)

    def refused(self, name: str) -> str:
        """Why that run cannot be submitted; empty: it was."""
        try:
            self.stage.plane.eager.call("POST", self.stage.path, self.stage.body(name, 4, 0.3))
        except Refused as error:
            return str(error)
        return ""

    def judges(self) -> bool:
        """Whether the API server asks, and is answered."""
        body = self.stage.body("judged", 3, 0.3)
        try:
            self.stage.plane.eager.call("POST", self.stage.path, body, query={"dryRun": "All"})
        except Refused as error:
            return "denied the request" in str(error)
        return False


@pytest.fixture
def guard(stage: Stage, tmp_path: Path) -> Iterator[Guard]:
    folder = tmp_path / "certificates"
    folder.mkdir()
    yield Guard(stage, folder)
    stage.plane.kubectl("delete", "--ignore-not-found", *CONFIGURATIONS)


@only_in_full
def test_the_webhook_is_down(stage: Stage, guard: Guard, table: Table, full: bool) -> None:
    """Ignore, as it is shipped: work goes on being submitted, and starts when the scheduler is back."""
    first = guard.scheduler("a")
    guard.register(FailurePolicy.IGNORE)
    until(guard.judges, 30, "the webhook is not asked")
    expected = a_life(stage, 1)
    stage.reach("long-1", "Running")
    first.kill()
    accepted = {f"meanwhile-{number}": "Succeeded" for number in range(5)}
    assert [guard.refused(name) for name in accepted] == [""] * 5
    time.sleep(10.0 if full else 1.0)
    guard.scheduler("b")
    seconds = stage.settle({**expected, **accepted}, 60, each=lambda: canceling(stage, expected))
    table.add(
        "webhook down",
        "SIGKILL of who answers it; failurePolicy Ignore; five runs submitted meanwhile",
        [seconds],
        stage,
    )


@only_in_full
def test_the_certificate_has_expired(stage: Stage, guard: Guard, table: Table) -> None:
    """Fail, at an administrator's wish: nobody submits until there is another one, and what runs goes on."""
    guard.show(guard.certificate(expired=True))
    guard.scheduler("a")
    stage.reach_leader("a")
    expected = a_life(stage, 1)
    stage.reach("long-1", "Running")
    guard.register(FailurePolicy.FAIL)
    until(lambda: "certificate has expired" in guard.refused("early"), 30, "the expired certificate is accepted")
    guard.show(guard.certificate())
    seconds = until(lambda: not guard.refused("late"), 30, "the new certificate is not accepted")
    seconds += stage.settle({**expected, "late": "Succeeded"}, 30, each=lambda: canceling(stage, expected))
    how = "an expired certificate, failurePolicy Fail; then another one in the same files"
    table.add("certificate expired", how, [seconds], stage)


@only_in_full
def test_certificates_are_rotated_under_load(stage: Stage, guard: Guard, table: Table, full: bool) -> None:
    guard.scheduler("a")
    guard.register(FailurePolicy.FAIL)
    until(guard.judges, 30, "the webhook is not asked")
    over, shown = threading.Event(), [0]

    def rotate() -> None:
        while not over.wait(0.5):
            guard.show(guard.certificate())
            shown[0] += 1

    thread = threading.Thread(target=rotate)
    thread.start()
    expected = {f"under-{number}": "Succeeded" for number in range(60 if full else 15)}
    try:
        told = []
        for name in expected:
            told.append(guard.refused(name))
            over.wait(0.2)
    finally:
        over.set()
        thread.join()
    seconds = stage.settle(expected, 60)
    assert told == [""] * len(expected)
    assert shown[0] > 3
    how = (
        f"another one every 0.5 s, {shown[0]} in all, failurePolicy Fail; {len(expected)} runs submitted, none refused"
    )
    table.add("certificates rotated under load", how, [seconds], stage)

"""Certificates that the scheduler makes by itself, under calls: the API server is never left without an answer."""

from __future__ import annotations

import base64
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

import pytest
from tests.kube.admission.conftest import HOME, HOST, a_run, ours, printed, refusal, until, utc_now

from runs_core.cluster.kube.api import Refused
from runs_core.cluster.kube.rights import CERTIFICATES
from runs_core.serve.webhook.keeper import CertificateKeeper
from runs_core.serve.webhook.rotation import AUTHORITY_LIFE, SERVING_LIFE, SETTLED, Held, held_in, trusted_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kube.admission.conftest import Guarded

SECRET = f"/api/v1/namespaces/{HOME}/secrets/{CERTIFICATES}"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
DENIED = "denied the request"


def stored(guarded: Guarded) -> Held:
    return held_in(guarded.scheduler.call("GET", SECRET)[1]["data"])


def bundles(guarded: Guarded) -> set[str]:
    """What the webhooks trust."""
    return {
        base64.b64decode(hook["clientConfig"]["caBundle"]).decode()
        for plural in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
        for hook in guarded.scheduler.call("GET", f"{ADMISSION}/{plural}/runs")[1]["webhooks"]
    }


def shown(guarded: Guarded) -> str:
    """The certificate that the server shows to a new connection."""
    assert guarded.server is not None
    return ssl.get_server_certificate((HOST, guarded.server.port), timeout=5)


def forgotten(guarded: Guarded) -> None:
    assert guarded.plane.kubectl("delete", "secret", CERTIFICATES, "-n", HOME).returncode == 0


@pytest.fixture
def virtual(guarded: Guarded) -> Iterator[list[datetime]]:
    """A keeper whose clock is set by hand, in place of the one that goes by the time; it starts without a Secret."""
    clock = [datetime.now(UTC)]
    forgotten(guarded)
    before, guarded.keeper = guarded.keeper, CertificateKeeper(guarded.scheduler, HOME, (HOST,), lambda: clock[0])
    yield clock
    forgotten(guarded)
    guarded.keeper = before
    before.look()
    until(lambda: DENIED in (refusal(guarded.alice, ours("runs"), a_run("a", gpus=0)) or ""))


class Caller:
    """Submits a bad run again and again, and keeps each answer that is not ours."""

    def __init__(self, guarded: Guarded) -> None:
        self.answers = 0
        self.wrong: list[str] = []
        self._guarded = guarded
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._call)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def more(self, count: int) -> None:
        """Until there have been that many more answers."""
        wanted = self.answers + count
        until(lambda: self.answers >= wanted)

    def _call(self) -> None:
        while not self._stopped.is_set():
            message = refusal(self._guarded.alice, ours("runs"), a_run("a", gpus=0)) or "it was let in"
            if DENIED not in message:
                self.wrong.append(message)
            self.answers += 1


def test_they_are_kept_and_known(guarded: Guarded) -> None:
    held = stored(guarded)
    assert bundles(guarded) == {held.bundle}
    assert shown(guarded).strip() == held.serving.certificate.strip()
    assert guarded.keeper.ends == held.serving.ends


def test_a_second_replica_takes_what_is_there(guarded: Guarded) -> None:
    before = stored(guarded)
    other = CertificateKeeper(guarded.scheduler, HOME, (HOST,), utc_now)
    other.look()
    assert (stored(guarded), other.ends) == (before, before.serving.ends)


def test_replicas_that_start_at_once_agree(guarded: Guarded, virtual: list[datetime]) -> None:
    keepers = [CertificateKeeper(guarded.scheduler, HOME, (HOST,), lambda: virtual[0]) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda keeper: keeper.look(), keepers))
    for keeper in keepers:
        keeper.look()
    assert {keeper.ends for keeper in keepers} == {stored(guarded).serving.ends}
    assert bundles(guarded) == {stored(guarded).bundle}


def test_applying_the_manifests_again_keeps_what_is_trusted(guarded: Guarded) -> None:
    assert guarded.server is not None
    before = bundles(guarded)
    guarded.apply(*printed("webhooks", "--webhook-url", f"https://{HOST}:{guarded.server.port}"))
    assert bundles(guarded) == before


def test_without_configurations_there_is_a_certificate_all_the_same(guarded: Guarded) -> None:
    configurations = printed(
        "webhooks", "--webhook-url", f"https://{HOST}:{guarded.server.port if guarded.server else 0}"
    )
    for one in configurations:
        assert guarded.plane.kubectl("delete", one["kind"], "runs").returncode == 0
    try:
        guarded.keeper.look()
        assert guarded.keeper.problem is None
    finally:
        guarded.apply(*configurations)
        guarded.keeper.look()
    assert bundles(guarded) == {stored(guarded).bundle}
    until(lambda: DENIED in (refusal(guarded.alice, ours("runs"), a_run("a", gpus=0)) or ""))


def test_what_cannot_be_done_is_said_and_the_former_certificate_is_shown_on(guarded: Guarded) -> None:
    before = guarded.keeper.ends
    nobody = CertificateKeeper(guarded.alice, HOME, (HOST,), utc_now)
    with pytest.raises(Refused):
        nobody.look()
    assert (nobody.problem or "").startswith("the webhooks' certificates cannot be kept up: Forbidden")
    assert (nobody.ends, guarded.keeper.ends) == (None, before)


def test_one_that_ended_leaves_the_rules_of_the_crds_until_the_next_look(
    guarded: Guarded, virtual: list[datetime]
) -> None:
    virtual[0] -= SERVING_LIFE + timedelta(days=1)
    guarded.keeper.look()
    until(lambda: (refusal(guarded.alice, ours("runs"), a_run("a", gpus=0)) or "").startswith("Run.runs.dev"))
    assert refusal(guarded.alice, ours("runs"), a_run("a")) is None
    virtual[0] = datetime.now(UTC)
    guarded.keeper.look()
    until(lambda: DENIED in (refusal(guarded.alice, ours("runs"), a_run("a", gpus=0)) or ""))


def test_they_rotate_under_calls_and_every_call_is_answered(guarded: Guarded, virtual: list[datetime]) -> None:
    now = datetime.now(UTC)
    keeper = guarded.keeper
    virtual[0] = now - AUTHORITY_LIFE * 2 / 3 - timedelta(hours=2)
    keeper.look()
    virtual[0] = now - timedelta(hours=3)  # the first certificate has ended long ago; the authority is not yet due
    keeper.look()
    one = stored(guarded)
    until(lambda: DENIED in (refusal(guarded.alice, ours("runs"), a_run("a", gpus=0)) or ""))
    with Caller(guarded) as caller:
        caller.more(10)
        virtual[0] = now - timedelta(hours=1)  # the authority is due: the next one is named, and does not sign yet
        keeper.look()
        two = stored(guarded)
        caller.more(10)
        virtual[0] += SETTLED
        keeper.look()
        three = stored(guarded)
        caller.more(10)
    assert caller.wrong == []
    renew_connections(guarded)
    with Caller(guarded) as caller:
        caller.more(10)
    assert caller.wrong == []
    assert (len(one.authorities), len(two.authorities)) == (1, 2)
    assert two.serving == one.serving
    assert two.authorities == three.authorities
    assert three.authorities[1].signed(three.serving)
    assert bundles(guarded) == {three.bundle}
    assert trusted_in(three.bundle) == {authority.certificate for authority in three.authorities}
    assert shown(guarded).strip() == three.serving.certificate.strip()


def renew_connections(guarded: Guarded) -> None:
    """Whatever the API server keeps open is closed: from here on it sees the certificate of now."""
    assert guarded.server is not None
    port = guarded.server.port
    guarded.down()
    guarded.serve(port)
    until(lambda: DENIED in (refusal(guarded.alice, ours("runs"), a_run("a", gpus=0)) or ""))

"""The webhooks as a part of the scheduler process: the server, its certificate, and whether both are well."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from runs_core.cluster.kube.api import Api
from runs_core.errors import RunsError, Unavailable
from runs_core.serve.webhook.files import FileCertificates
from runs_core.serve.webhook.keeper import CertificateKeeper
from runs_core.serve.webhook.server import Answering, WebhookServer

CERTIFICATE, KEY = "tls.crt", "tls.key"
"""As Kubernetes names them in a Secret of type kubernetes.io/tls."""
STOP_SECONDS = 5.0
Told = Callable[[str], None]
Clock = Callable[[], datetime]


class Webhooks:
    """Serves from `start` to `stop`. told: what went wrong, in one sentence. Unavailable: the address cannot be had."""

    def __init__(
        self,
        address: tuple[str, int],
        answer: Answering,
        certificates: FileCertificates | CertificateKeeper,
        clock: Clock,
        told: Told,
    ) -> None:
        self._certificates = certificates
        self._clock = clock
        self._told = told
        self._stopped = threading.Event()
        try:
            self._server = WebhookServer(address, answer, certificates.context, told)
        except OSError as error:
            where = f"{address[0]}:{address[1]}"
            told_why = f"{where} cannot be listened on ({error.strerror or error})"
            raise Unavailable(f"{told_why}: name another --webhook-address") from error

    @property
    def port(self) -> int:
        """The one that it listens on; of interest where 0 was asked for."""
        return self._server.port

    def start(self) -> None:
        if isinstance(self._certificates, CertificateKeeper):
            threading.Thread(target=self._keep, args=(self._certificates,), name="certificates", daemon=True).start()
        self._server.start()

    def stop(self) -> None:
        self._stopped.set()
        self._server.stop(STOP_SECONDS)

    def problems(self) -> list[str]:
        """What keeps the API server from asking."""
        ends, problem = self._certificates.ends, self._certificates.problem
        if ends is None:
            return [problem or "there is no certificate for the webhooks yet"]
        return [f"the webhooks' certificate ended at {ends:%Y-%m-%dT%H:%M:%SZ}"] if ends <= self._clock() else []

    def _keep(self, keeper: CertificateKeeper) -> None:
        try:
            keeper.look()
        except RunsError as error:
            self._told(str(error))
        keeper.follow(self._stopped)


def certificates(
    api: Api, folder: str | None, namespace: str, hosts: Sequence[str], clock: Clock
) -> FileCertificates | CertificateKeeper:
    """From files that somebody else keeps, or, without a folder, of our own. InvalidInput: the files cannot be used."""
    if folder is None:
        return CertificateKeeper(api, namespace, hosts, clock)
    return FileCertificates(Path(folder) / CERTIFICATE, Path(folder) / KEY, clock)

"""Certificates that the scheduler makes by itself: kept in a Secret, and made known in the webhook configurations.

Every replica may renew them: the Secret is replaced by compare-and-swap, and who comes second takes what is there.
"""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from runs_core.cluster.kube.api import APPLY, Api, Refused
from runs_core.cluster.kube.rights import CERTIFICATES, WEBHOOKS
from runs_core.errors import RunsError, Unavailable
from runs_core.schema.convert import Object
from runs_core.serve.webhook.rotation import Held, held_in, renewed, trusted_in

MANAGER = "runs-webhook"
LOOK_SECONDS = 60.0
FIRST_SECONDS = 2.0
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_CONFIGURATIONS = {
    "MutatingWebhookConfiguration": f"{_ADMISSION}/mutatingwebhookconfigurations/{WEBHOOKS}",
    "ValidatingWebhookConfiguration": f"{_ADMISSION}/validatingwebhookconfigurations/{WEBHOOKS}",
}
_TRIES = 3
_TROUBLE = "the webhooks' certificates cannot be kept up"
_CONFLICT, _NOT_FOUND = 409, 404


class CertificateKeeper:
    """hosts: what the API server asks at. One thread calls `look`, or `follow`; any thread asks for `context`.

    problem: what kept the last look from succeeding; None: nothing.
    """

    def __init__(self, api: Api, namespace: str, hosts: Sequence[str], clock: Callable[[], datetime]) -> None:
        self._api = api
        self._namespace = namespace
        self._hosts = tuple(sorted(hosts))
        self._clock = clock
        self._held: Held | None = None
        self._context: ssl.SSLContext | None = None
        self.problem: str | None = None

    def context(self) -> ssl.SSLContext:
        """What to show to whoever connects now. Unavailable: there has been no successful look yet."""
        if self._context is None:
            raise Unavailable("there is no certificate for the webhooks yet")
        return self._context

    @property
    def ends(self) -> datetime | None:
        """Of the certificate that is shown."""
        return self._held.serving.ends if self._held else None

    def follow(self, stopped: threading.Event) -> None:
        """Look every minute; more often as long as there is no certificate at all.

        What fails is tried again: a third of each certificate's life is left for that.
        """
        while not stopped.wait(FIRST_SECONDS if self._context is None else LOOK_SECONDS):
            try:
                self.look()
            except RunsError:
                continue  # it is in `problem`

    def look(self) -> None:
        """Renew what is due, take what another replica renewed, and see to it that the API server trusts it.

        Refused, Unavailable: it could not be done, whatever the reason; what was shown before is shown on.
        """
        try:
            found = self._configurations()
            held = self._renewed(_trusted(found))
            if held != self._held or self._context is None:
                self._context, self._held = held.serving.context(), held
            self._make_known(held.bundle, found)
        except RunsError as error:
            self.problem = f"{_TROUBLE}: {error}"
            raise
        except Exception as error:
            self.problem = f"{_TROUBLE}: {type(error).__name__}: {error}"
            raise Unavailable(self.problem) from error
        self.problem = None

    def _renewed(self, trusted: frozenset[str] | None) -> Held:
        for _ in range(_TRIES):
            stored = self._found(f"{self._secrets}/{CERTIFICATES}")
            present = _held(stored)
            wanted = renewed(present, self._clock(), self._hosts, trusted)
            if wanted == present or self._stored(wanted, stored):
                return wanted
        raise Unavailable(f"the Secret {self._namespace}/{CERTIFICATES} was replaced each time it was to be written")

    def _stored(self, held: Held, before: Object | None) -> bool:
        """False: somebody else wrote it in between."""
        body: Object = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": CERTIFICATES, "namespace": self._namespace},
            "type": "Opaque",
            "data": held.data(),
        }
        try:
            if before is None:
                self._api.call("POST", self._secrets, body)
            else:
                whole = {**before, "data": {**(before.get("data") or {}), **body["data"]}}
                self._api.call("PUT", f"{self._secrets}/{CERTIFICATES}", whole)
        except Refused as error:
            if error.status != _CONFLICT:
                raise
            return False
        return True

    def _configurations(self) -> dict[str, Object]:
        """Those that are installed, by kind."""
        found = {kind: self._found(path) for kind, path in _CONFIGURATIONS.items()}
        return {kind: body for kind, body in found.items() if body is not None}

    def _make_known(self, bundle: str, found: Mapping[str, Object]) -> None:
        encoded = base64.b64encode(bundle.encode()).decode()
        for kind, body in found.items():
            if set(_bundles(body)) == {bundle}:
                continue
            known = [{"name": hook["name"], "clientConfig": {"caBundle": encoded}} for hook in body["webhooks"]]
            wanted = {
                "apiVersion": body["apiVersion"],
                "kind": kind,
                "metadata": {"name": WEBHOOKS},
                "webhooks": known,
            }
            options = {"fieldManager": MANAGER, "force": "true"}
            self._api.call("PATCH", _CONFIGURATIONS[kind], wanted, content=APPLY, query=options)

    def _found(self, path: str) -> Object | None:
        try:
            return self._api.call("GET", path)[1]
        except Refused as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    @property
    def _secrets(self) -> str:
        return f"/api/v1/namespaces/{self._namespace}/secrets"


def _held(secret: Object | None) -> Held | None:
    """None: there is none, or nobody can read it, and then it is made anew."""
    try:
        return held_in((secret or {}).get("data") or {})
    except ValueError:
        return None


def _trusted(configurations: Mapping[str, Object]) -> frozenset[str] | None:
    """By every webhook. None: there is none."""
    each = [trusted_in(bundle) for body in configurations.values() for bundle in _bundles(body)]
    return frozenset.intersection(*each) if each else None


def _bundles(configuration: Object) -> Iterator[str]:
    for hook in configuration.get("webhooks") or []:
        yield base64.b64decode(hook["clientConfig"].get("caBundle") or "").decode("ascii", "replace")

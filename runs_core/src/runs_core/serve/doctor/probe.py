"""What answers where a webhook configuration points."""

from __future__ import annotations

import base64
import binascii
import socket
import ssl
from datetime import UTC, datetime
from urllib.parse import urlsplit

import attrs

from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.cluster.kube.rights import AUTHORITY

SECONDS = 3.0
HTTPS = 443
_NOT_FOUND = 404


@attrs.frozen(kw_only=True)
class Shown:
    """problem: why the API server cannot use it, in one of the words below; None: it can. expires: of its certificate.

    ours: the scheduler makes the certificate itself, as far as its caBundle tells; else somebody keeps it in files.
    Words: Unreachable, Untrusted, Expired, NoService, NoEndpoints, NoAuthority, Forbidden.
    """

    where: str
    problem: str | None = None
    detail: str = ""
    expires: datetime | None = None
    ours: bool = True


def probe(api: Api, client: Object) -> Shown:
    """client: a webhook's clientConfig."""
    authority = _authority(client)
    if "service" in client:
        return _service(api, client["service"], authority)
    where = str(client.get("url", ""))
    url = urlsplit(where)
    return _knock(where, url.hostname or "", url.port or HTTPS, authority)


def _authority(client: Object) -> str | None:
    """PEM; None: there is none, or it is none."""
    try:
        text = base64.b64decode(client.get("caBundle") or "").decode()
    except (binascii.Error, ValueError):
        return None
    return text if "BEGIN CERTIFICATE" in text else None


def _knock(where: str, host: str, port: int, authority: str | None) -> Shown:
    """A handshake as the API server makes it, and nothing more. authority None: whom this machine trusts."""
    try:
        context = ssl.create_default_context(cadata=authority)
    except ssl.SSLError as error:
        return Shown(where=where, problem="NoAuthority", detail=str(error))
    ours = authority is not None and _ours(context)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # newer Pythons set it, and the API server does not
    try:
        with (
            socket.create_connection((host, port), timeout=SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as safe,
        ):
            return Shown(where=where, expires=_end(safe), ours=ours)
    except ssl.SSLCertVerificationError as error:
        problem = "Expired" if "expired" in error.verify_message else "Untrusted" if authority else "NoAuthority"
        return Shown(where=where, problem=problem, detail=error.verify_message, ours=ours)
    except OSError as error:
        return Shown(where=where, problem="Unreachable", detail=error.strerror or str(error))


def _ours(trusting: ssl.SSLContext) -> bool:
    return any(AUTHORITY in str(one.get("subject")) for one in trusting.get_ca_certs())


def _end(safe: ssl.SSLSocket) -> datetime | None:
    told = (safe.getpeercert() or {}).get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(told)), UTC) if told else None


def _service(api: Api, service: Object, authority: str | None) -> Shown:
    """A Service cannot be reached from here; whether something stands behind it can be seen."""
    namespace, name = service.get("namespace", ""), service.get("name", "")
    where = f"Service {namespace}/{name}"
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    try:
        api.call("GET", f"/api/v1/namespaces/{namespace}/services/{name}")
        _, answer = api.call("GET", slices, query={"labelSelector": f"kubernetes.io/service-name={name}"})
    except Refused as refusal:
        if refusal.status == _NOT_FOUND:
            return Shown(where=where, problem="NoService")
        return Shown(where=where, problem="Forbidden", detail=refusal.message)
    ready = [
        one
        for part in answer.get("items") or []
        for one in part.get("endpoints") or []
        if (one.get("conditions") or {}).get("ready", True)
    ]
    if not ready:
        return Shown(where=where, problem="NoEndpoints")
    return Shown(where=where, problem=None if authority else "NoAuthority")

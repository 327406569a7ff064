"""The Secret that all nonces follow from: made once, by whoever is to lead first."""

from __future__ import annotations

import base64
import secrets
from http import HTTPStatus

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.cluster.kube.rights import NONCE
from runs_core.errors import Unavailable
from runs_core.values.meta import Key
from runs_core.values.nonces import Nonces

_FIELD = "root"
BYTES = 32


def standing(api: Api, namespace: str) -> Nonces:
    """As stored; made now where nobody did. Refused, Unavailable: not now.

    It is there before anything is bound by it, and never changes: there is no moment at which a crash loses a nonce.
    """
    return read(_get(api, namespace) or _make(api, namespace))


def read(secret: Object) -> Nonces:
    """Unavailable: it is not what we made."""
    try:
        root = base64.b64decode(secret["data"][_FIELD], validate=True).decode()
        short = len(bytes.fromhex(root)) < BYTES
    except (KeyError, TypeError, ValueError) as error:
        raise Unavailable(
            f"the Secret {NONCE} cannot be read ({error}); delete it, and the next leader makes another, which the "
            "next resolution then shows as not the one that was bound"
        ) from error
    if short:
        raise Unavailable(f"the Secret {NONCE} is too short to be secret; delete it, and the next leader makes another")
    return Nonces(root=root)


def _get(api: Api, namespace: str) -> Object | None:
    try:
        return api.call("GET", paths.one("Secret", Key(namespace, NONCE)))[1]
    except Refused as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return None


def _make(api: Api, namespace: str) -> Object:
    body: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NONCE, "namespace": namespace},
        "immutable": True,
        "data": {_FIELD: base64.b64encode(secrets.token_hex(BYTES).encode()).decode()},
    }
    try:
        return api.call("POST", paths.collection("Secret", namespace), body)[1]
    except Refused as error:
        if error.reason != "AlreadyExists":
            raise
    return api.call("GET", paths.one("Secret", Key(namespace, NONCE)))[1]  # another was first

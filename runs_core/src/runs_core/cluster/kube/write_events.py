"""What is asked of the API server of an event."""

from __future__ import annotations

from hashlib import sha256

from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.schema.names import API_VERSION, KINDS
from runs_core.values import effect as e
from runs_core.values.quantity import format_time


def tell(api: Api, event: e.Emit, uid: str) -> None:
    """A repeated one has the name of the first; an event that cannot be written is not worth a retry.

    uid: of the object that it is about, where that is known.
    """
    namespace = event.key.namespace or "default"
    try:
        api.call("POST", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", _body(event, namespace, uid))
    except Refused as error:
        if error.passing:
            raise


def _body(event: e.Emit, namespace: str, uid: str) -> Object:
    at = format_time(event.at)
    regarding = {
        "kind": event.kind,
        "name": event.key.name,
        "namespace": event.key.namespace,
        "uid": uid,
        "apiVersion": API_VERSION if event.kind in KINDS else "v1",
    }
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{event.key.name[:200].rstrip('-.')}.{_digest(event)}", "namespace": namespace},
        "regarding": regarding,
        "reason": event.reason,
        "note": event.message[:1000],
        "type": "Warning" if event.warning else "Normal",
        "eventTime": at if "." in at else at.replace("Z", ".000000Z"),
        "action": event.reason,
        "reportingController": "runs.dev/runs",
        "reportingInstance": "runs",
    }


def _digest(event: e.Emit) -> str:
    text = f"{event.kind}|{event.key}|{event.reason}|{event.message}|{'' if event.once else event.at}"
    return sha256(text.encode()).hexdigest()[:16]

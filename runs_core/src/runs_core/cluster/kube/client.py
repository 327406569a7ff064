"""What people ask of the API server: one object, an edit of theirs, what was told about it, its logs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import attrs

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import APPLY, MERGE, Api, Object, Refused
from runs_core.cluster.kube.reflect import as_it_is, everything
from runs_core.cluster.kube.snapshot import key_of, named
from runs_core.values.meta import DNS_LABEL, DNS_NAME, Key

MANAGER = "runs-cli"
NOT_FOUND, UNAVAILABLE = 404, 503
LEARNS, LEARNS_SECONDS, LOOK_SECONDS = "There can be a delay", 20.0, 0.5
"""What the API server says until its policies know a new kind, and for how long it is asked again."""
SERVERS = ("managedFields", "creationTimestamp", "uid", "generation", "selfLink", "resourceVersion")
"""What of an object's metadata is the server's, and no wish of whoever sends it back."""
Query = dict[str, str]
T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Told:
    """An Event. at: RFC 3339. count: how often it was said."""

    at: str
    reason: str
    message: str
    warning: bool
    count: int


def learnt(ask: Callable[[], T]) -> T:
    """A server that has just been told of a kind takes some seconds until its policies know it: it is asked again."""
    deadline = time.monotonic() + LEARNS_SECONDS
    while True:
        try:
            return ask()
        except Refused as refusal:
            if refusal.status != UNAVAILABLE or LEARNS not in refusal.message or time.monotonic() > deadline:
                raise
        time.sleep(LOOK_SECONDS)


class Client:
    """Refused and Unavailable are the caller's to explain."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def get(self, kind: str, key: Key) -> Object | None:
        """None: it is not there, or could not be by its name, which then is asked of nobody: it would be a path."""
        if re.fullmatch(DNS_NAME, key.name) is None or (
            key.namespace and re.fullmatch(DNS_LABEL, key.namespace) is None
        ):
            return None
        try:
            return named(kind, self.api.call("GET", paths.one(kind, key))[1])
        except Refused as refusal:
            if refusal.status == NOT_FOUND and refusal.reason == "NotFound":
                return None
            raise

    def names(self, kind: str, namespace: str = "") -> list[Key]:
        """Sorted. namespace "": everywhere."""
        path = paths.collection(kind, namespace)
        return sorted(everything(self.api, kind, path, key_of).items)

    def apply(self, body: Object, *, dry_run: bool = False) -> tuple[Object, str]:
        """What a person says becomes theirs, and nothing that is another's: Refused 409 names the field and its owner.

        Returns the object and `created`, `configured` or `unchanged`.
        """
        key = key_of(body)
        before = self.get(body["kind"], key)
        metadata = {name: value for name, value in body["metadata"].items() if name not in SERVERS}
        wish = {**body, "metadata": metadata}
        wish.pop("status", None)
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        path = paths.one(body["kind"], key)
        after = learnt(lambda: self.api.call("PATCH", path, wish, content=APPLY, query=query)[1])
        if before is None or before["metadata"]["uid"] != after["metadata"]["uid"]:
            return named(body["kind"], after), "created"
        changed = before.get("spec") != after.get("spec") or _said(before) != _said(after)
        return named(body["kind"], after), "configured" if changed else "unchanged"

    def patch(self, kind: str, key: Key, change: Mapping[str, object]) -> Object:
        """Only these fields, whoever wrote them last; a None takes its field away."""
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
        _, after = self.api.call("PATCH", paths.one(kind, key), dict(change), content=MERGE, query=query)
        return named(kind, after)

    def events(self, kind: str, key: Key, uid: str) -> list[Told]:
        """What was told of this very object, oldest first; the server keeps it for an hour unless set otherwise."""
        path = f"/apis/events.k8s.io/v1/namespaces/{key.namespace}/events"
        query = {"fieldSelector": f"regarding.kind={kind},regarding.name={key.name}"}
        items = everything(self.api, "Event", path, as_it_is, query=query).items
        found = [_told(item) for item in items if (item.get("regarding") or {}).get("uid") in ("", uid, None)]
        return sorted(found, key=lambda told: (told.at, told.reason, told.message))

    def logs(self, pod: Key, *, container: str | None, follow: bool) -> Iterator[bytes]:
        """Line by line, from the kubelet."""
        query: Query = {"follow": "true"} if follow else {}
        if container is not None:
            query["container"] = container
        return self.api.text(f"{paths.one('Pod', pod)}/log", query)


def _said(body: Object) -> tuple[object, object]:
    return body["metadata"].get("labels") or {}, body["metadata"].get("annotations") or {}


def _told(item: Object) -> Told:
    series = item.get("series") or {}
    at = series.get("lastObservedTime") or item.get("eventTime") or item.get("deprecatedLastTimestamp") or ""
    return Told(
        at=at or item["metadata"].get("creationTimestamp") or "",
        reason=item.get("reason") or "",
        message=item.get("note") or "",
        warning=item.get("type") == "Warning",
        count=series.get("count") or item.get("deprecatedCount") or 1,
    )

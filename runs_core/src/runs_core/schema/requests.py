"""Requests of administrators as an annotation of a node."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from runs_core.schema.convert import canonical
from runs_core.values.quantity import format_time, parse_time
from runs_core.values.request import Request

RESOLVE = "runs.dev/resolve"
MOST_GPUS = 10_000_000
_UID = re.compile(r"[A-Za-z0-9-]{8,64}")


def annotation_of(request: Request) -> str:
    """The annotation's text."""
    body = {"uid": request.uid, "flavor": request.flavor, "gpus": request.gpus, "at": format_time(request.at)}
    return canonical({**body, "domain": request.domain} if request.domain else body)


def request_in(annotations: Mapping[str, Any]) -> Request | None:
    """None: there is none, or nothing that could be one. A node is not set aside for what somebody wishes of it."""
    try:
        body = json.loads(annotations.get(RESOLVE) or "null")
        uid, flavor, gpus, domain = (body.get(name) for name in ("uid", "flavor", "gpus", "domain"))
        at = parse_time(body["at"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    texts = isinstance(uid, str) and isinstance(flavor, str) and isinstance(domain, str | None)
    if not texts or _UID.fullmatch(uid) is None or type(gpus) is not int or not 0 < gpus <= MOST_GPUS:
        return None
    return Request(uid=uid, flavor=flavor, gpus=gpus, domain=domain or "", at=at)

"""Pods: ranks of ours, told by their labels, and other people's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

import msgspec

from runs_core.schema.convert import UNREADABLE, Object, converter, unreadable
from runs_core.schema.metadata import MOST_GRACE_SECONDS, meta_from, text
from runs_core.schema.podread import gpus_of, requests_of, rules_of
from runs_core.schema.podspec import PodSpec
from runs_core.settings import FleetSettings
from runs_core.values.meta import Key, Meta
from runs_core.values.pod import Claim, Pod, PodPhase, RankOf
from runs_core.values.quantity import format_time, parse_time
from runs_core.values.template import Requests

RUN_LABEL = "runs.dev/run"
UID_LABEL = "runs.dev/run-uid"
ATTEMPT_LABEL = "runs.dev/attempt"
RETRY_LABEL = "runs.dev/retry"
RANK_LABEL = "runs.dev/rank"
GROUP_LABEL = "runs.dev/group"
_NUMBERS = (ATTEMPT_LABEL, RETRY_LABEL, RANK_LABEL, GROUP_LABEL)
SCHEDULER = "runs"
INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
_ASKS = ("resources", "restartPolicy")
_PHASES: dict[object, PodPhase] = {phase.value: phase for phase in PodPhase}


def pod_from_object(obj: Mapping[str, Any], fleet: FleetSettings) -> Pod:
    """gpus: of all the extended resources that the settings name. InvalidInput names a pod that cannot be read."""
    try:
        return _pod(obj, fleet)
    except UNREADABLE as error:
        raise unreadable("Pod", obj, error) from error


def _pod(obj: Mapping[str, Any], fleet: FleetSettings) -> Pod:
    meta = meta_from(obj["metadata"])
    spec = obj["spec"]
    requests, gpus = _asks(_asking(spec), fleet.known)
    status = obj.get("status") or {}
    rank = _rank(meta.namespace, dict(meta.labels))
    return Pod(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        node=text(spec.get("nodeName") or "") or None,
        rank=rank,
        claim=_claim(meta, obj) if rank is None else None,
        gpus=gpus,
        requests=requests,
        phase=_phase(status.get("phase")),
        message=text(status.get("message") or ""),
        created=meta.created,
        started=None if (started := status.get("startTime")) is None else parse_time(started),
        deleting=meta.deleting,
        grace=_span(obj["metadata"].get("deletionGracePeriodSeconds")),
        own_grace=_span(spec.get("terminationGracePeriodSeconds")),
        annotations=meta.annotations,
    )


def _asking(spec: Mapping[str, Any]) -> bytes:
    """What of a pod's spec says how much it asks for, in the same words for all that ask for the same."""
    said = {name: spec[name] for name in ("overhead", "resources") if spec.get(name)}
    for name in ("containers", "initContainers"):
        containers = spec.get(name) or ()
        said[name] = [{"name": "one", **{part: one[part] for part in _ASKS if one.get(part)}} for one in containers]
    return msgspec.json.encode(said, order="sorted")


@lru_cache(maxsize=4096)
def _asks(said: bytes, resources: tuple[str, ...]) -> tuple[Requests, int]:
    """What it takes of its node: GPUs aside, and GPUs. Remembered: pods of one run are alike in it."""
    spec = converter().structure(msgspec.json.decode(said), PodSpec)
    return requests_of(spec), gpus_of(spec, resources)


def _span(seconds: object) -> timedelta | None:
    return timedelta(seconds=min(seconds, MOST_GRACE_SECONDS)) if isinstance(seconds, int) else None


def _rank(namespace: str, labels: Mapping[str, str]) -> RankOf | None:
    """None where any label is missing or is not a number: whoever edits them takes the pod away from its run."""
    run, uid = labels.get(RUN_LABEL), labels.get(UID_LABEL)
    numbers = [labels.get(label, "") for label in _NUMBERS]
    if not run or not uid or not all(number.isascii() and number.isdigit() for number in numbers):
        return None
    attempt, retry, rank, group = (int(number) for number in numbers)
    return RankOf(run=Key(namespace, run), uid=uid, attempt=attempt, retry=retry, rank=rank, group=group)


def _claim(meta: Meta, obj: Mapping[str, Any]) -> Claim | None:
    """Somebody else's pod for a run of ours: our scheduler's name and the run's label, and no node yet."""
    run = dict(meta.labels).get(RUN_LABEL)
    if not run or obj["spec"].get("schedulerName") != SCHEDULER or obj["spec"].get("nodeName"):
        return None
    if obj["spec"].get("schedulingGates") or meta.deleting is not None:
        return None
    owners = obj["metadata"].get("ownerReferences") or [{}]
    index = dict(meta.annotations).get(INDEX_ANNOTATION) or dict(meta.labels).get(INDEX_ANNOTATION, "")
    order = (str(owners[0].get("name", "")), int(index) if index.isascii() and index.isdigit() else 0, meta.name)
    return Claim(run=Key(meta.namespace, run), order=order, rules=rules_of(converter().structure(obj["spec"], PodSpec)))


def _phase(text: object) -> PodPhase:
    return PodPhase.PENDING if text is None else _PHASES.get(text, PodPhase.UNKNOWN)


def pod_to_object(pod: Pod, *, resource: str = FleetSettings().resource) -> Object:
    """resource: the extended resource of the node's flavor.

    One container asks for all that the pod asks for: a pod made from a template is the template's, not this.
    """
    requests = {
        resource: str(pod.gpus) if pod.gpus else "",
        "cpu": f"{pod.requests.cpu_milli}m" if pod.requests.cpu_milli else "",
        "memory": str(pod.requests.memory_bytes or ""),
        "ephemeral-storage": str(pod.requests.ephemeral_bytes or ""),
    }
    asked = {name: amount for name, amount in requests.items() if amount}
    container: Object = {"name": "main", **({"resources": {"requests": asked}} if asked else {})}
    spec = {
        "containers": [container],
        "nodeName": pod.node,
        "schedulerName": SCHEDULER if pod.rank else None,
        "terminationGracePeriodSeconds": None if pod.own_grace is None else seconds_of(pod.own_grace),
    }
    started = None if pod.started is None else format_time(pod.started)
    status = {"phase": pod.phase.value, "message": pod.message, "startTime": started}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(pod),
        "spec": {name: value for name, value in spec.items() if value not in ("", None)},
        "status": {name: value for name, value in status.items() if value},
    }


def _metadata(pod: Pod) -> Object:
    found: Object = {
        "name": pod.name,
        "namespace": pod.namespace,
        "uid": pod.uid,
        "creationTimestamp": None if pod.created is None else format_time(pod.created),
        "labels": rank_labels(pod.rank) if pod.rank else {},
        "annotations": dict(pod.annotations),
    }
    if pod.deleting is not None:
        seconds = seconds_of(pod.grace or timedelta())
        found["deletionTimestamp"] = format_time(pod.deleting + timedelta(seconds=seconds))
        found["deletionGracePeriodSeconds"] = seconds
    return {name: value for name, value in found.items() if value or name == "deletionGracePeriodSeconds"}


def seconds_of(span: timedelta) -> int:
    """Kubernetes knows whole seconds; nobody is given less than what was meant."""
    return math.ceil(span.total_seconds())


def rank_labels(rank: RankOf) -> dict[str, str]:
    """What tells a pod as this rank."""
    return {
        RUN_LABEL: rank.run.name,
        UID_LABEL: rank.uid,
        ATTEMPT_LABEL: str(rank.attempt),
        RETRY_LABEL: str(rank.retry),
        RANK_LABEL: str(rank.rank),
        GROUP_LABEL: str(rank.group),
    }

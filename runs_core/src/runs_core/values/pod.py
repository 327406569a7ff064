"""A pod: a rank of ours, or somebody else's that takes room on a node."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import attrs

from runs_core.values.changed import made_of
from runs_core.values.meta import Key, Pairs, key_of
from runs_core.values.template import PodTemplate, Requests


class PodPhase(StrEnum):
    """As Kubernetes says; Unknown counts as still there. ended: nothing of it runs any more, nor will."""

    ended: bool

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"

    def __init__(self, value: str) -> None:
        self.ended = value in ("Succeeded", "Failed")


@attrs.frozen(kw_only=True)
class RankOf:
    """Which rank of which start of which run this pod is. retry counts the gang's restarts within the attempt."""

    run: Key
    uid: str
    attempt: int
    retry: int
    rank: int
    group: int


@attrs.frozen(kw_only=True)
class Claim:
    """A pod that somebody else made for a run of ours, and that nobody has bound yet.

    order: by owner's name, completion index, own name: ranks are given out so. rules: where its own spec lets it run.
    """

    run: Key
    order: tuple[str, int, str]
    rules: PodTemplate


@attrs.frozen(kw_only=True)
class Pod:
    """rank None: not a rank of ours. gpus: of the node's flavor. Times in UTC.

    deleting: when it was asked to go, and grace: how long it then has. own_grace: what it has where nobody says
    otherwise; None: as its cluster has it. started: when its containers came up.
    """

    namespace: str
    name: str
    uid: str = ""
    node: str | None = None
    rank: RankOf | None = None
    claim: Claim | None = None
    gpus: int = 0
    requests: Requests = Requests()
    phase: PodPhase = PodPhase.PENDING
    message: str = ""
    created: datetime | None = None
    started: datetime | None = None
    deleting: datetime | None = None
    grace: timedelta | None = None
    own_grace: timedelta | None = None
    annotations: Pairs = ()
    key: Key = made_of("namespace", "name", by=key_of)


def pod_name(run: str, *, attempt: int, retry: int, rank: int) -> str:
    """One name for each rank of each try, so that making it twice meets the first.

    At most 63 characters, as a hostname.
    """
    tail = f"-{attempt}-{rank}" if not retry else f"-{attempt}r{retry}-{rank}"
    return f"{run[: 63 - len(tail)].rstrip('-.')}{tail}"

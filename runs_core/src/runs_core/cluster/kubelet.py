"""The simulated kubelet of the local cluster and of the trace simulator: it plays pods by their annotations.

Everything it needs stands in the pods themselves, so that it goes on after a restart where it was.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from runs_core.settings import LocalSettings
from runs_core.values.change import PodGone, PodSeen
from runs_core.values.changed import changed, changer
from runs_core.values.meta import SIMULATED, Key, Pairs
from runs_core.values.pod import Pod, PodPhase
from runs_core.values.quantity import parse_duration

NEVER = "Never"
_in_phase, _running = changer(Pod, "phase"), changer(Pod, "phase", "started")
Answers = Callable[[str], bool]
"""Whether the kubelet of that node still answers."""


class Kubelet:
    """One kubelet for all nodes. `seen` and `gone` tell it of pods, `play` lets time pass for them."""

    def __init__(self, settings: LocalSettings, answers: Answers) -> None:
        self._settings = settings
        self._answers = answers
        self._pods: dict[Key, Pod] = {}
        self._moments: list[datetime] = []
        self._due: dict[datetime, set[Key]] = {}
        self._when: dict[Key, datetime] = {}

    def seen(self, pod: Pod) -> None:
        """The pod is now so; what was planned for it before is forgotten."""
        if pod.node is None:
            return
        self._pods[pod.key] = pod
        self._plan(pod)

    def gone(self, key: Key) -> None:
        """The pod's object was taken away."""
        self._pods.pop(key, None)
        self._forget(key)

    def replan(self, node: str) -> None:
        """The node answers again: its pods go on."""
        for key in sorted(self._pods):
            if self._pods[key].node == node:
                self._plan(self._pods[key])

    def next_moment(self) -> datetime | None:
        """When the next pod changes."""
        while self._moments and not self._due[self._moments[0]]:
            del self._due[heapq.heappop(self._moments)]
        return self._moments[0] if self._moments else None

    def play(self, now: datetime) -> list[PodSeen | PodGone]:
        """What happened to pods until now, in order of time, then name."""
        happened: list[PodSeen | PodGone] = []
        while (when := self.next_moment()) is not None and when <= now:
            heapq.heappop(self._moments)
            for key in sorted(self._due.pop(when)):
                del self._when[key]
                pod = self._pods[key]
                if pod.node is not None and self._answers(pod.node):
                    happened.append(self._step(pod, when))
        return happened

    def _step(self, pod: Pod, when: datetime) -> PodSeen | PodGone:
        if pod.deleting is not None:
            self.gone(pod.key)
            return PodGone(pod.key)
        runs = pod.phase is PodPhase.RUNNING
        after = ended(pod) if runs else _running(pod, PodPhase.RUNNING, when)
        self._pods[pod.key] = after
        self._plan(after)
        return PodSeen(after)

    def _plan(self, pod: Pod) -> None:
        key = pod.key
        if key in self._when:
            self._forget(key)
        when = next_change(pod, self._settings)
        if when is None:
            return
        self._when[key] = when
        due = self._due.get(when)
        if due is None:
            due = self._due[when] = set()
            heapq.heappush(self._moments, when)
        due.add(key)

    def _forget(self, key: Key) -> None:
        """What was planned for the pod is not to happen."""
        when = self._when.pop(key, None)
        if when is not None:
            self._due[when].discard(key)


def next_change(pod: Pod, settings: LocalSettings) -> datetime | None:
    """When the pod changes by itself next; None: never."""
    if pod.deleting is not None:
        if pod.phase.ended:
            return pod.deleting
        asked = _wishes(pod.annotations).shutdown
        wanted = settings.pod_stop if asked is None else asked
        return pod.deleting + (wanted if pod.grace is None else min(wanted, pod.grace))
    if pod.phase is PodPhase.PENDING:
        wishes = _wishes(pod.annotations)
        if not wishes.comes_up or pod.created is None:
            return None
        return pod.created + (settings.pod_start if wishes.start is None else wishes.start)
    if pod.phase is PodPhase.RUNNING and pod.started is not None:
        duration = _wishes(pod.annotations).duration
        return None if duration is None else pod.started + duration
    return None


def ended(pod: Pod) -> Pod:
    """How a pod that ran its time ends.

    By `simulated-exit-code`, for all ranks or `simulated-failing-ranks`, for all tries or `simulated-failures` of them.
    """
    code = _wishes(pod.annotations).code
    if code == "0" or not _fails(pod):
        return _in_phase(pod, PodPhase.SUCCEEDED)
    return changed(pod, phase=PodPhase.FAILED, message=f"exit code {code}")


def _fails(pod: Pod) -> bool:
    rank = pod.rank
    if rank is None:
        return True
    ranks, failures = _said(pod, "failing-ranks"), _said(pod, "failures")
    if ranks is not None and str(rank.rank) not in [part.strip() for part in ranks.split(",")]:
        return False
    return failures is None or not failures.isdecimal() or rank.attempt - 1 + rank.retry < int(failures)


class Wishes(NamedTuple):
    """What a pod's annotations ask of the kubelet; None: nothing, or nothing that can be read as a duration.

    code: its exit code, should it be one that fails.
    """

    comes_up: bool
    start: timedelta | None
    duration: timedelta | None
    shutdown: timedelta | None
    code: str


@lru_cache(maxsize=4096)
def _wishes(annotations: Pairs) -> Wishes:
    """Read once for the whole gang: its pods share their annotations."""
    said = dict(annotations)
    start, duration, shutdown = (_span(said.get(SIMULATED + what)) for what in ("start", "duration", "shutdown"))
    some_fail = said.get(SIMULATED + "failing-ranks") or said.get(SIMULATED + "failures")
    code = said.get(SIMULATED + "exit-code") or ("1" if some_fail else "0")
    return Wishes(said.get(SIMULATED + "start") != NEVER, start, duration, shutdown, code)


def _span(text: str | None) -> timedelta | None:
    """`submit` refuses a duration that cannot be read, where it can; here it counts as not said."""
    try:
        return None if text is None else parse_duration(text)
    except ValueError:
        return None


def _said(pod: Pod, what: str) -> str | None:
    name = SIMULATED + what
    return next((value for key, value in pod.annotations if key == name), None)

"""Which of several processes leads: one coordination.k8s.io Lease that its holder renews.

Nobody's wall clock counts. A candidate takes the Lease over once it has not seen it change for as long as the holder
said, by its own steady clock; a holder counts from before it asked for the last renewal that succeeded, and stops
earlier than that. What a leader that was suspended could still write late is the journal's matter: see `journal.py`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from math import ceil
from typing import Protocol

import attrs

from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.cluster.kube.rights import LEADER
from runs_core.errors import Conflict, RunsError, Unavailable
from runs_core.settings import ElectionSettings

MOST_JITTER = 0.2
_NOT_FOUND, _CONFLICT = 404, 409
RELEASED_SECONDS = 1
"""The duration that a released Lease is left with: no candidate waits for a holder that has gone."""


def steady() -> float:
    """Seconds. Also counts while this process, or the whole machine, sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@attrs.frozen(kw_only=True)
class Claim:
    """The Lease as it is stored. holder: empty once released. seconds: what its holder said. version: to write next."""

    holder: str = ""
    seconds: int = 0
    acquired: str = ""
    renewed: str = ""
    transitions: int = 0
    version: str = ""


class Lock(Protocol):
    """Where claims are kept."""

    def read(self) -> Claim | None:
        """None: there is none yet."""
        ...

    def write(self, claim: Claim) -> Claim:
        """As it is stored now. Conflict: it is not of the version that the claim says; nothing was written."""
        ...


class LeaseLock:
    """The Lease object. seconds: how long an answer may take."""

    def __init__(self, api: Api, namespace: str, *, seconds: float) -> None:
        self._api = api
        self._namespace = namespace
        self._seconds = seconds
        self._all = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

    def read(self) -> Claim | None:
        try:
            return _claim(self._api.call("GET", f"{self._all}/{LEADER}", seconds=self._seconds)[1])
        except Refused as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def write(self, claim: Claim) -> Claim:
        body: Object = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": LEADER, "namespace": self._namespace},
            "spec": {
                "holderIdentity": claim.holder,
                "leaseDurationSeconds": claim.seconds,
                "acquireTime": claim.acquired,
                "renewTime": claim.renewed,
                "leaseTransitions": claim.transitions,
            },
        }
        try:
            if not claim.version:
                return _claim(self._api.call("POST", self._all, body, seconds=self._seconds)[1])
            body["metadata"]["resourceVersion"] = claim.version
            return _claim(self._api.call("PUT", f"{self._all}/{LEADER}", body, seconds=self._seconds)[1])
        except Refused as error:
            if error.status == _CONFLICT or (claim.version and error.status == _NOT_FOUND):
                raise Conflict(f"another process wrote the Lease {LEADER}: {error.message}") from error
            raise


def _claim(stored: Object) -> Claim:
    spec = stored.get("spec") or {}
    return Claim(
        holder=spec.get("holderIdentity") or "",
        seconds=spec.get("leaseDurationSeconds") or 0,
        acquired=spec.get("acquireTime") or "",
        renewed=spec.get("renewTime") or "",
        transitions=spec.get("leaseTransitions") or 0,
        version=stored["metadata"]["resourceVersion"],
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Election:
    """One candidate. A thread calls `step` again and again; any thread asks `term` and `holds`.

    identity: no other process has it, nor had. Terms of this process are counted from 1; one that lapsed, if only for a
    moment, never comes back: what was begun in it must not be gone on with. holder: who leads, as last seen.
    """

    def __init__(
        self,
        lock: Lock,
        identity: str,
        times: ElectionSettings,
        *,
        clock: Callable[[], float] = steady,
        stamp: Callable[[], str] = _now,
    ) -> None:
        self.identity = identity
        self.holder = ""
        self.failing: str | None = None
        self._least = 0.0
        self._lock = lock
        self._times = times
        self._clock = clock
        self._stamp = stamp
        self._term = 0
        self._until = float("-inf")
        self._seen: Claim | None = None
        self._since = float("-inf")

    def term(self) -> int | None:
        """The term in which this process leads at this very moment; None: it does not."""
        return self._term if self._clock() < self._until else None

    def holds(self, term: int) -> bool:
        """Whether that term goes on."""
        return self._term == term and self._clock() < self._until

    def step(self) -> None:
        """Look, and acquire or renew if that is due. What fails is in `failing`, and tried again with the next step."""
        before = self._clock()
        try:
            self._least = 0.0
            self._step(before)
            self.failing = None
        except Conflict:
            self._until = float("-inf")  # somebody else wrote: the next step sees who
        except (Refused, Unavailable) as error:
            self.failing = str(error)
            self._least = (error.retry_after or 0.0) if isinstance(error, Refused) else 0.0

    def pause(self) -> float:
        """Seconds to the next step. Candidates spread theirs, so that they do not ask all at once.

        No less than a busy server asks for; who leads still asks once more before its term runs out.
        """
        period = self._times.retry_period.total_seconds()
        if self.term() is None:
            return max(self._least, period * random.uniform(1 - MOST_JITTER, 1 + MOST_JITTER))
        return max(period, min(self._least, self._until - self._clock() - period))

    def release(self) -> None:
        """Lead no more, and let the next candidate begin at once. Where that cannot be written, it waits a little."""
        mine = self._seen
        self._until = float("-inf")
        if mine is None or mine.holder != self.identity:
            return
        try:
            self._seen = self._lock.write(
                attrs.evolve(mine, holder="", seconds=RELEASED_SECONDS, acquired=self._stamp(), renewed=self._stamp())
            )
        except RunsError as error:
            self.failing = str(error)

    def _step(self, before: float) -> None:
        found = self._lock.read()
        if found != self._seen or found is None:
            self._seen, self._since = found, self._clock()
        self.holder = found.holder if found is not None else ""
        if found is not None and found.holder not in ("", self.identity):
            self._until = float("-inf")
            if self._clock() < self._since + found.seconds:
                return
        self._seen = self._lock.write(self._claim(found))
        self.holder = self.identity
        if before >= self._until:
            self._term += 1
        self._until = before + self._times.renew_deadline.total_seconds()

    def _claim(self, found: Claim | None) -> Claim:
        mine = found is not None and found.holder == self.identity
        now = self._stamp()
        changes = 0 if found is None else found.transitions + (0 if mine else 1)
        return Claim(
            holder=self.identity,
            seconds=ceil(self._times.lease_duration.total_seconds()),  # never less than this process renews within
            acquired=found.acquired if mine and found is not None else now,
            renewed=now,
            transitions=changes,
            version=found.version if found is not None else "",
        )


class Campaign:
    """Steps of an election on a thread of its own. told: called whenever this process begins or ceases to lead."""

    def __init__(self, election: Election, told: Callable[[], None]) -> None:
        self._election = election
        self._told = told
        self._stopped = threading.Event()
        self._running = threading.Event()
        self._thread = threading.Thread(target=self._run, name="election", daemon=True)

    def run(self, *, running: bool) -> None:
        """Whether to stand for election. Who pauses while it leads is replaced once its claim has run out."""
        if running:
            self._running.set()
            if not self._thread.is_alive():
                self._thread.start()
        else:
            self._running.clear()

    def stop(self) -> None:
        """For good, and releases what is held."""
        self._stopped.set()
        self._running.set()
        if self._thread.is_alive():
            self._thread.join()
        self._election.release()

    def _run(self) -> None:
        led = None
        while not self._stopped.is_set():
            self._running.wait()
            if self._stopped.is_set():
                return
            try:
                self._election.step()
            except Exception as error:  # noqa: BLE001 - a defect has to show as a term that runs out, not as silence
                self._election.failing = f"{type(error).__name__}: {error}"
            if self._election.term() != led:
                led = self._election.term()
                self._told()
            self._stopped.wait(self._election.pause())

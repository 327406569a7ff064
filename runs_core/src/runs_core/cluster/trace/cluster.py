"""The trace simulator's cluster: in memory, a virtual clock that jumps from one event to the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import assert_never

from runs_core.cluster.kubelet import Kubelet
from runs_core.settings import Settings
from runs_core.values import effect as e
from runs_core.values.change import (
    ChainSeen,
    Change,
    NodeGone,
    NodeSeen,
    NoncesSeen,
    PodGone,
    PodSeen,
    ResolutionGone,
)
from runs_core.values.effect import Effect
from runs_core.values.node import Node
from runs_core.values.nonces import Chain, played
from runs_core.values.record import Record
from runs_core.values.resolution import Resolution

NONCES = played("simulate")
Told = Callable[[Sequence[Record]], None]


class TraceCluster:
    """changes: (moment, change) in order of time, drawn one by one, so that a trace of any length fits.

    told: gets the records of each batch as it is committed.
    """

    plays_pods = True
    outlives = False

    def __init__(
        self, changes: Iterator[tuple[datetime, Change]], settings: Settings, *, begin: datetime, told: Told
    ) -> None:
        self.now = begin
        self._changes = changes
        self._next = next(changes, None)
        self._lost: set[str] = set()
        self._told = told
        self._chain = Chain(commitment=NONCES.commitment(1))
        self._seen: list[Change] = [NoncesSeen(NONCES), ChainSeen(self._chain)]
        self._kept_for = settings.retention.leases
        self._over: deque[tuple[datetime, str]] = deque()
        self.kubelet = Kubelet(settings.local, lambda node: node not in self._lost)
        self._draw()

    def observe(self) -> tuple[datetime, Sequence[Change]]:
        """The present time and what happened up to it."""
        seen, self._seen = self._seen, []
        return self.now, seen

    def commit(self, effects: Sequence[Effect], records: Sequence[Record]) -> None:
        """Pods need a memory here, and when what is over is to go; the world has the rest."""
        for effect in effects:
            match effect:
                case e.Emit() | e.SetRunStatus():
                    pass
                case e.MakePod() | e.BindPod() | e.EndPod():
                    self.kubelet.seen(effect.pod)
                case e.OpenLease() | e.CloseLease() | e.MeterLease():
                    pass
                case e.RemoveRun() | e.SetBudgetStatus():
                    pass
                case e.SelectNode():
                    pass
                case e.PutReservation() | e.SetReservationStatus():
                    pass
                case e.PutResolution(resolution) | e.SetResolutionStatus(resolution):
                    self._keep(resolution)
                case e.RemovePod(key):
                    self.kubelet.gone(key)
                case _:
                    assert_never(effect)
        self._told(records)

    @property
    def expects(self) -> bool:
        """Whether a run is yet to arrive, or a pod to change."""
        return self._next is not None or self.kubelet.next_moment() is not None

    def advance(self, deadline: datetime | None) -> bool:
        """Jump to the next arrival, pod change or deadline. False: nothing will ever happen again."""
        arrival = self._next[0] if self._next else None
        moments = [when for when in (arrival, self.kubelet.next_moment(), deadline) if when is not None]
        if not moments:
            return False
        self.now = max(self.now, min(moments))
        self._draw()
        return True

    def inject(self, change: Change) -> None:
        """Let this happen now, beside what the trace says."""
        self._seen.append(change)
        self._note(change)

    def _keep(self, resolution: Resolution) -> None:
        """Its place in the chain outlives it."""
        if resolution.spec.number > self._chain.number:
            self._chain = Chain(number=resolution.spec.number, commitment=resolution.spec.next_commitment)
        if resolution.status.end is not None:
            self._over.append((resolution.status.end, resolution.name))

    def _forget(self) -> Iterator[Change]:
        """What has been over for long goes, as it does from any other cluster."""
        if self._over and self._over[0][0] + self._kept_for <= self.now:
            yield ChainSeen(self._chain)
        while self._over and self._over[0][0] + self._kept_for <= self.now:
            yield ResolutionGone(self._over.popleft()[1])

    def _draw(self) -> None:
        while self._next is not None and self._next[0] <= self.now:
            change = self._next[1]
            self._seen.append(change)
            self._note(change)
            self._next = next(self._changes, None)
        self._seen += self.kubelet.play(self.now)
        self._seen += self._forget()

    def _note(self, change: Change) -> None:
        if isinstance(change, NodeGone):
            self._lost.add(change.name)
        elif isinstance(change, PodSeen):
            self.kubelet.seen(change.pod)
        elif isinstance(change, PodGone):
            self.kubelet.gone(change.key)
        elif isinstance(change, NodeSeen) and isinstance(change.node, Node):
            was_lost = change.node.name in self._lost
            self._lost.discard(change.node.name)
            if change.node.lost:
                self._lost.add(change.node.name)
            elif was_lost:
                self.kubelet.replan(change.node.name)

"""Pods by run, and how many ranks of each try are in which phase, kept by differences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from runs_core.values.meta import Key
from runs_core.values.pod import Pod, PodPhase, RankOf

RUNNING, SUCCEEDED, FAILED = PodPhase.RUNNING, PodPhase.SUCCEEDED, PodPhase.FAILED
"""Named here because every pod is counted several times, and an enumeration is slow to look its members up."""

Try = tuple[str, int, int]
"""Run uid, attempt, retry."""
NOTHING: dict[int, PodPhase] = {}
"""Never written to."""


class Tally:
    """Ranks of one try by phase. A pod that is asked to go still counts where it is.

    due: when those that have ended before others are to be written down; None: that is not known yet. gone: how ranks
    had ended whose pods were then asked to go, or removed while others' are there: whoever begins later cannot know it.
    """

    __slots__ = ("due", "failed", "gone", "pending", "running", "succeeded")

    def __init__(self) -> None:
        self.due: datetime | None = None
        self.gone = NOTHING
        self.pending = self.running = self.succeeded = self.failed = 0

    @property
    def ended(self) -> int:
        return self.succeeded + self.failed

    @property
    def seen(self) -> int:
        return self.pending + self.running + self.succeeded + self.failed

    def add(self, phase: PodPhase, sign: int) -> None:
        if phase is RUNNING:
            self.running += sign
        elif phase is SUCCEEDED:
            self.succeeded += sign
        elif phase is FAILED:
            self.failed += sign
        else:
            self.pending += sign


NOBODY = Tally()


class Gangs:
    """pods: every known pod. Ours are found by run; `live` counts those of a run that have not ended.

    claims: by run, pods that somebody else made for it and that have no node yet.
    """

    def __init__(self) -> None:
        self.pods: dict[Key, Pod] = {}
        self.by_run: dict[Key, dict[Key, Pod]] = {}
        self.live: dict[Key, int] = {}
        self.claims: dict[Key, dict[Key, Pod]] = {}
        self.tallies: dict[Try, Tally] = {}

    def of(self, run: Key) -> Sequence[Pod]:
        """The run's pods of every try, by name."""
        found = self.by_run.get(run)
        if not found:
            return ()
        return list(found.values()) if len(found) == 1 else [found[key] for key in sorted(found)]

    def claiming(self, run: Key) -> Sequence[Pod]:
        """Somebody else's pods that wait to be ranks of this run, in the order of their ranks."""
        found = self.claims.get(run)
        return sorted(found.values(), key=lambda pod: pod.claim.order if pod.claim else ()) if found else ()

    def tally(self, uid: str, attempt: int, retry: int) -> Tally:
        """Read-only."""
        return self.tallies.get((uid, attempt, retry), NOBODY)

    def replace(self, key: Key, old: Pod | None, new: Pod | None) -> None:
        """The pod is now `new`, None: it is gone. old: as it was until now; None: it was not there."""
        if new is not None:
            self.pods[key] = new
        else:
            del self.pods[key]
        if old is not None and old.claim is not None:
            self._claim(old.claim.run, key, None)
        if new is not None and new.claim is not None:
            self._claim(new.claim.run, key, new)
        rank = new.rank if new is not None else None
        if old is not None and new is not None and rank is not None and (old.rank is rank or old.rank == rank):
            self._recount(old, new, rank)
            return
        if old is not None and old.rank is not None:
            self._count(old, old.rank, -1)
            if new is None and old.phase.ended and old.deleting is None:
                self._remember(old.rank, old.phase)
        if new is not None and rank is not None:
            self._count(new, rank, 1)

    def _claim(self, run: Key, key: Key, pod: Pod | None) -> None:
        of_run = self.claims.setdefault(run, {})
        of_run.pop(key, None)
        if pod is not None:
            of_run[key] = pod
        if not of_run:
            del self.claims[run]

    def _recount(self, old: Pod, new: Pod, rank: RankOf) -> None:
        """The same rank of the same try: only its phase can have changed what is counted."""
        self.by_run[rank.run][new.key] = new
        if old.phase is new.phase:
            if new.deleting is not None and old.deleting is None and new.phase.ended:
                self._remember(rank, new.phase)
            return
        if old.phase.ended is not new.phase.ended:
            self._live(rank.run, -1 if new.phase.ended else 1)
        tally = self.tallies[rank.uid, rank.attempt, rank.retry]
        tally.add(old.phase, -1)
        tally.add(new.phase, 1)

    def _remember(self, rank: RankOf, phase: PodPhase) -> None:
        tally = self.tallies.get((rank.uid, rank.attempt, rank.retry))
        if tally is None:
            return
        if tally.gone is NOTHING:
            tally.gone = {}
        tally.gone[rank.rank] = phase

    def _live(self, run: Key, sign: int) -> None:
        live = self.live
        count = live.get(run, 0) + sign
        if count:
            live[run] = count
        else:
            del live[run]

    def _count(self, pod: Pod, rank: RankOf, sign: int) -> None:
        of_run = self.by_run.setdefault(rank.run, {})
        if sign > 0:
            of_run[pod.key] = pod
        else:
            del of_run[pod.key]
            if not of_run:
                del self.by_run[rank.run]
        if not pod.phase.ended:
            self._live(rank.run, sign)
        this = (rank.uid, rank.attempt, rank.retry)
        tally = self.tallies.get(this)
        if tally is None:
            tally = self.tallies[this] = Tally()
        tally.add(pod.phase, sign)
        if not tally.seen:
            del self.tallies[this]

"""How many GPUs each team has running, kept in step with the world."""

from __future__ import annotations

from collections.abc import Iterable

from runs_core import Change, Key, Lease, LeaseGone, LeaseSeen, Phase, Run, RunGone, RunSeen

from runs_houserules.rules import team_of


class TeamUsage:
    """Leases count for the team that their run is labelled with, also if one is seen before the other."""

    def __init__(self) -> None:
        self._teams: dict[Key, str] = {}
        self._waiting: dict[str, set[Key]] = {}
        self._leases: dict[Key, tuple[Key, int]] = {}
        self._gpus: dict[Key, int] = {}
        self._used: dict[str, int] = {}

    def used(self, team: str | None) -> int:
        """GPUs of the team's open leases."""
        return self._used.get(team, 0) if team is not None else 0

    def apply(self, change: Change) -> Iterable[Key]:
        """O(what changed), and the waiting runs of a team whose usage changed."""
        match change:
            case RunSeen(run):
                return self._put_run(run.key, run)
            case RunGone(key):
                return self._put_run(key, None)
            case LeaseSeen(lease):
                return self._put_lease(lease.key, None if lease.status.closed else lease)
            case LeaseGone(key):
                return self._put_lease(key, None)
            case _:
                return ()

    def _put_run(self, key: Key, run: Run | None) -> Iterable[Key]:
        old = self._teams.pop(key, None)
        if old is not None:
            self._wait(old, key, waits=False)
            self._add(old, -self._gpus.get(key, 0))
        new = team_of(run) if run is not None else None
        if run is None or new is None:
            return self._woken(old)
        self._teams[key] = new
        self._wait(new, key, waits=run.status.phase in (Phase.HELD, Phase.QUEUED))
        self._add(new, self._gpus.get(key, 0))
        return {*self._woken(old), *self._woken(new)} if old != new else ()

    def _put_lease(self, key: Key, lease: Lease | None) -> Iterable[Key]:
        run, gpus = self._leases.pop(key, (None, 0))
        if run is not None:
            self._count(run, -gpus)
        if lease is not None:
            run = lease.run
            self._leases[key] = (run, lease.gpus)
            self._count(run, lease.gpus)
        return self._woken(self._teams.get(run)) if run is not None else ()

    def _count(self, run: Key, gpus: int) -> None:
        left = self._gpus.pop(run, 0) + gpus
        if left:
            self._gpus[run] = left
        if (team := self._teams.get(run)) is not None:
            self._add(team, gpus)

    def _add(self, team: str, gpus: int) -> None:
        left = self._used.pop(team, 0) + gpus
        if left:
            self._used[team] = left

    def _wait(self, team: str, key: Key, *, waits: bool) -> None:
        waiting = self._waiting.pop(team, set())
        waiting.discard(key)
        if waits:
            waiting.add(key)
        if waiting:
            self._waiting[team] = waiting

    def _woken(self, team: str | None) -> Iterable[Key]:
        return tuple(sorted(self._waiting.get(team, ()))) if team is not None else ()

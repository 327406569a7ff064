"""Forks schedulers: each is `runs serve` in a process of its own that can be killed, stopped and woken.

Reads one JSON line for each on its standard input, answers its process id. They end with it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import runs_cli.actions.serve
import runs_cli.serving  # noqa: F401  # before anything is forked, so that a child need not
import runs_core.serve.process  # noqa: F401  # likewise
from runs_cli.main import root
from runs_core.cluster.kube import evidence, mirror, sweep, takeover
from runs_core.cluster.kube.api import Api, Object, Refused
from runs_core.cluster.kube.binding import Binding
from runs_core.cluster.kube.cluster import KubeCluster, wall_clock
from runs_core.cluster.kube.gates import Places
from runs_core.cluster.kube.incoming import Incoming
from runs_core.cluster.kube.mirror import Mirror
from runs_core.cluster.seen import Name, Value, as_change
from runs_core.values.change import Change
from runs_core.values.lease import Lease
from runs_core.values.reservation import Reservation


def serve(words: Sequence[str], skew: float, variant: str, pace: tuple[str, float] | None = None) -> None:
    """Never returns. skew: seconds that its clock is ahead of everybody's. variant: a defect to be built in.

    pace: since when its clock runs so many times as fast as everybody's.
    """
    since, rate = (datetime.fromisoformat(pace[0]), pace[1]) if pace is not None else (wall_clock(), 1.0)

    def clock() -> datetime:
        now = wall_clock()
        return now + timedelta(seconds=skew) + (now - since) * (rate - 1)

    defaults = KubeCluster.__init__.__kwdefaults__
    assert defaults is not None
    defaults["clock"] = clock
    wait = KubeCluster.wait
    KubeCluster.wait = lambda self, seconds: wait(self, seconds / rate)  # type: ignore[method-assign]  # by its clock
    defects[variant]()
    root.main(list(words))


def sound() -> None:
    """Nothing is broken."""


def journal_unread() -> None:
    """Whoever takes over does not finish what the journal says was begun."""
    takeover.adopt = lambda *_: None  # the defect to be found


def places_unguarded() -> None:
    """A start does not wait for the closures of the leases whose places it takes."""
    Places.gates = lambda *_: []  # type: ignore[method-assign]  # the defect to be found


def events_unsorted() -> None:
    """What is told last counts, however old it is."""
    Mirror.passed = lambda *_: False  # type: ignore[method-assign]  # the defect to be found


def statuses_unguarded() -> None:
    """A status is written whatever was written since it was decided on."""
    swap = Api.swap

    def over_anything(api: Api, path: str, body: Object, **more: float) -> tuple[int, Object]:
        if not path.endswith("/status"):
            return swap(api, path, body, **more)
        while True:
            now = api.call("GET", path.removesuffix("/status"))[1]["metadata"]["resourceVersion"]
            try:
                return swap(api, path, {**body, "metadata": {**body["metadata"], "resourceVersion": now}}, **more)
            except Refused as error:
                if error.reason != "Conflict":
                    raise

    Api.swap = over_anything  # type: ignore[method-assign,assignment]  # the defect to be found


def late_resolutions_followed() -> None:
    """A resolution counts, whoever kept it."""
    Incoming._judged = lambda self, name, version, value: value  # type: ignore[method-assign]  # the defect to be found


def promises_forgotten() -> None:
    """Whoever takes over sees no promise that stands."""
    told = as_change

    def blind(name: Name, value: Value | None) -> Change | None:
        return None if isinstance(value, Reservation) else told(name, value)

    mirror.as_change = blind  # type: ignore[attr-defined]  # the defect to be found


def sweeps_what_is_open() -> None:
    """A lease goes when it was opened long enough ago."""
    ended = sweep.ended
    sweep.ended = lambda value: value.spec.start if isinstance(value, Lease) else ended(value)  # the defect to be found


def sweeps_the_last() -> None:
    """The resolution that the next one is held against goes as well."""
    due = sweep.Sweeper._due
    sweep.Sweeper._due = lambda self, before, last: due(self, before, last + 1)  # type: ignore[method-assign]  # likewise


def evidence_in_parts() -> None:
    """No defect: of a few bytes of evidence there are several ConfigMaps."""
    evidence.MOST_INLINE = 900  # type: ignore[attr-defined]  # it is a constant of another module
    evidence.PART_CHARACTERS = 300


def evidence_forgotten() -> None:
    """The journal does not say what evidence was made."""
    evidence_in_parts()
    Binding._evidence = lambda *_: {}  # type: ignore[method-assign]  # the defect to be found


defects = {
    "": sound,
    "evidence in parts": evidence_in_parts,
    "evidence forgotten": evidence_forgotten,
    "journal unread": journal_unread,
    "places unguarded": places_unguarded,
    "events unsorted": events_unsorted,
    "statuses unguarded": statuses_unguarded,
    "late resolutions followed": late_resolutions_followed,
    "promises forgotten": promises_forgotten,
    "sweeps what is open": sweeps_what_is_open,
    "sweeps the last": sweeps_the_last,
}


def born(order: dict[str, Any]) -> int:
    """In the child: its end is the process's end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        serve(**order)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001  # whatever it is, it must not come out of the fork
        traceback.print_exc()
    return 1


def _answer(what: int | None) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Until the standard input ends."""
    alive: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "ended" in order:
            pid, status = os.waitpid(order["ended"], os.WNOHANG)
            alive.discard(pid)
            _answer(os.waitstatus_to_exitcode(status) if pid else None)
            continue
        pid = os.fork()
        if not pid:
            os.close(0)
            os._exit(born(order))
        alive.add(pid)
        _answer(pid)
    for pid in sorted(alive):
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()

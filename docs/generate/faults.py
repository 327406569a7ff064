"""docs/reference/faults.md: faults that were really made, from what the tests measured."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
from docs.generate.text import head, table

MEASURED = Path(__file__).resolve().parents[1] / "measured" / "faults.json"
ORIGIN = "`docs/measured/faults.json`, which `tox run -e faults` writes, and docs/generate/faults.py"
WORDS = """
Each row was made on a real API server (four nodes of four GPUs, played by kwok), with `runs serve` as a process of its
own under exactly the rights that `runs manifests rbac` prints, and a proxy between the two. While the harm is done,
gangs start, run, end, wait for each other's places and are canceled. Afterwards these are looked for, and the test
fails where one is found:

- a **broken invariant**, in a world that is built from nothing but what the API server then has;
- a **double start**: a place with two open leases, or a run with leases of two attempts;
- a **lost lease**: one that changed once it was closed, or went while it was open;
- an **unheld pod**: a live one of ours without an open lease of its rank, unless its node is gone or it was told to go
  (those are counted as **late**: the API server creates a pod that a former leader asked for long ago, which nothing
  can prevent; the run's status says that its attempt is over, and so the present leader tells it to go at once);
- a run that should have ended and has not.

Double starts, lost leases and unheld pods are looked for at every moment since the scenario began: the tests read each
version of each lease and pod from etcd, in the order in which they were written. That the checks can fail is tested
too: schedulers with a defect built in, such as one whose starts do not wait for the places they take, are found out.

**Settled** says how many seconds it took from the end of the harm (where it lasts all the time: from its beginning)
until every run stood where it should and every invariant held, the longest of all times. What the runs themselves take
is in it, a second or more. Here, whoever stands by takes over after 2 s without a sign of the leader; as shipped it is
15 s (`election.leaseDuration`), as it is here where the API server or etcd goes away, and where answers are spoiled.
"""
TITLES = (
    "fault",
    "how it was made",
    "times",
    "settled, s",
    "leases",
    "pods",
    "broken invariants",
    "double starts",
    "lost leases",
    "unheld pods",
    "late pods",
)


@attrs.frozen(kw_only=True)
class Row:
    """One fault, as the tests write it. seconds: until all was well, the longest of all times it was made.

    They count from when it was over. broken: invariants. double, lost, unheld, late: as in `Breaches` of the tests.
    leases, pods: that there were. restarts: of schedulers that gave up.
    """

    fault: str
    how: str
    times: int
    seconds: float
    broken: int
    double: int
    lost: int
    unheld: int
    late: int
    leases: int
    pods: int
    restarts: int


def page() -> str:
    """The whole page."""
    rows = [Row(**row) for row in json.loads(MEASURED.read_text(encoding="utf-8"))]
    return head("Faults", ORIGIN, WORDS) + "\n" + table(TITLES, map(_cells, rows))


def _cells(row: Row) -> list[str]:
    counts = (row.leases, row.pods, row.broken, row.double, row.lost, row.unheld, row.late)
    return [row.fault, row.how, str(row.times), f"{row.seconds:.1f}", *map(str, counts)]

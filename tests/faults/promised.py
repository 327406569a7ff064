"""One life with all that promises go through: made, moved, given up by whoever waits, and kept by cutting somebody.

Clocks run sixty times as fast: promises are worked out anew every whole minute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import attrs
from tests.faults.plane import Object
from tests.faults.proxy import Request
from tests.faults.records import RECORDS, promises, records
from tests.faults.stage import SOON, Stage

RATE = 60.0
GRACE_SECONDS = 1
"""Of real time, that the pods of whoever is cut need to go."""
ENDS = {"long": "Failed", "wide": "Succeeded", "yields": "Failed", "pusher": "Succeeded", "guest": "Failed"}
APART, LAST = 4, "node-00003"
"""Who wants so many GPUs has that node, and nobody else does: so it does not matter who is seen first."""
BUDGETS = "/apis/runs.dev/v1alpha1/budgets"
SHUTDOWN = "kwok.test/shutdown"


def hasten(stage: Stage) -> None:
    """For whoever is started from now on."""
    stage.settings = {"election": SOON, "reclaim": {"minRuntime": "60s"}}
    stage.pace = (datetime.now(UTC).isoformat(), RATE)


def quotas(stage: Stage) -> Callable[[], None]:
    """`org` may hold more than there is, `guest` nothing. Returns what takes them away again."""
    names = [f"{stage.namespace}-{owner}" for owner in ("org", "guest")]
    envelope = {"name": "main", "flavor": "H100-80GB", "gpus": 64}
    for name, envelopes in zip(names, ([envelope], []), strict=True):
        spec: Object = {"owner": name, "namespaces": {"names": [stage.namespace]}}
        spec |= {"envelopes": envelopes} if envelopes else {}
        body = {"apiVersion": "runs.dev/v1alpha1", "kind": "Budget", "metadata": {"name": name}, "spec": spec}
        stage.plane.admin.call("POST", BUDGETS, body)

    def gone() -> None:
        for name in names:
            stage.plane.admin.call("DELETE", f"{BUDGETS}/{name}")

    return gone


@attrs.define
class Life:
    """One play. number: part of the names of its runs. `go_on` does whatever it is time for."""

    stage: Stage
    number: int
    done: int = 0

    def name(self, what: str) -> str:
        return f"{what}-{self.number}"

    def submit(self, what: str, gpus: int, seconds: float | None, owner: str, **spec: object) -> None:
        body = self.stage.body(self.name(what), gpus, seconds, owner=f"{self.stage.namespace}-{owner}", **spec)
        template = body["spec"]["template"]
        template["metadata"]["annotations"][SHUTDOWN] = f"{GRACE_SECONDS}s"
        here = {"key": "kubernetes.io/hostname", "operator": "In" if gpus == APART else "NotIn", "values": [LAST]}
        wanted = {"nodeSelectorTerms": [{"matchExpressions": [here]}]}
        template["spec"]["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": wanted}}
        self.stage.plane.admin.call("POST", self.stage.path, body)

    def begin(self) -> None:
        """16 GPUs: 12 are paid for and said to be needed for three hours; nobody pays for a guest's 4."""
        self.submit("long", 12, None, "org", runtime={"expectedDuration": "3h"})
        self.submit("guest", 4, None, "guest", runtime={"minRuntime": "12m", "checkpointGrace": "30s"})

    def press(self) -> None:
        """The first of two that wait for those 12."""
        self.submit("wide", 12, 0.5, "org", runtime={"expectedDuration": "10m"})

    def crowd(self) -> None:
        """The second of them, and one that waits for the guest, who may not be cut yet.

        Of several that come at once a dead scheduler may have admitted the last only: it would be the first in line.
        """
        self.submit("yields", 12, 0.5, "org")
        self.submit("pusher", 4, 0.5, "org")

    def steps(self) -> Sequence[tuple[Callable[[], bool], Callable[[], None]]]:
        """When what is done, one after the other."""
        edit = self.stage.edit
        return (
            (lambda: self.phases("long", "guest") == ["Running", "Running"], self.press),
            (lambda: self.is_admitted("wide"), self.crowd),
            (
                lambda: self.counts("wide", "yields", "pusher") == [1, 1, 1],
                lambda: edit(self.name("long"), runtime={"expectedDuration": "2h"}),
            ),
            (lambda: self.counts("wide", "yields") == [2, 2], lambda: edit(self.name("yields"), canceled=True)),
            (
                lambda: self.phases("yields", "pusher", "guest") == ["Failed", "Succeeded", "Running"],
                lambda: edit(self.name("long"), canceled=True),
            ),
            (lambda: self.phases("wide") == ["Succeeded"], lambda: edit(self.name("guest"), canceled=True)),
        )

    def go_on(self) -> None:
        steps = self.steps()
        if self.done < len(steps) and steps[self.done][0]():
            steps[self.done][1]()
            self.done += 1

    def over(self) -> bool:
        return self.done == len(self.steps()) and self.phases(*ENDS) == list(ENDS.values()) and not self.standing()

    def doubled(self) -> bool:
        """Whether two promises stand for one run."""
        return len(self.standing()) > len({one["spec"]["runRef"]["name"] for one in self.reservations()})

    # -- what is to be seen -------------------------------------------------------------------------------------------

    def phases(self, *names: str) -> list[str]:
        return [self.stage.phase(self.name(name)) for name in names]

    def is_admitted(self, what: str) -> bool:
        return "admittedAt" in self.stage.runs().get(self.name(what), {}).get("status", {})

    def reservations(self, what: str = "") -> list[Object]:
        mine = (one for one in self.stage.items("Reservation") if one["metadata"]["namespace"] == self.stage.namespace)
        ours = [one for one in mine if one["spec"]["runRef"]["name"].endswith(f"-{self.number}")]
        return [one for one in ours if not what or one["spec"]["runRef"]["name"] == self.name(what)]

    def standing(self) -> list[str]:
        over = ("Released", "Canceled")
        return [
            one["metadata"]["name"] for one in self.reservations() if one.get("status", {}).get("phase") not in over
        ]

    def counts(self, *names: str) -> list[int]:
        """Of the promises made to each, whichever of its reservations has them."""
        return [sum(len(promises(one)) for one in self.reservations(what)) for what in names]


Wanted = Callable[[Request], bool]


def nth(write: int) -> Wanted:
    """The n-th write from when it is first asked."""
    first: list[int] = []

    def wanted(request: Request) -> bool:
        if request.number:
            first[:] = first or [request.number]
        return bool(request.number) and request.number - first[0] + 1 >= write

    return wanted


def nth_of(verb: str, plural: str, write: int = 1) -> Wanted:
    """The n-th such write."""
    seen = Counter[str]()

    def wanted(request: Request) -> bool:
        seen[plural] += (request.verb, request.plural) == (verb, plural)
        return (request.verb, request.plural) == (verb, plural) and seen[plural] == write

    return wanted


def play(
    stage: Stage, number: int, wanted: Wanted | None, *, landed: bool = False, variant: str = ""
) -> tuple[float, str]:
    """A whole life, whose records are then as they should be. wanted: the write before which its scheduler dies.

    landed: it arrives all the same. (seconds from the beginning until all is over, that write); no write: it had none.
    """
    victim = stage.scheduler(f"first-{number}", variant=variant)
    stage.reach_leader(f"first-{number}")
    found = stage.kill_at(wanted, victim, landed=landed) if wanted is not None else []
    life = Life(stage, number)
    life.begin()

    def on_stage() -> bool:
        if found and stage.schedulers[-1] is victim:
            victim.kill()
            stage.proxy.before_write = None
            stage.scheduler(f"then-{number}", variant=variant)
        life.go_on()
        return life.over()

    seconds = stage.await_(on_stage, "the life is not over", 60)
    stage.settle({life.name(what): phase for what, phase in ENDS.items()}, 20)
    stage.proxy.before_write = None
    stage.schedulers[-1].stop()
    killed = f"{found[0].verb} {found[0].plural}" if found else ""
    told = records(stage, ENDS, number)
    wrong = {what: told[what] for what in RECORDS if told[what] != RECORDS[what]}
    assert not wrong, f"killed before {killed}, landed {landed}: {wrong}"
    return seconds, killed

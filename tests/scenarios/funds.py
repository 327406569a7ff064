"""The words of scenarios in which somebody pays."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from tests.scenarios import manifests
from tests.scenarios.manifests import NAMESPACE
from tests.scenarios.play import Play
from tests.scenarios.stage import Object

from runs_core.schema.requests import RESOLVE, annotation_of
from runs_core.values.quantity import format_time
from runs_core.values.request import Request

FLAVOR = "default"


class Taking(NamedTuple):
    """One resolution. beneficiary: empty, where an administrator asked. cuts: runs, by name. why: for what reason."""

    beneficiary: str
    cuts: list[str]
    gpus: int
    phase: str
    why: str


class FundedPlay(Play):
    """Classes are told as what there is of each: {"owned": 4, "unfunded": 2}. Envelopes are named budget/envelope."""

    # -- what happens -----------------------------------------------------------------------------------------------

    def quota(
        self,
        owner: str,
        *envelopes: Object,
        parents: Sequence[str] = (),
        caps: Sequence[Object] = (),
        namespaces: Sequence[str] = (NAMESPACE,),
    ) -> None:
        """The owner's Budget, under its name, is so from now on."""
        spec = {"parents": list(parents), "envelopes": list(envelopes), "aggregateCaps": list(caps)}
        body = manifests.budget(owner, {"names": list(namespaces)})
        body["spec"].update({field: value for field, value in spec.items() if value})
        self._apply(body)

    def take_back(
        self, gpus: int, *, node: str = "a1", domain: str = "a", uid: str = "by-hand-1", cordoned: bool = True
    ) -> None:
        """An administrator asks, on this node, for GPUs of this domain to come free."""
        where = f"default/default/{domain}"
        wish = Request(uid=uid, flavor=FLAVOR, gpus=gpus, domain=where, at=self.stage.now)
        body = copy.deepcopy(self._declared["Node", node])
        body["metadata"]["annotations"] = {RESOLVE: annotation_of(wish)}
        body["spec"]["unschedulable"] = cordoned
        self.stage.apply(body)

    def stages(self) -> list[dict[str, str]]:
        """By which stage each run was cut, of every resolution."""
        found = sorted(self.stage.objects("Resolution"), key=lambda one: one["spec"]["number"])
        return [{cut["name"]: cut["stage"] for cut in one["spec"]["cuts"]} for one in found]

    def window(self, opens: float | None = None, closes: float | None = None) -> Object:
        """Seconds since the beginning."""
        sides = {"start": opens, "end": closes}
        return {side: self.text(second) for side, second in sides.items() if second is not None}

    def text(self, second: float) -> str:
        """That second, as manifests and messages have it."""
        return format_time(self.begin + timedelta(seconds=second))

    # -- what is to be seen -------------------------------------------------------------------------------------------

    def classes(self, name: str) -> dict[str, int]:
        """The run's GPUs."""
        return _some(self.status(name).get("funding", {}))

    def payers(self, name: str) -> dict[str, int]:
        """GPUs of the run's open leases that somebody pays for, by envelope."""
        found: dict[str, int] = {}
        for lease in self._leases(name):
            payer = lease["spec"].get("payer")
            if payer is not None and not lease["status"]["closed"]:
                envelope = f"{payer['budget']}/{payer['envelope']}"
                found[envelope] = found.get(envelope, 0) + sum(map(len, lease["spec"]["slots"].values()))
        return found

    def paid_by(self, name: str) -> dict[str, int]:
        """GPUs that are paid for now, by envelope, as the run's status has it."""
        return {f"{one['budget']}/{one['envelope']}": one["gpus"] for one in self.status(name).get("payers", ())}

    def metered(self, name: str) -> list[dict[str, int]]:
        """GPU-seconds of each lease of the run that is closed."""
        return [_some(lease["status"]["gpuSeconds"]) for lease in self._leases(name) if lease["status"]["closed"]]

    def used(self, budget: str, envelope: str = "main") -> dict[str, int]:
        """GPU-seconds of the envelope, as its Budget says: it may be 10 s late."""
        return _some(self._envelope(budget, envelope)["gpuSeconds"])

    def headroom(self, budget: str, envelope: str = "main") -> int:
        """Likewise, GPUs."""
        return int(self._envelope(budget, envelope).get("headroom", 0))

    def ready(self, budget: str) -> tuple[str, str]:
        """Status and reason of the condition Ready."""
        return self.condition(budget, "Ready")

    def condition(self, budget: str, kind: str) -> tuple[str, str]:
        """Status and reason."""
        (found,) = [one for one in self._budget(budget)["status"]["conditions"] if one["type"] == kind]
        return found["status"], found["reason"]

    def told(self, budget: str, kind: str) -> str:
        """What a condition says."""
        (found,) = [one for one in self._budget(budget)["status"]["conditions"] if one["type"] == kind]
        return str(found["message"])

    def takings(self) -> list[Taking]:
        """Every resolution, as they were decided."""
        found = sorted(self.stage.objects("Resolution"), key=lambda one: one["spec"]["number"])
        return [
            Taking(
                one["spec"].get("beneficiary", {}).get("name", ""),
                sorted(cut["name"] for cut in one["spec"]["cuts"]),
                one["spec"]["cutGPUs"],
                one["status"]["phase"],
                one["status"]["reason"],
            )
            for one in found
        ]

    def _budget(self, name: str) -> Object:
        (found,) = [one for one in self.stage.objects("Budget") if one["metadata"]["name"] == name]
        return found

    def _envelope(self, budget: str, envelope: str) -> Object:
        (found,) = [one for one in self._budget(budget)["status"]["envelopes"] if one["name"] == envelope]
        return dict(found)


def envelope(gpus: int, name: str = "main", **more: object) -> Object:
    """Of the one flavor that there is. more: other fields of it."""
    return {"name": name, "flavor": FLAVOR, "gpus": gpus, **more}


def cap(name: str, gpus: int, *envelopes: str) -> Object:
    """One bound on these."""
    return {"name": name, "flavor": FLAVOR, "envelopes": list(envelopes), "gpus": gpus}


def _some(split: Object) -> dict[str, int]:
    return {cls: amount for cls, amount in split.items() if amount}

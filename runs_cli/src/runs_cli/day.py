"""The demo's day: a fleet, a family of owners, and what their people submit, break and cancel. The same every time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from runs_core.schema.convert import Object
from runs_core.schema.names import API_VERSION
from runs_core.values.meta import SIMULATED
from runs_core.values.node import Domain, Node

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
LENGTH = timedelta(hours=24)
LOST_NODE = "h100-007"
WIDTHS = (1, 2, 4, 8, 8, 16, 16, 32, 64)
ARRIVALS = 330
SEED = 7
TEAMS = ("language", "vision", "robotics")
QUOTAS = {"language": (160, 32, 4), "vision": (96, 32, 8), "lab": (96, 32, 16)}
"""GPUs of H100, of A100 and of L40S."""
LENT = 8
"""GPUs of L40S that vision lends to robotics, at most."""


class Submit(NamedTuple):
    """Somebody submits a run."""

    at: timedelta
    body: Object


class Cancel(NamedTuple):
    """Somebody cancels one."""

    at: timedelta
    namespace: str
    name: str


class Lose(NamedTuple):
    """A node breaks."""

    at: timedelta
    node: str


class Restore(NamedTuple):
    """It is mended."""

    at: timedelta
    node: str


Happening = Submit | Cancel | Lose | Restore


def nodes() -> list[Node]:
    """48 nodes with H100 in three domains; in a fourth 13 with A100, and 3 with L40S; eight GPUs each."""
    return [
        *(_node(f"h100-{index:03}", "H100-80GB", f"fabric-{index // 16}") for index in range(48)),
        *(_node(f"a100-{index:03}", "A100-80GB", "fabric-3") for index in range(13)),
        *(_node(f"l40s-{index:03}", "L40S-48GB", "fabric-3") for index in range(3)),
    ]


def _node(name: str, flavor: str, domain: str) -> Node:
    place = Domain(region="eu-north", cluster="hall-1", name=domain)
    return Node(name=name, flavor=flavor, domain=place, gpus=8, cpu_milli=128_000, memory_bytes=2 << 40, pods=110)


def owners(*, quotas: bool = False) -> list[Object]:
    """Three namespaces, two of which spend for somebody. quotas: a family with envelopes, and one that has none."""
    spaces = [*TEAMS, "lab"] if quotas else TEAMS
    budgets = _family() if quotas else [_budget(team) for team in TEAMS[:2]]
    return [*({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in spaces), *budgets]


def _budget(team: str, **spec: object) -> Object:
    whole = {"owner": f"org:{team}", "namespaces": {"names": [team]}, **spec}
    return {"apiVersion": API_VERSION, "kind": "Budget", "metadata": {"name": team}, "spec": whole}


def _family() -> list[Object]:
    """Two children of one lab, whose envelopes they may use. robotics has none: it uses what is idle, and borrows."""
    children = [_budget(team, parents=["org:lab"], envelopes=_envelopes(*QUOTAS[team])) for team in TEAMS[:2]]
    children[1]["spec"]["envelopes"][-1]["lending"] = {"to": ["org:robotics"], "maxGPUs": LENT}
    return [*children, _budget("lab", envelopes=_envelopes(*QUOTAS["lab"])), _budget("robotics")]


def _envelopes(h100: int, a100: int, l40s: int) -> list[Object]:
    flavors = {"h100": ("H100-80GB", h100), "a100": ("A100-80GB", a100), "l40s": ("L40S-48GB", l40s)}
    return [{"name": name, "flavor": flavor, "gpus": gpus} for name, (flavor, gpus) in flavors.items() if gpus]


def happenings(*, quotas: bool = False, loans: bool = False) -> list[Happening]:
    """In order of time. quotas: the lab recalls its own. loans: robotics borrows."""
    told: list[Happening] = [*_special(), *_everyday()]
    borrows: dict[str, Any] = {"funding": {"allowBorrow": True, "sponsors": ["org:vision"]}} if loans else {}
    told.append(Submit(_at(0, 20), run("robotics", "arm", LENT, "30h", flavor="L40S-48GB", per_pod=4, **borrows)))
    if quotas:
        told.append(Submit(_at(22, 0), run("lab", "baseline", 8, "8h", flavor="L40S-48GB", per_pod=4)))
    return sorted(told, key=lambda happening: happening.at)


def _special() -> Iterator[Happening]:
    """One of each kind that there is."""
    yield Submit(_at(0, 5), run("language", "pretrain", 128, "9h", group=32))
    yield Submit(_at(0, 15), run("language", "tokenize", 8, "1h"))
    yield Submit(_at(0, 16), run("language", "finetune", 64, "3h", after=["tokenize"]))
    yield Submit(_at(0, 17), run("language", "evaluate", 8, "1h", after=["finetune"]))
    retry = {"policy": "Retry", "limit": 3, "backoff": "30s"}
    yield Submit(_at(0, 30), run("vision", "flaky", 16, "40m", said={"failures": "2"}, onPodFailure=retry))
    yield Submit(_at(0, 30), run("language", "warmup", 16, "1h", flavor="L40S-48GB", per_pod=4, lasts="3598s"))
    yield Submit(_at(0, 40), run("vision", "preview", 4, "30m", flavor="L40S-48GB", per_pod=4))
    yield Submit(_at(0, 45), run("robotics", "stuck", 8, "1h", said={"start": "Never"}, startTimeout="10m"))
    yield Submit(_at(1, 0), run("vision", "one-fabric", 96, "5h", spread="SingleDomain"))
    yield Submit(_at(1, 30), run("robotics", "parked", 16, "2h", suspend=True))
    yield Submit(_at(2, 0), run("language", "too-wide", 256, "4h", spread="SingleDomain"))
    yield Submit(_at(2, 10), run("language", "encode", 8, "30h", flavor="L40S-48GB", per_pod=4))
    yield Submit(_at(2, 20), run("vision", "render", 8, "30h", flavor="L40S-48GB", per_pod=4))
    yield Submit(_at(2, 30), run("vision", "mistake", 64, "12h"))
    yield Cancel(_at(3, 20), "vision", "mistake")
    yield Lose(_at(12, 0), LOST_NODE)
    yield Restore(_at(15, 0), LOST_NODE)
    yield Submit(_at(18, 0), run("language", "pretrain-2", 192, "20h", group=64))


def _everyday() -> Iterator[Happening]:
    """More than the fleet can take, above all towards the evening, so that a line forms."""
    random = Random(SEED)
    for number in range(ARRIVALS):
        at = timedelta(minutes=int(LENGTH / timedelta(minutes=1) * random.random() ** 0.8))
        team, width = random.choice(TEAMS), random.choice(WIDTHS)
        length = f"{random.randint(20, 360)}m"
        flavor = "A100-80GB" if number % 4 == 0 else "H100-80GB"
        name = f"{random.choice(('train', 'sweep', 'ablate'))}-{number:03}"
        yield Submit(at, run(team, name, width, length, flavor=flavor))


def _at(hour: int, minute: int) -> timedelta:
    return timedelta(hours=hour, minutes=minute)


def run(
    namespace: str,
    name: str,
    gpus: int,
    length: str,
    *,
    flavor: str = "H100-80GB",
    per_pod: int = 8,
    group: int | None = None,
    spread: str | None = None,
    lasts: str | None = None,
    said: dict[str, str] | None = None,
    **spec: object,
) -> Object:
    """A Run that says it takes `length`, as its simulated pods do, or `lasts`, the two seconds of its start aside.

    said: more for the simulated kubelet. spec: other fields.
    """
    topology = {"groupGPUs": group, "spread": spread}
    topology = {field: value for field, value in topology.items() if value is not None}
    annotations = {SIMULATED + what: value for what, value in {"duration": lasts or length, **(said or {})}.items()}
    return {
        "apiVersion": API_VERSION,
        "kind": "Run",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {
            "resources": {"flavor": flavor, "gpus": gpus, "gpusPerPod": min(gpus, per_pod)},
            **({"topology": topology} if topology else {}),
            "runtime": {"expectedDuration": length},
            **spec,
        },
    }

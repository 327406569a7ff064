"""Why a gang cannot start now: the match, step by step, and every reason."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from runs_core.decide.place import fits_when_empty
from runs_core.values.decision import NoPlace, Reason, Step
from runs_core.values.need import Need
from runs_core.values.quantity import counted
from runs_core.world.census import Census, census
from runs_core.world.flavors import FlavorFleet
from runs_core.world.world import World

CORE = "core"
NEVER_FITS = "NeverFits"
NEVER_CODES = frozenset({"FlavorUnknown", "FlavorAmbiguous", NEVER_FITS})
OUT_OF_QUOTA = "OutOfQuota"
WAIT_CODES = NEVER_CODES | {
    "NoSuchLocation",
    "NoNodeAllowed",
    "VolumesElsewhere",
    "NotEnoughGPUs",
    "NoRoomForPod",
    "Fragmented",
    OUT_OF_QUOTA,
}


def no_place(world: World, flavor: FlavorFleet, name: str, need: Need) -> NoPlace:
    """All reasons and the counts behind them. Counts anew only the domains that changed since such a need was asked."""
    steps = match_steps(flavor, need)
    never = not fits_when_empty(world.fleet, flavor, need)
    return NoPlace(reasons=tuple(_reasons(flavor, name, need, steps, never=never)), match=steps, never=never)


def no_flavor(world: World, need: Need) -> NoPlace:
    """The flavor is not there, or the run names none and there are several."""
    flavors = world.flavors()
    if need.flavor or not flavors:
        known = f"the fleet has {', '.join(flavors)}" if flavors else "the fleet has no GPU nodes"
        wanted = need.flavor or "any flavor"
        reason = Reason(CORE, "FlavorUnknown", f"wants {wanted}; {known}")
    else:
        message = f"names no flavor and the fleet has {', '.join(flavors)}: set spec.resources.flavor"
        reason = Reason(CORE, "FlavorAmbiguous", message)
    return NoPlace(reasons=(reason,), match=(Step("nodes of the flavor (all GPUs)", 0, 0),), never=True)


def match_steps(flavor: FlavorFleet, need: Need) -> tuple[Step, ...]:
    """Nodes and GPUs left after each step: of the flavor with all its GPUs, then with free ones.

    Healthy, in the wanted location, allowed by the template and taints, reaching the volumes, if there are any; with
    room for a pod; last the domains with room for a group, or, without groups, for a pod.
    """
    found = census(flavor, need)
    wanted = need.pods if need.single_domain else min(need.group_pods or 1, need.pods)
    steps = (
        Step("nodes of the flavor (all GPUs)", flavor.nodes, flavor.gpus),
        Step("healthy (free GPUs)", sum(flavor.counts), flavor.free),
        Step("in the wanted location", *found.located),
        Step("allowed by template and taints", *_without_volumes(flavor, need).allowed),
    )
    reaching = (Step("where its volumes are", *found.allowed),) if need.filter.volumes else ()
    room = Step("with room for a pod", *found.roomy)
    return (*steps, *reaching, room, Step("domains with room for a group", *found.domains(wanted)))


def _without_volumes(flavor: FlavorFleet, need: Need) -> Census:
    if not need.filter.volumes:
        return census(flavor, need)
    return census(flavor, attrs.evolve(need, filter=attrs.evolve(need.filter, volumes=())))


def _reasons(flavor: FlavorFleet, name: str, need: Need, steps: Sequence[Step], *, never: bool) -> list[Reason]:
    healthy, located, allowed, *reaching, roomy, domains = steps[1:]
    found: list[Reason] = []
    if never:
        found.append(Reason(CORE, NEVER_FITS, _never(flavor, name, need)))
    if healthy.nodes and not located.nodes:
        wanted = ", ".join(f"{key}={value}" for key, value in need.filter.selector)
        found.append(Reason(CORE, "NoSuchLocation", f"no healthy {name} node has {wanted}"))
    elif located.nodes and not allowed.nodes:
        left_over = f"template and taints leave none of {counted(located.nodes, 'node')}"
        found.append(Reason(CORE, "NoNodeAllowed", left_over))
    elif reaching and allowed.nodes and not reaching[0].nodes:
        left_over = f"none of the {counted(allowed.nodes, 'node')} that will do reaches all of its volumes"
        found.append(Reason(CORE, "VolumesElsewhere", left_over))
    allowed = reaching[0] if reaching else allowed
    free = _free(flavor, name, need, allowed)
    if allowed.gpus < need.gpus:
        found.append(Reason(CORE, "NotEnoughGPUs", f"wants {need.gpus}; {free}"))
    elif roomy.gpus < need.gpus:
        found.append(_no_room(need, roomy, free))
    else:
        some = domains.nodes
        where = f"{some} domains have" if some > 1 else f"{some or 'no'} domain has"
        message = f"wants {need.gpus} and {_are(allowed.gpus)} free, but {where} room for a group"
        found.append(Reason(CORE, "Fragmented", message))
    return found


def _free(flavor: FlavorFleet, name: str, need: Need, allowed: Step) -> str:
    """How much is free, and on how many of the nodes that will do; and what is kept of the flavor for others."""
    will_do = f"{counted(allowed.nodes, f'{name} node')} that will do"
    kept = f" ({_are(flavor.withheld)} kept for promised starts)" if flavor.withheld else ""
    if not allowed.gpus:
        return f"no GPU is free on {will_do}{kept}"
    some = census(flavor, need).open_nodes
    return f"{_are(allowed.gpus)} free on {'' if some == allowed.nodes else f'{some} of '}{will_do}{kept}"


def _are(gpus: int) -> str:
    return f"{counted(gpus, 'GPU')} {'is' if gpus == 1 else 'are'}"


def _never(flavor: FlavorFleet, name: str, need: Need) -> str:
    shape = f"{counted(need.pods, 'pod')} of {counted(need.gpus_per_pod, 'GPU')}"
    if need.single_domain:
        shape += " in one domain"
    elif need.group_pods is not None:
        shape += f" in groups of {counted(need.group_pods * need.gpus_per_pod, 'GPU')}"
    fleet = f"the {name} fleet of {counted(flavor.nodes, 'node')} and {counted(flavor.gpus, 'GPU')}"
    return f"{fleet} could not take {shape} even if it were empty"


def _no_room(need: Need, roomy: Step, free: str) -> Reason:
    if not roomy.nodes:
        text = f"none has {counted(need.gpus_per_pod, 'GPU')}, CPU, memory and storage free together for a pod"
        return Reason(CORE, "NoRoomForPod", f"{free}, but {text}")
    text = f"nodes with room for a pod have {roomy.gpus} of them"
    return Reason(CORE, "NoRoomForPod", f"wants {need.gpus} and {free}, but {text}")

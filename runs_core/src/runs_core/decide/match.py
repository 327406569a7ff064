"""Why a gang cannot start now: the match, step by step, and every reason."""

from __future__ import annotations

from collections.abc import Sequence

from runs_core.decide.place import fits_when_empty
from runs_core.values.decision import NoPlace, Reason, Step
from runs_core.values.need import Need
from runs_core.world.census import census
from runs_core.world.fleet import FlavorFleet
from runs_core.world.world import World

CORE = "core"
NEVER_FITS = "NeverFits"
NEVER_CODES = frozenset({"FlavorUnknown", "FlavorAmbiguous", NEVER_FITS})
WAIT_CODES = NEVER_CODES | {"NoSuchLocation", "NoNodeAllowed", "NotEnoughGPUs", "NoRoomForPod", "Fragmented"}


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
    return NoPlace(reasons=(reason,), match=(Step("nodes of the flavor", 0, 0),), never=True)


def match_steps(flavor: FlavorFleet, need: Need) -> tuple[Step, ...]:
    """Nodes and GPUs left after each step: of the flavor (all its GPUs), then, free: healthy, in the wanted location,

    allowed by the template and taints, with room for a pod; then the domains with room for a group (without groups: a pod).
    """
    counted = census(flavor, need)
    wanted = need.pods if need.single_domain else min(need.group_pods or 1, need.pods)
    return (
        Step("nodes of the flavor", flavor.nodes, flavor.gpus),
        Step("healthy", sum(flavor.counts), flavor.free),
        Step("in the wanted location", *counted.located),
        Step("allowed by template and taints", *counted.allowed),
        Step("with room for a pod", *counted.roomy),
        Step("domains with room for a group", *counted.domains(wanted)),
    )


def _reasons(flavor: FlavorFleet, name: str, need: Need, steps: Sequence[Step], *, never: bool) -> list[Reason]:
    healthy, located, allowed, roomy, domains = steps[1:]
    found: list[Reason] = []
    if never:
        found.append(Reason(CORE, NEVER_FITS, _never(flavor, name, need)))
    if healthy.nodes and not located.nodes:
        wanted = ", ".join(f"{key}={value}" for key, value in need.filter.selector)
        found.append(Reason(CORE, "NoSuchLocation", f"no healthy {name} node has {wanted}"))
    elif located.nodes and not allowed.nodes:
        found.append(Reason(CORE, "NoNodeAllowed", f"template and taints leave none of {located.nodes} nodes"))
    if allowed.gpus < need.gpus:
        free = f"{allowed.gpus} GPUs are free on {allowed.nodes} {name} nodes that will do"
        found.append(Reason(CORE, "NotEnoughGPUs", f"wants {need.gpus}; {free}"))
        return found
    found.append(_fragmented(need, allowed, roomy, domains))
    return found


def _never(flavor: FlavorFleet, name: str, need: Need) -> str:
    shape = f"{need.pods} pods of {need.gpus_per_pod} GPUs"
    if need.single_domain:
        shape += " in one domain"
    elif need.group_pods is not None:
        shape += f" in groups of {need.group_pods * need.gpus_per_pod} GPUs"
    return (
        f"the {name} fleet of {flavor.nodes} nodes and {flavor.gpus} GPUs could not take {shape} even if it were empty"
    )


def _fragmented(need: Need, allowed: Step, roomy: Step, domains: Step) -> Reason:
    if not roomy.nodes:
        text = f"no node has {need.gpus_per_pod} GPUs, CPU, memory and storage free together for a pod"
        return Reason(CORE, "NoRoomForPod", f"{allowed.gpus} GPUs are free on {allowed.nodes} nodes, but {text}")
    if roomy.gpus < need.gpus:
        text = f"nodes with room for a pod have {roomy.gpus} of them"
        return Reason(CORE, "NoRoomForPod", f"wants {need.gpus} and {allowed.gpus} GPUs are free, but {text}")
    where = f"{domains.nodes} domains have room for a group"
    return Reason(CORE, "Fragmented", f"wants {need.gpus} and {allowed.gpus} GPUs are free, but {where}")

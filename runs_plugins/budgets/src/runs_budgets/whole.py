"""One Budget as `runs budgets show` has it: whose it is, what each envelope gives to whom, and its family."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from runs_budgets.family import Family
from runs_budgets.sections import NOTHING, Envelope, Lent, Metered, Quota
from runs_budgets.views import Line, item, usage
from runs_core import Budget, Condition, section


@attrs.frozen(kw_only=True)
class Part:
    """One envelope: what the Budget says of it, how it is used, and to whom it lends or has lent."""

    spec: Envelope
    line: Line
    lent: tuple[Lent, ...]


@attrs.frozen(kw_only=True)
class Bounded:
    """An aggregate cap. used: GPUs that its envelopes pay for now."""

    name: str
    flavor: str
    envelopes: tuple[str, ...]
    gpus: int
    used: int


@attrs.frozen(kw_only=True)
class Whole:
    """parents: those that count; ignored: those that it names and that do not, sorted. namespaces: that spend for it.

    As the scheduler wrote it last.
    """

    budget: str
    owner: str
    parents: tuple[str, ...]
    ignored: tuple[str, ...]
    children: tuple[str, ...]
    namespaces: tuple[str, ...]
    envelopes: tuple[Part, ...]
    caps: tuple[Bounded, ...]
    conditions: tuple[Condition, ...]


def family_of(budgets: Iterable[Budget]) -> Family:
    """Who is whose child, by all of these."""
    family = Family()
    for budget in budgets:
        family.put(budget.spec.owner, budget.name, (section(budget.spec.sections, Quota) or NOTHING).parents)
    return family


def whole(budget: Budget, budgets: Iterable[Budget], namespaces: Sequence[str]) -> Whole:
    """budgets: all that there are. namespaces: those that spend for its owner."""
    family, owner = family_of(budgets), budget.spec.owner
    quota = section(budget.spec.sections, Quota) or NOTHING
    metered = section(budget.status.sections, Metered) or Metered()
    lent = {used.name: used.lent for used in metered.envelopes}
    specs = {envelope.name: envelope for envelope in quota.envelopes}
    parts = [Part(spec=specs[line.envelope], line=line, lent=lent.get(line.envelope, ())) for line in usage([budget])]
    used = {part.spec.name: part.line.owned + part.line.shared + part.line.borrowed for part in parts}
    parents = family.parents(owner)
    return Whole(
        budget=budget.name,
        owner=owner,
        parents=parents,
        ignored=tuple(one for one in family.named(owner) if one not in parents),
        children=family.children(owner),
        namespaces=tuple(sorted(namespaces)),
        envelopes=tuple(parts),
        caps=tuple(
            Bounded(
                name=cap.name,
                flavor=cap.flavor,
                envelopes=tuple(sorted(cap.envelopes)),
                gpus=cap.gpus,
                used=sum(used.get(name, 0) for name in cap.envelopes),
            )
            for cap in sorted(quota.aggregate_caps, key=lambda cap: cap.name)
        ),
        conditions=budget.status.conditions,
    )


def whole_item(found: Whole) -> dict[str, object]:
    """As `-o json` has it."""
    return {
        "budget": found.budget,
        "owner": found.owner,
        "parents": list(found.parents),
        "parentsIgnored": list(found.ignored),
        "children": list(found.children),
        "namespaces": list(found.namespaces),
        "envelopes": [_part_item(part) for part in found.envelopes],
        "caps": [{**attrs.asdict(cap), "envelopes": list(cap.envelopes)} for cap in found.caps],
        "conditions": [
            {"type": one.type, "status": one.status, "reason": one.reason, "message": one.message}
            for one in found.conditions
        ],
    }


def _part_item(part: Part) -> dict[str, object]:
    spec, lending = part.spec, part.spec.lending
    return {
        **{key: value for key, value in item(part.line).items() if key not in ("owner", "budget")},
        "selector": dict(spec.selector),
        "sharing": spec.sharing.value,
        "lending": lending
        and {"to": list(lending.to), "maxGPUs": lending.max_gpus, "maxGPUHours": lending.max_gpu_hours},
        "lent": [
            {"owner": one.owner, "gpus": one.gpus, "gpuHours": one.gpu_seconds * 100 // 3600 / 100} for one in part.lent
        ],
    }

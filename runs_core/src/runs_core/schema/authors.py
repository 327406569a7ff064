"""What of an object one author writes as a whole: the API server need not note whose each field in it is.

Source: Kubernetes documentation, "Server-Side Apply", merge strategy.
"""

from __future__ import annotations

from runs_core.schema.convert import Object

WHOLE = {"x-kubernetes-map-type": "atomic"}
RULES = "x-kubernetes-validations"


def in_parts(spec: Object) -> Object:
    """Several people may write a spec, but each of its parts is one's: the pod template, where the run may lie.

    A rule inside a part that compares with what was before would not be asked there, and so keeps the part open.
    """
    parts = spec["properties"].items()
    whole = {name for name, part in parts if part.get("type") == "object" and not _compares_inside(part)}
    return {**spec, "properties": {name: {**part, **WHOLE} if name in whole else part for name, part in parts}}


def _compares_inside(found: Object) -> bool:
    """Whether a rule below it looks at the old value; its own rules may."""
    below = [
        *found.get("properties", {}).values(),
        *(found[key] for key in ("items", "additionalProperties") if key in found),
    ]
    return any(_compares(part) or _compares_inside(part) for part in below)


def _compares(found: Object) -> bool:
    return any("oldSelf" in rule["rule"] for rule in found.get(RULES, ()))

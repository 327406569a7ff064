"""What a stage keeps of each taking-back is worked out again, whichever stage it is."""

from __future__ import annotations

from typing import Any

from tests.scenarios.stage import Stage

from runs_core.schema.convert import from_object
from runs_core.serve.views.verified import verification
from runs_core.values.resolution import Resolution


def unverified(stage: Stage) -> list[str]:
    """What does not follow of the resolutions that the stage keeps; each but the first is bound by the one before."""
    found: list[str] = []
    values: list[Any] = [from_object(body) for body in stage.objects("Resolution")]
    kept: list[Resolution] = sorted(values, key=lambda one: one.spec.number)
    for number, one in enumerate(kept, start=1):
        previous = kept[number - 2] if number > 1 else None
        said = verification(one, one.spec.evidence.data, previous, None)
        found += [f"{one.name}: {what}" for what in said.differences]
        if one.spec.number != number:
            found.append(f"{one.name}: got number {one.spec.number}, want {number}")
    return found

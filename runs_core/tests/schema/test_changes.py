from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType

import attrs

from runs_core.schema.changes import changes_refused
from runs_core.values.budget import Budget, BudgetSpec
from runs_core.values.fields import Fact, Rule, field, rules
from runs_core.values.meta import Meta
from runs_core.values.run import Resources, Run, RunSpec, RunStatus

RUN = Run(meta=Meta(name="a"), spec=RunSpec(resources=Resources(gpus=8)))
ADMITTED = attrs.evolve(RUN, status=RunStatus(admitted_at=datetime(2026, 1, 31, tzinfo=UTC)))


def told(old: Run | Budget, new: Run | Budget) -> list[str]:
    return [str(problem) for problem in changes_refused(old, new)]


def test_what_may_change_is_not_refused() -> None:
    assert told(RUN, attrs.evolve(RUN, spec=RunSpec(resources=Resources(gpus=16)))) == []
    assert told(ADMITTED, attrs.evolve(ADMITTED, spec=attrs.evolve(ADMITTED.spec, suspend=True))) == []


def test_every_refused_change_is_told_with_its_field() -> None:
    canceled = attrs.evolve(ADMITTED, spec=attrs.evolve(ADMITTED.spec, canceled=True))
    assert told(canceled, attrs.evolve(ADMITTED, spec=RunSpec(resources=Resources(gpus=16)))) == [
        "spec.resources: got a change, want no change once the run is admitted; submit a new run",
        "spec.canceled: got a change, want true: a canceled run stays canceled; submit a new one",
    ]


def test_the_owner_of_a_budget_stays() -> None:
    old, new = (Budget(meta=Meta(name="a"), spec=BudgetSpec(owner=owner)) for owner in ("a", "b"))
    assert told(old, new) == ["spec.owner: got a change, want no change; make a new Budget"]


@rules(
    Rule(cel="self.lane == oldSelf.lane", message="want no change", field="lane", change=lambda old, new: old == new)
)
@attrs.frozen(kw_only=True)
class Lane:
    lane: str = field(Fact(doc="Which lane."))


def test_a_plugins_rules_hold_for_its_part() -> None:
    old, new = (
        attrs.evolve(RUN, spec=attrs.evolve(RUN.spec, sections=MappingProxyType({Lane: Lane(lane=lane)})))
        for lane in "ab"
    )
    assert told(old, new) == ["spec.lane: got a change, want no change"]
    assert told(old, old) == told(RUN, new) == []

"""A plugin that says how wide a run may be, and nothing else: what it starts with, it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import attrs

from runs_core import Demand, Fact, Run, Section, field, hookimpl, section


@attrs.frozen(kw_only=True)
class Malleable:
    """GPUs."""

    min_gpus: int = field(Fact(doc="What it needs at least.", minimum=1))
    max_gpus: int = field(Fact(doc="What it would take at most.", minimum=1))
    step_gpus: int = field(Fact(doc="Between one width and the next.", minimum=1))


@hookimpl
def runs_sections() -> Sequence[Section]:
    return [Section(plugin="stretch", kind="Run", name="malleable", cls=Malleable)]


@hookimpl
def runs_demand(run: Run) -> Demand | None:
    wish = section(run.spec.sections, Malleable)
    return None if wish is None else Demand(least=wish.min_gpus, most=wish.max_gpus, step=wish.step_gpus)


STRETCH = SimpleNamespace(RUNS_HOOK_API=(1, 1), runs_sections=runs_sections, runs_demand=runs_demand)

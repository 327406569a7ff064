"""What is kept of a decision after it was carried out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

import attrs

from runs_core.values.decision import Outcome
from runs_core.values.meta import Key
from runs_core.values.run import Phase


@attrs.frozen(kw_only=True)
class Record:
    """at: `now` when it was decided (UTC). phase, width: the run's after it.

    seconds: by stage; not part of equality.
    """

    at: datetime
    run: Key
    uid: str
    outcome: Outcome
    phase: Phase
    width: int
    seconds: Mapping[str, float] = attrs.field(default=MappingProxyType({}), eq=False)

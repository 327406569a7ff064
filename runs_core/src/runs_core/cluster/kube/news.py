"""What those who write have to tell the thread that decides."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from runs_core.cluster.kube.api import Object, Refused
from runs_core.cluster.kube.gates import Gate
from runs_core.values import effect as e
from runs_core.values.effect import Effect
from runs_core.values.meta import Key


@attrs.frozen(kw_only=True)
class Written:
    """A write is over. answer: the object as the server has it now."""

    effect: Effect
    answer: Object | None


@attrs.frozen(kw_only=True)
class Skipped:
    """A status that was overtaken by the next before it was sent."""

    status: e.SetRunStatus | e.SetBudgetStatus


@attrs.frozen(kw_only=True)
class Failed:
    """The work of one run was refused. effects: what of it was not written, and will not be. freed: its places."""

    key: Key
    effects: Sequence[Effect]
    refusal: Refused
    freed: Gate


class Everything:
    """The world is empty, and wants to be told all that is known."""

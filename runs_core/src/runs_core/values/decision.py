"""What was decided for one run, with every reason."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import attrs

from runs_core.values.effect import Effect
from runs_core.values.funding import Cover
from runs_core.values.lease import Closed
from runs_core.values.meta import Key
from runs_core.values.placement import Placement
from runs_core.values.reservation import Basis
from runs_core.values.run import Phase


class Reason(NamedTuple):
    """by: `core` or a plugin's name. code: one word of a closed set. message: a sentence that says what would help."""

    by: str
    code: str
    message: str


class Hold(NamedTuple):
    """A reason why a run must not start. until: when time alone may lift it (UTC); None: a change must."""

    code: str
    message: str
    until: datetime | None = None


class Step(NamedTuple):
    """One step of the match: how many nodes and free GPUs are left after it. For domains, `nodes` counts domains."""

    step: str
    nodes: int
    gpus: int


@attrs.frozen(kw_only=True)
class NoPlace:
    """Why a gang cannot start now. never: the present fleet could not take it even if it were empty.

    cover: who was asked to pay; None: nobody keeps quotas.
    """

    reasons: tuple[Reason, ...]
    match: tuple[Step, ...]
    never: bool = False
    cover: Cover | None = None


@attrs.frozen(kw_only=True)
class Held:
    """May not stand in line yet, or any more: every reason, core's and plugins'."""

    reasons: tuple[Reason, ...]
    until: datetime | None = None


@attrs.frozen(kw_only=True)
class Waits:
    """In line, and nothing it could take is free. cover: who was asked to pay; None: nobody keeps quotas."""

    reasons: tuple[Reason, ...]
    match: tuple[Step, ...]
    never: bool = False
    cover: Cover | None = None


@attrs.frozen(kw_only=True)
class Starts:
    """Takes free GPUs now. cover: as of a run that waits."""

    placement: Placement
    attempt: int
    cover: Cover | None = None


@attrs.frozen(kw_only=True)
class Reclaims:
    """GPUs are taken back for it: it starts once who has them has gone. gpus: that are cut; runs: how many."""

    resolution: str
    placement: Placement
    gpus: int
    runs: int


@attrs.frozen(kw_only=True)
class Reserves:
    """It is told when it will start, and places are kept for it from then on."""

    reservation: str
    earliest_start: datetime
    basis: Basis
    message: str


@attrs.frozen(kw_only=True)
class Moves:
    """The gang came up, or its pods are made anew, on the GPUs that it holds. reason: one word."""

    reason: str
    message: str


@attrs.frozen(kw_only=True)
class Ends:
    """The attempt is being undone: pods have been told to go, leases are still held."""

    closure: Closed
    detail: str
    then: Phase


@attrs.frozen(kw_only=True)
class Released:
    """Nothing is held any more."""

    closure: Closed
    detail: str
    then: Phase


@attrs.frozen(kw_only=True)
class Removed:
    """The object's time is over. phase: as it last stood."""

    reason: str
    phase: Phase


Outcome = Held | Waits | Starts | Reclaims | Reserves | Moves | Ends | Released | Removed


@attrs.frozen(kw_only=True)
class Decision:
    """One run, one outcome, and the writes that carry it out, in order."""

    run: Key
    uid: str
    outcome: Outcome
    effects: tuple[Effect, ...]

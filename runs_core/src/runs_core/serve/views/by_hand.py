"""What a taking-back by hand would be, and what came of it."""

from __future__ import annotations

import attrs

from runs_core.decide.manual import Foreseen
from runs_core.serve.views.plan import MayBeCut, Spared, who_may_be_cut
from runs_core.values.request import Request


@attrs.frozen(kw_only=True)
class ByHand:
    """scope: the domains that serve; empty: none would. missing: GPUs that have to come free in them.

    resolution: that took them back; None: nothing was changed.
    """

    flavor: str
    gpus: int
    scope: tuple[str, ...]
    missing: int | None
    cuts: tuple[MayBeCut, ...]
    spared: Spared | None
    resolution: str | None = None


def by_hand(request: Request, foreseen: Foreseen) -> ByHand:
    """Before anything is done."""
    cuts, spared = who_may_be_cut(foreseen.prospect)
    scope = foreseen.scope
    return ByHand(
        flavor=request.flavor,
        gpus=request.gpus,
        scope=() if scope is None else tuple(sorted({node.domain for node in scope.nodes})),
        missing=None if scope is None else scope.missing,
        cuts=cuts,
        spared=spared,
    )

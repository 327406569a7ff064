"""Why a run waits, as of now. The status that is stored says why it waited when it was last answered."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from runs_core.decide.advice import Advice
from runs_core.decide.consider import seek
from runs_core.decide.cover import cover
from runs_core.decide.standing import joined
from runs_core.values.decision import NoPlace
from runs_core.values.funding import Ask, Cover
from runs_core.values.need import Need
from runs_core.values.placement import Placement
from runs_core.values.quantity import counted
from runs_core.values.run import Run
from runs_core.world.held import Order
from runs_core.world.world import World


class Why(NamedTuple):
    """reason: one word. never: the present fleet could not take it even if it were empty.

    fundable: whether somebody would pay; true where nobody keeps quotas.
    """

    reason: str
    message: str
    never: bool = False
    fundable: bool = True


def said_of(run: Run) -> Why:
    """What its status says. The reason of a run that is being undone is why."""
    status = run.status
    return Why(f"Ending: {status.reason}" if status.ending is not None else status.reason, status.message)


def with_hold(world: World, run: Run, message: str) -> str:
    """Why it waits, and what is held for it meanwhile."""
    hold = world.held.by_run.get(run.key)
    if hold is None:
        return message
    gpus: dict[str, int] = {}
    for share in hold.shares:
        name = f"{share.payer.budget}/{share.payer.envelope}"
        gpus[name] = gpus.get(name, 0) + share.gpus
    parts = ", ".join(f"{count} GPUs of {name}" for name, count in gpus.items())
    return f"{message}; {parts} are held for it"


class Present:
    """Answers for one look at a world that does not change meanwhile: each need is asked for once.

    But once for each part of those with that need before whom the same quota is held.
    """

    def __init__(self, world: World, advice: Advice) -> None:
        self._world = world
        self._advice = advice
        self._promised = Counter(one.spec.flavor for one in world.promises.by_run.values())
        self._known: dict[tuple[Need, Ask | None, int], tuple[Placement | NoPlace, Cover | None]] = {}

    def of(self, run: Run) -> Why:
        """What is true now of a run in line; of any other, what its status says.

        For one that could start and has not yet been told, that it stands in line.
        """
        if not run.status.phase.waits or run.key not in self._world.line.entries:
            return said_of(run)
        ask = self._world.ask(run) if self._advice.funding else None
        found, said = self._answer(self._world.need(run), ask, self._world.order(run))
        fundable = said is None or said.fundable
        if isinstance(found, NoPlace):
            why = with_hold(self._world, run, joined(found.reasons))
            if fundable and not found.never:
                why += self._behind_promises(run)
            return Why(found.reasons[0].code, why, found.never, fundable)
        return Why("Admitted", "stands in line; what it wants is free", fundable=fundable)

    def _behind_promises(self, run: Run) -> str:
        """That nothing is promised to it, as places are kept for as many others as may be; empty: that is not why."""
        most, world = self._world.settings.reservations.max, self._world
        kept = self._promised[run.spec.resources.flavor or world.sole_flavor() or ""]
        if not most or kept < most or run.key in world.promises.by_run:
            return ""
        return f"; nothing is promised to it: places are kept for {counted(kept, 'run')} (reservations.max)"

    def _answer(self, need: Need, ask: Ask | None, order: Order) -> tuple[Placement | NoPlace, Cover | None]:
        ahead = self._world.held.ahead(order)
        known = self._known.get((need, ask, ahead))
        if known is None:
            said = cover(self._world, self._advice, ask, order) if ask is not None else None
            known = self._known[need, ask, ahead] = (seek(self._world, need, self._advice, said), said)
        return known

"""The decisions of one cycle."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from runs_core.values.change import Change, HeadSeen
from runs_core.values.decision import Decision
from runs_core.values.effect import Effect, expected
from runs_core.values.meta import Key
from runs_core.world.world import World

Clock = Callable[[], float]


class Batch:
    """Decisions of one cycle, already taken up by the world as if written; `undo` takes all of it back.

    seconds: of each decision, wall time by stage. promised: who was promised something, or something else than before.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.decisions: list[Decision] = []
        self.seconds: list[dict[str, float]] = []
        self.promised: set[Key] = set()
        self._inverses: list[Change] = [HeadSeen(world.ledger.head)]
        self._touched = (set(world.touched), set(world.touched_budgets), set(world.touched_nodes))
        self._unread = set(world.touched_unread)
        self._promises = (world.promises.stirred, world.promises.due)

    def take(self, decision: Decision, seconds: dict[str, float]) -> None:
        self.decisions.append(decision)
        self.seconds.append(seconds)
        self.add(decision.effects)

    def add(self, effects: Iterable[Effect]) -> None:
        """Effects that belong to no run."""
        self.world.apply_all(filter(None, map(expected, effects)), self._inverses)

    def undo(self) -> None:
        """Nothing was written: the world is as before, and all that was decided is to be decided again."""
        self.world.revert_all(self._inverses)
        world = self.world
        world.touched, world.touched_budgets, world.touched_nodes = self._touched
        world.touched_unread = self._unread
        world.promises.stirred, world.promises.due = self._promises
        world.lengths.forget()
        world.line.forget()
        world.unpaid.forget()

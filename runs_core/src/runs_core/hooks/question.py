"""One hook of one plugin, resolved once: asked directly, under the watchdog, and counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from time import perf_counter
from typing import Generic, TypeVar

import attrs

from runs_core.hooks.answers import Unfit
from runs_core.hooks.loading import its_own, told
from runs_core.hooks.watchdog import WATCHDOG, TooSlow

T = TypeVar("T")
MOST_LATE = 3
"""Calls of one hook in a row that may be late before it rests: who waits for each would decide nothing else."""


@attrs.frozen
class Failed:
    """In place of an answer. why: one line."""

    why: str


@attrs.frozen(kw_only=True)
class Tally:
    """How a plugin answered one hook so far. hung: of those that failed. seconds: in total."""

    plugin: str
    hook: str
    asked: int
    failed: int
    hung: int
    seconds: float
    slowest_seconds: float
    last_failure: str


Arguments = tuple[object, ...]


def _picking(places: Sequence[int]) -> Callable[[Arguments], Arguments]:
    """Those of the arguments, in that order."""
    if len(places) > 1:
        return itemgetter(*places)
    return itemgetter(slice(places[0], places[0] + 1) if places else slice(0))


class Question(Generic[T]):
    """picks: which of the arguments, and of the settings behind them, the function takes. timeout: seconds.

    rest: seconds for which it is not asked, and has failed, after MOST_LATE calls in a row that were late.
    """

    __slots__ = (  # a question is asked for each decision
        "_asked",
        "_failed",
        "_function",
        "_hung",
        "_last",
        "_pick",
        "_rest",
        "_resting",
        "_row",
        "_settings",
        "_slowest",
        "_spent",
        "_timeout",
        "hook",
        "name",
        "plugin",
    )

    def __init__(
        self,
        plugin: str,
        hook: str,
        function: Callable[..., object],
        *,
        picks: Sequence[int],
        settings: object,
        timeout: float,
        rest: float = 0.0,
    ) -> None:
        self.plugin, self.hook, self.name = plugin, hook, f"{plugin}: {hook}"
        self._function = function
        self._pick = _picking(picks)
        self._settings = (settings,)
        self._timeout, self._rest = timeout, rest
        self._row, self._resting = 0, 0.0
        self._asked = self._failed = self._hung = 0
        self._spent = self._slowest = 0.0
        self._last = ""

    def ask(self, arguments: tuple[object, ...], fit: Callable[[object], T]) -> T | Failed:
        """arguments: those of the hook, in order, without settings. fit: checks the answer, raises Unfit."""
        self._asked += 1
        if self._resting and perf_counter() < self._resting:
            late = f"no answer within {self._timeout:g} s, {MOST_LATE} times in a row"
            return self.failed(Failed(f"{late}; it is let be for {self._rest:g} s"))
        wanted = self._pick(arguments + self._settings)
        try:
            answer, took = WATCHDOG.call(self.name, self._attempt, self._timeout, wanted, fit)
            self._row, self._resting = 0, 0.0
        except TooSlow as slow:
            answer, took = Failed(str(slow)), slow.seconds
            self._hung += 1
            self._late()
        self._spent += took
        self._slowest = max(self._slowest, took)
        if isinstance(answer, Failed):
            self.failed(answer)
        return answer

    def _late(self) -> None:
        """What hangs each time takes the time of everybody's decisions, so that it is let be for a while."""
        self._row += 1
        if self._row >= MOST_LATE and self._rest:
            self._resting = perf_counter() + self._rest

    def _attempt(self, wanted: tuple[object, ...], fit: Callable[[object], T]) -> T | Failed:
        try:
            return fit(self._function(*wanted))
        except Unfit as unfit:
            return Failed(str(unfit))
        except BaseException as error:  # one raising plugin must not silence the others
            if not its_own(error):
                raise
            return Failed(told(error))

    def tell(self, function: Callable[[], object]) -> Failed | None:
        """Call something else of the same plugin, in the same way."""

        def attempt() -> Failed | None:
            try:
                function()
            except BaseException as error:  # as above
                if not its_own(error):
                    raise
                return Failed(told(error))
            return None

        try:
            answer, took = WATCHDOG.call(self.name, attempt, self._timeout)
        except TooSlow as slow:
            answer, took = Failed(str(slow)), slow.seconds
            self._hung += 1
        self._spent += took
        return self.failed(answer) if isinstance(answer, Failed) else None

    def failed(self, failure: Failed) -> Failed:
        """Count a failure, also one that kept the question from being asked."""
        self._failed += 1
        self._last = failure.why
        return failure

    @property
    def tally(self) -> Tally:
        return Tally(
            plugin=self.plugin,
            hook=self.hook,
            asked=self._asked,
            failed=self._failed,
            hung=self._hung,
            seconds=self._spent,
            slowest_seconds=self._slowest,
            last_failure=self._last,
        )

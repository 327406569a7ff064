"""One hook of one plugin, resolved once: asked directly, under the watchdog, and counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Generic, TypeVar

import attrs

from runs_core.hooks.answers import Unfit
from runs_core.hooks.loading import told
from runs_core.hooks.watchdog import WATCHDOG, TooSlow

T = TypeVar("T")


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
    """picks: which of the arguments, and of the settings behind them, the function takes. timeout: seconds."""

    __slots__ = (  # a question is asked for each decision
        "_asked",
        "_failed",
        "_function",
        "_hung",
        "_last",
        "_pick",
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
    ) -> None:
        self.plugin, self.hook, self.name = plugin, hook, f"{plugin}: {hook}"
        self._function = function
        self._pick = _picking(picks)
        self._settings = (settings,)
        self._timeout = timeout
        self._asked = self._failed = self._hung = 0
        self._spent = self._slowest = 0.0
        self._last = ""

    def ask(self, arguments: tuple[object, ...], fit: Callable[[object], T]) -> T | Failed:
        """arguments: those of the hook, in order, without settings. fit: checks the answer, raises Unfit."""
        self._asked += 1
        wanted = self._pick(arguments + self._settings)
        try:
            answer, took = WATCHDOG.call(self.name, self._attempt, self._timeout, wanted, fit)
        except TooSlow as slow:
            answer, took = Failed(str(slow)), slow.seconds
            self._hung += 1
        self._spent += took
        self._slowest = max(self._slowest, took)
        if isinstance(answer, Failed):
            self.failed(answer)
        return answer

    def _attempt(self, wanted: tuple[object, ...], fit: Callable[[object], T]) -> T | Failed:
        try:
            return fit(self._function(*wanted))
        except Unfit as unfit:
            return Failed(str(unfit))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - one raising plugin must not silence the others
            return Failed(told(error))

    def tell(self, function: Callable[[], object]) -> Failed | None:
        """Call something else of the same plugin, in the same way."""

        def attempt() -> Failed | None:
            try:
                function()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
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

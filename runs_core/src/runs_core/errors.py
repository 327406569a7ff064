"""Every exception that runs raises on purpose. Each says what, where, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

import attrs


class RunsError(Exception):
    """A defect or a broken world. A refusal to schedule is never an exception: it is a value."""


@attrs.frozen
class Problem:
    """One thing wrong with an input. where: `file:line field`, as exact as is known; what: got, wanted, remedy."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class InvalidInput(RunsError):
    """A manifest, setting, flag or trace that says what cannot be. Carries every problem, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class NotFound(RunsError):
    """A named object is not in the cluster."""


class Conflict(RunsError):
    """Somebody else wrote first; what was decided on the older state was not written. Observe and decide again."""


class Unavailable(RunsError):
    """The cluster cannot be reached, read or written, or is not of a kind or version that this release knows."""


class InvariantBroken(RunsError):
    """What must hold after every cycle does not: a simulation that checks it stops there."""


class PluginError(RunsError):
    """A plugin cannot be loaded, or declares what contradicts core or another plugin. Raised at start only."""


class Deposed(RunsError):
    """Another process leads now: whatever this one had not written yet is not written by it."""

"""The part of a session that only looks at a world; the same on every cluster."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from datetime import datetime

from runs_cli.failures import Stop, nearest
from runs_cli.options import Asked
from runs_cli.words import key_of
from runs_core.decide.consider import consider
from runs_core.decide.manual import Foreseen, foresee
from runs_core.decide.odds import Prospect, foreseen
from runs_core.errors import InvalidInput
from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.registry import Registry
from runs_core.schema.changes import changes_refused
from runs_core.schema.convert import Object, budget_from_object, reservation_from_object
from runs_core.schema.manifest import validate
from runs_core.serve.views.plan import Remedy
from runs_core.serve.views.remedies import remedies_of
from runs_core.values.budget import Budget
from runs_core.values.decision import Held, Starts, Waits
from runs_core.values.meta import Key
from runs_core.values.request import Request
from runs_core.values.reservation import Reservation
from runs_core.values.resolution import Resolution, resolution_name
from runs_core.values.run import Run
from runs_core.world.world import World


class Looking:
    """asked, plugins, advice and world are whoever's who inherits this."""

    asked: Asked
    plugins: Registry
    advice: PluginAdvice

    @property
    def world(self) -> World:
        raise NotImplementedError

    @property
    def now(self) -> datetime:
        return self.world.now

    def runs_in(self, namespace: str | None) -> list[Run]:
        return [run for run in self.world.runs() if namespace is None or run.key.namespace == namespace]

    def find_run(self, key: Key) -> Run | None:
        return self.world.run(key)

    def run_keys(self, near: Key) -> list[Key]:
        """Of the runs that a person may have meant."""
        return [run.key for run in self.world.runs()]

    def run_named(self, text: str) -> Run:
        key = key_of(text, self.asked.home)
        run = self.find_run(key)
        if run is None:
            raise self._no_run(key)
        return run

    def runs_named(self, texts: Sequence[str]) -> list[Run]:
        return list({(run := self.run_named(text)).key: run for text in texts}.values())

    def _no_run(self, key: Key) -> Stop:
        if (why := self.world.unread(key)) is not None:
            return Stop(why)
        known = self.run_keys(key)
        here = [one.name for one in known if one.namespace == key.namespace]
        elsewhere = [str(one) for one in known if one.name == key.name]
        hint = nearest(key.name, here) or (f" (there is {', '.join(elsewhere)})" if elsewhere else "")
        return Stop(f"there is no run {key.name} in namespace {key.namespace}{hint}; `runs get -A` lists all")

    def resolution_named(self, text: str) -> Resolution:
        name = resolution_name(int(text)) if text.isdecimal() else text
        found = self.world.resolution(name)
        if found is None:
            known = [resolution.name for resolution in self.world.resolutions()]
            raise Stop(f"there is no resolution {name}{nearest(name, known)}; `runs resolve list` lists all")
        return found

    def budget_named(self, name: str) -> Budget:
        found = self.world.budget(name)
        if found is None:
            known = [budget.name for budget in self.world.budgets()]
            raise Stop(f"there is no Budget {name}{nearest(name, known)}; `runs budgets list` lists all")
        return found

    def budget_read(self, body: Object) -> Budget:
        sections = self.plugins.sections
        if wrong := validate(body, sections):
            raise InvalidInput(wrong)
        found = budget_from_object(body, sections)
        known = self.world.budget(found.name)
        if known is not None and (wrong := changes_refused(known, found)):
            raise InvalidInput(wrong)
        return found

    def node_named(self, name: str) -> str:
        if self.world.node(name) is None:
            known = [node.name for node in self.world.nodes()]
            raise Stop(f"there is no node {name}{nearest(name, known)}; `runs top` shows the fleet")
        return name

    def flavors(self) -> list[str]:
        return list(self.world.flavors())

    def consider(self, run: Run) -> Held | Waits | Starts:
        outcome = consider(self.world, run, self.advice)
        if not isinstance(outcome, Held | Waits | Starts):
            raise TypeError(f"a run that has not started is to {type(outcome).__name__}")
        return outcome

    def foreseen(self, run: Run, outcome: Held | Waits | Starts) -> Prospect | None:
        return foreseen(self.world, run, outcome.cover, self.advice) if isinstance(outcome, Waits) else None

    def foresee(self, request: Request) -> Foreseen:
        return foresee(self.world, request, self.advice)

    def remedies(self, run: Run) -> tuple[Remedy, ...]:
        return remedies_of(self.world, run, self.advice, _program(self.asked))

    def said_by_plugins(self, run: Run) -> Sequence[tuple[str, str]]:
        return self.advice.explained(run, self.world, self.now)


def _program(asked: Asked) -> str:
    """How a command line for the same cluster begins."""
    options = (("--local", asked.local), ("--context", asked.context), ("--kubeconfig", asked.kubeconfig))
    return shlex.join(["runs", *(word for name, value in options if value is not None for word in (name, value))])


def reserved(run: Run, bodies: Iterable[Object]) -> list[Reservation]:
    """The run's among these, the first one first."""
    known = (reservation_from_object(body) for body in bodies if body["metadata"].get("namespace") == run.key.namespace)
    return sorted((one for one in known if one.spec.run_ref.uid == run.uid), key=lambda one: (one.spec.at, one.key))


def answer_among(resolutions: Sequence[Resolution], uid: str) -> Resolution | None:
    """The one that answers the request."""
    return next((one for one in resolutions if one.spec.request is not None and one.spec.request.uid == uid), None)

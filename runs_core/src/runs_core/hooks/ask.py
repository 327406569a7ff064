"""Asks the plugins, and merges what they answer as the contracts say. Nothing else in core calls a plugin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

from runs_core.decide.advice import Rank
from runs_core.errors import PluginError
from runs_core.hooks import answers, funded
from runs_core.hooks.answers import Unfit
from runs_core.hooks.contract import CONTRACTS
from runs_core.hooks.loading import LONGEST_START, Impl, its_own, told
from runs_core.hooks.question import Failed, Question, Tally
from runs_core.hooks.registry import Registry
from runs_core.hooks.sight import Attachable, GuardedIndex, Sight, hears_of, parts_of, sight, taking_up
from runs_core.hooks.watchdog import WATCHDOG, Late, TooSlow
from runs_core.settings import Settings
from runs_core.values.budget import Budget
from runs_core.values.classes import Class, Split
from runs_core.values.decision import Hold
from runs_core.values.demand import Demand
from runs_core.values.funding import Account, Ask, Offer, Offers, Proposal, Stage, Unit
from runs_core.values.lease import Lease
from runs_core.values.need import Need
from runs_core.values.node import Domain
from runs_core.values.record import Record
from runs_core.values.run import Run
from runs_core.world.view import Index, View

T = TypeVar("T")
FAILED = "PluginFailed"
_place = attrgetter("tier", "order", "payer.budget", "payer.envelope")
"""An offer's, among all."""


class PluginAdvice:
    """Implements Advice from the enabled plugins of a sound registry; PluginError where it is not sound.

    Settings are those that the registry's settings classes were read into. One advice serves one world.
    """

    def __init__(self, registry: Registry, settings: Settings) -> None:
        registry.sound()
        self._settings = settings
        self._recheck = settings.hooks.recheck
        self._defaults = {name: cls() for name, cls in registry.settings_classes.items()}
        self._questions: list[Question[Any]] = []
        self._indexing = registry.implementing("runs_index")
        self._holding = self._resolve(registry.implementing("runs_hold"))
        self._demanding = self._resolve(registry.implementing("runs_demand"))
        self._scoring = self._resolve(registry.implementing("runs_score"))
        self._timing = self._resolve(registry.implementing("runs_moments"))
        self._listening = self._resolve(registry.implementing("runs_recorded"))
        covering = registry.implementing("runs_cover")
        self._covering = tuple((self._question(impl), impl.concerning) for impl in covering)
        self._classifying = self._resolve(registry.implementing("runs_classify"))
        self._metering = self._resolve(registry.implementing("runs_meter"))
        self._accounting = self._resolve(registry.implementing("runs_account"))
        self._reclaiming = self._resolve(registry.implementing("runs_victims"))
        self._protecting = self._resolve(registry.implementing("runs_protected"))
        self._proposing = self._resolve(registry.implementing("runs_remedies"))
        self._declared = frozenset(one.cls for one in registry.sections if one.within("Run", "spec"))
        self._accountable = frozenset(one.cls for one in registry.sections if one.within("Budget", "status"))
        self.stages: Sequence[Stage] = tuple(stage for _, stage in registry.stages)
        self._explaining = self._resolve(registry.implementing("runs_explained"))
        ranking = registry.ranking(settings.rank)
        self._ranking = self._resolve([ranking] if ranking else [])
        self._guards: dict[str, GuardedIndex] = {}
        self._seen: Sight | None = None

    def attach(self, world: Attachable, view: View) -> None:
        """Give the world each plugin's index to feed. view: the same world. Once, at start.

        PluginError: an index cannot be had.
        """
        world.funded = self.funding
        taken: dict[type, str] = {}
        for impl in self._indexing:
            index = self._index(impl, view)
            if (other := taken.setdefault(type(index), impl.plugin)) != impl.plugin:
                raise PluginError(
                    f"plugins {other} and {impl.plugin} have an index of one class; switch one of them off"
                )
            guard = GuardedIndex(index, self._question(impl, taking_up(index, view)), view)
            self._guards[impl.plugin] = guard
            world.attach(type(index), guard)

    # -- the questions of Advice --------------------------------------------------------------------------------------

    def holds(self, run: Run, view: View, now: datetime) -> Sequence[tuple[str, Hold]]:
        """Every plugin's reasons, by plugin name; a plugin that failed to answer is a reason of its own."""
        found = [
            (question.plugin, self._failure(question.plugin, said, now))
            for question in self._demanding
            if isinstance(said := self._width(question, run, view), Failed)
        ]
        for question in self._holding:
            guard = self._guards.get(question.plugin)
            if guard is not None and guard.why is not None:
                answer: tuple[Hold, ...] | Failed = question.failed(Failed(guard.why))
            else:
                answer = question.ask((run, self._sight(view), now), partial(answers.holds, now=now))
            if isinstance(answer, Failed):
                answer = (self._failure(question.plugin, answer, now),)
            found += [(question.plugin, hold) for hold in answer]
        return found

    def demand(self, run: Run, view: View) -> Demand | None:
        """Any width, where the plugin fails: `holds` keeps the run from starting, and what runs keeps its payers."""
        for question in self._demanding:
            answer = self._width(question, run, view)
            if isinstance(answer, Failed):
                unit = run.spec.topology.group_gpus or run.spec.resources.gpus_per_pod
                return Demand(least=unit, most=max(unit, run.gpus - run.gpus % unit), step=unit)
            return answer
        return None

    def _width(self, question: Question[Any], run: Run, view: View) -> Demand | Failed | None:
        return question.ask((run, self._sight(view)), partial(answers.demand, run=run))

    def scores(self, domains: Sequence[Domain], need: Need, view: View) -> Sequence[float] | None:
        """The sum, domain by domain, over the plugins that have an opinion; None: none has."""
        wanted = tuple(domains)
        fit = partial(answers.scores, wanted=len(wanted))
        asked = [question.ask((wanted, need, self._sight(view)), fit) for question in self._scoring]
        given = [answer for answer in asked if answer is not None and not isinstance(answer, Failed)]
        return [sum(column) for column in zip(*given, strict=True)] if given else None

    def rank(self, run: Run, view: View) -> Rank | None:
        """The key of the plugin that the setting `rank` names."""
        for question in self._ranking:
            answer = question.ask((run, self._sight(view)), answers.rank)
            return None if isinstance(answer, Failed) else answer
        return None

    def moment(self, view: View, now: datetime) -> datetime | None:
        """The earliest of all plugins and their indexes."""
        soonest: datetime | None = None
        for guard in self._guards.values():
            if guard.moment is not None and (soonest is None or guard.moment < soonest):
                soonest = guard.moment
        for question in self._timing:
            answer = question.ask((self._sight(view), now), partial(answers.moments, now=now))
            if isinstance(answer, datetime) and (soonest is None or answer < soonest):
                soonest = answer
        return soonest

    @property
    def scoring(self) -> bool:
        return bool(self._scoring)

    # -- who pays -----------------------------------------------------------------------------------------------------

    @property
    def funding(self) -> bool:
        return bool(self._covering)

    def offers(self, ask: Ask, view: View, now: datetime) -> Offers:
        """Of all plugins, by tier, order and payer. A plugin that failed forbids to start without a payer."""
        found: list[Offer] = []
        unfunded = True
        for question, concerning in self._covering:
            if concerning and concerning.isdisjoint(ask.sections):
                continue
            answer = self._of_index(question, (ask, self._sight(view), now), funded.offers)
            if isinstance(answer, Failed):
                unfunded = False
            elif answer is not None:
                found += answer.offers
                unfunded = unfunded and answer.unfunded
        if len(found) > 1:
            found.sort(key=_place)
        return Offers(offers=tuple(found), unfunded=unfunded)

    def classify(self, lease: Lease, view: View, now: datetime) -> Class | None:
        """Owned, where the plugin fails: nothing is taken from anybody then."""
        for question in self._classifying:
            answer = self._of_index(question, (lease, self._sight(view), now), funded.cls)
            return Class.OWNED if isinstance(answer, Failed) else answer
        return None

    def meter(self, lease: Lease, view: View, now: datetime) -> Split | None:
        """None also where the plugin fails."""
        for question in self._metering:
            fit = partial(funded.split, lease=lease, now=now)
            answer = self._of_index(question, (lease, self._sight(view), now), fit)
            return None if isinstance(answer, Failed) else answer
        return None

    def account(self, budget: Budget, view: View, now: datetime) -> Account | None:
        """Of all plugins; where two say the same, the first by name counts."""
        fit, asked = partial(funded.account, declared=self._accountable), (budget, self._sight(view), now)
        said = [self._of_index(question, asked, fit) for question in self._accounting]
        given = [answer for answer in said if isinstance(answer, Account)]
        if not given:
            return None
        conditions = {one.type: one for answer in reversed(given) for one in answer.conditions}
        sections = {cls: part for answer in reversed(given) for cls, part in answer.sections.items()}
        return Account(conditions=tuple(conditions[name] for name in sorted(conditions)), sections=sections)

    def victims(self, stage: Stage, flavor: str, view: View, now: datetime) -> Sequence[Unit]:
        """Of all plugins, each once."""
        found: set[Unit] = set()
        for question in self._reclaiming:
            answer = self._of_index(question, (stage.name, flavor, self._sight(view), now), funded.units)
            if not isinstance(answer, Failed):
                found.update(answer)
        return sorted(found, key=funded.order_of)

    def protected(self, run: Run, view: View, now: datetime) -> Sequence[tuple[str, str]]:
        """Every plugin's reasons, by plugin name; a plugin that failed to answer protects."""
        found: list[tuple[str, str]] = []
        for question in self._protecting:
            answer = self._of_index(question, (run, self._sight(view), now), answers.lines)
            if isinstance(answer, Failed):
                answer = (f"it failed to answer whether this run may be cut ({answer.why})",)
            found += [(question.plugin, line) for line in answer]
        return found

    def proposals(self, run: Run, ask: Ask, short: int, view: View) -> Sequence[Proposal]:
        """Of all plugins, by plugin name, in each one's order."""
        fit = partial(funded.proposals, declared=self._declared)
        given = (run, ask, short, self._sight(view))
        asked = [self._of_index(question, given, fit) for question in self._proposing]
        return [one for answer in asked if not isinstance(answer, Failed) for one in answer]

    def _of_index(
        self, question: Question[Any], arguments: tuple[object, ...], fit: Callable[[object], T]
    ) -> T | Failed:
        """A plugin whose index is broken is not asked: it could not know."""
        guard = self._guards.get(question.plugin)
        if guard is not None and guard.why is not None:
            return question.failed(Failed(guard.why))
        return question.ask(arguments, fit)

    # -- told, and told about -----------------------------------------------------------------------------------------

    def recorded(self, record: Record) -> None:
        """Tell every plugin that listens."""
        for question in self._listening:
            question.ask((record,), answers.nothing)

    def explained(self, run: Run, view: View, now: datetime) -> Sequence[tuple[str, str]]:
        """Every plugin's lines for a person, each with the plugin's name."""
        found: list[tuple[str, str]] = []
        for question in self._explaining:
            answer = question.ask((run, self._sight(view), now), answers.lines)
            if not isinstance(answer, Failed):
                found += [(question.plugin, line) for line in answer]
        return found

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """By plugin, then hook."""
        return tuple(sorted((question.tally for question in self._questions), key=lambda one: (one.plugin, one.hook)))

    @staticmethod
    def overdue() -> tuple[Late, ...]:
        """Calls of plugins, in any thread, that are past their time and could not be broken yet; for a health check."""
        return WATCHDOG.overdue()

    # -- resolving ----------------------------------------------------------------------------------------------------

    def _resolve(self, impls: Sequence[Impl]) -> tuple[Question[Any], ...]:
        return tuple(self._question(impl) for impl in impls)

    def _question(self, impl: Impl, function: Callable[..., object] | None = None) -> Question[Any]:
        """function: in place of the hook's own, one that takes two arguments, whatever the hook's are."""
        order = CONTRACTS[impl.hook].arguments
        question: Question[Any] = Question(
            impl.plugin,
            impl.hook,
            function or impl.function,
            picks=[0, 1] if function else [order.index(argument) for argument in impl.arguments],
            settings=self._settings_of(impl.plugin),
            timeout=self._settings.hooks.timeout.total_seconds(),
            rest=self._recheck.total_seconds(),
        )
        self._questions.append(question)
        return question

    def _settings_of(self, plugin: str) -> object:
        return self._settings.plugins.get(plugin, self._defaults.get(plugin))

    def _index(self, impl: Impl, view: View) -> Index:
        given = {"view": sight(view), "settings": self._settings_of(impl.plugin)}
        try:
            return WATCHDOG.call(f"{impl.plugin}: runs_index", _made, LONGEST_START, impl, given)[0]
        except Unfit as wrong:
            raise PluginError(f"the index of plugin {impl.plugin}: {wrong}; {_remedy(impl.plugin)}") from None
        except TooSlow as slow:
            why = str(slow)
        except BaseException as error:
            if not its_own(error):
                raise
            why = told(error)
        raise PluginError(f"plugin {impl.plugin} failed in runs_index: {why}; {_remedy(impl.plugin)}")

    def _sight(self, view: View) -> Sight:
        seen = self._seen
        if seen is None or seen.of is not view:
            seen = self._seen = sight(view)
        return seen

    def _failure(self, plugin: str, failure: Failed, now: datetime) -> Hold:
        message = f"plugin {plugin} failed to answer whether this run may start ({failure.why}); {_remedy(plugin)}"
        return Hold(FAILED, message, now + self._recheck)


def _made(impl: Impl, given: dict[str, object]) -> Index:
    index: Index = impl.function(**{name: given[name] for name in impl.arguments})
    if not callable(getattr(index, "apply", None)):
        raise Unfit(f"got {answers.kind_of(index)}, which has no apply(change)")
    try:
        hears_of(index)
        parts_of(index)
    except TypeError as wrong:
        raise Unfit(str(wrong)) from None
    return index


def _remedy(plugin: str) -> str:
    return f"mend it, or switch it off with `plugins: {{{plugin}: {{enabled: false}}}}`"

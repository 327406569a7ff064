"""What every plugin must keep, as tests.

Point them at yours, and pytest runs them:

    class TestHouseRules(PluginConformance):
        name = "houserules"
        plugin = runs_houserules.plugin
        settings = HouseRules(most_gpus=16)
        runs = (a_run("night", labels={"team": "vision"}),)

They prove what is asked here and no more: that the answers are right is for the plugin's own tests.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.registry import of
from runs_core.hooks.sight import GuardedIndex
from runs_core.settings import Settings
from runs_core.testing.builders import a_need, a_record, a_world, seen
from runs_core.testing.history import History, a_fleet, odd_runs
from runs_core.testing.state import state_of
from runs_core.values.change import Change
from runs_core.values.run import Run
from runs_core.world.view import Index
from runs_core.world.world import World

CHANGES = 120
SEEDS = (1, 2, 3)
TOGETHER = 7


class Trial:
    """A world, and the advice of one plugin in it."""

    def __init__(self, name: str, plugin: object, settings: object, world: World) -> None:
        self.world = world
        self.funded = False
        self._indexes: list[Index] = []
        registry = of(**{name: plugin})
        given = MappingProxyType({} if settings is None else {name: settings})
        rank = name if registry.implementing("runs_rank") else None
        self.advice = PluginAdvice(registry, Settings(plugins=given, rank=rank))
        self.advice.attach(self, world)

    def attach(self, cls: type, index: Index) -> None:
        """As the world does, and keeps the index in mind."""
        self._indexes.append(index)
        self.world.attach(cls, index)

    def answers(self, runs: Sequence[Run] | None = None) -> Mapping[str, object]:
        """Everything that the plugin says, about all runs or these, in their order."""
        world, advice, now = self.world, self.advice, self.world.now
        domains = sorted({node.domain for node in world.nodes()})
        said: dict[str, object] = {"the next moment": advice.moment(world, now)}
        for stage in advice.stages:
            for flavor in world.flavors():
                said[f"the victims of {stage.name} among {flavor}"] = advice.victims(stage, flavor, world, now)
        for run in world.runs() if runs is None else runs:
            said[f"the holds of {run.key}"] = advice.holds(run, world, now)
            said[f"the demand of {run.key}"] = advice.demand(run, world)
            said[f"the rank of {run.key}"] = advice.rank(run, world)
            said[f"the scores for {run.key}"] = advice.scores(domains, a_need(run), world)
            said[f"what is offered to {run.key}"] = advice.offers(world.ask(run), world, now)
            said[f"what protects {run.key}"] = advice.protected(run, world, now)
            said[f"the classes of {run.key}"] = [advice.classify(one, world, now) for one in world.leases_of(run.key)]
            said[f"what is proposed for {run.key}"] = advice.proposals(run, world.ask(run), run.gpus, world)
            said[f"what is explained of {run.key}"] = advice.explained(run, world, now)
        self.kept_up()
        return said

    def index(self) -> object:
        """What the plugin's index is made of."""
        return [state_of(index.inner) for index in self._indexes if isinstance(index, GuardedIndex)]

    def kept_up(self) -> None:
        """Nothing that was asked so far has failed."""
        failed = [tally for tally in self.advice.tallies if tally.failed]
        whys = [f"{tally.hook} failed {tally.failed} times: {tally.last_failure}" for tally in failed]
        _claim(not failed, "; ".join(whys))


class PluginConformance:
    """Subclass it as Test…. name: the entry point's. settings: a value of your settings class; None: its defaults.

    runs: some that your rules speak about, so that the histories are about them too.
    """

    name: ClassVar[str]
    plugin: ClassVar[Any]
    settings: ClassVar[object] = None
    runs: ClassVar[Sequence[Run]] = ()

    def trial(self, *changes: Change) -> Trial:
        """The plugin in a small fleet after these changes."""
        trial = Trial(self.name, self.plugin, self.settings, a_world(*a_fleet()))
        for change in changes:
            trial.world.apply(change)
        return trial

    def test_it_is_sound_and_answers_for_ordinary_and_odd_runs(self) -> None:
        trial = self.trial(*(seen(run) for run in (*odd_runs(), *self.runs)))
        trial.answers()

    def test_it_answers_in_an_empty_world(self) -> None:
        trial = Trial(self.name, self.plugin, self.settings, a_world())
        trial.answers([*odd_runs(), *self.runs])

    def test_it_answers_all_through_a_history(self) -> None:
        for seed in SEEDS:
            trial = self.trial()
            for change in History(self.runs, seed).changes(CHANGES):
                trial.world.apply(change)
                trial.answers()

    def test_the_same_question_has_the_same_answer_in_any_order(self) -> None:
        for seed in SEEDS:
            trial = self.trial(*History(self.runs, seed).changes(CHANGES))
            shuffled = list(trial.world.runs())
            random.Random(seed).shuffle(shuffled)
            _same(trial.answers(), trial.answers(), "asked again")
            _same(trial.answers(), trial.answers(shuffled), "asked in another order")

    def test_questions_change_nothing(self) -> None:
        for seed in SEEDS:
            trial = self.trial(*History(self.runs, seed).changes(CHANGES))
            world, index = list(trial.world.everything()), trial.index()
            trial.answers()
            _claim(world == list(trial.world.everything()), "an answer changed the world")
            _claim(index == trial.index(), "an answer changed the plugin's index; only apply may")

    def test_the_order_in_which_things_were_seen_does_not_matter(self) -> None:
        things = [*a_fleet(), *odd_runs(), *self.runs]
        usual = Trial(self.name, self.plugin, self.settings, a_world(*things)).answers()
        for seed in SEEDS:
            random.Random(seed).shuffle(things)
            shuffled = Trial(self.name, self.plugin, self.settings, a_world())
            for thing in things:
                shuffled.world.apply(seen(thing))
            _same(usual, shuffled.answers(), "of things seen in another order")

    def test_a_what_if_leaves_the_index_exactly_as_it_was(self) -> None:
        for seed in SEEDS:
            trial = self.trial()
            for change in History(self.runs, seed).changes(CHANGES):
                before, said = trial.index(), trial.answers()
                with trial.world.supposing([change]):
                    trial.answers()
                _claim(
                    before == trial.index(),
                    f"{change} and its inverse leave the index as {trial.index()}, not {before}",
                )
                _same(said, trial.answers(), f"after a what-if of {type(change).__name__}")
                trial.world.apply(change)

    def test_changes_that_come_together_are_taken_up_as_one_after_the_other(self) -> None:
        for seed in SEEDS:
            changes = list(History(self.runs, seed).changes(CHANGES))
            one_by_one, together = self.trial(*changes), self.trial()
            for at in range(0, CHANGES, TOGETHER):
                together.world.apply_all(changes[at : at + TOGETHER], [])
            _same(one_by_one.answers(), together.answers(), f"where {TOGETHER} changes came together")

    def test_time_before_the_moment_that_an_index_names_wakes_nobody(self) -> None:
        for seed in SEEDS:
            at_once, waiting = self.trial(), self.trial()
            for change in History(self.runs, seed).changes(CHANGES):
                at_once.world.touched, waiting.world.touched = set(), set()
                at_once.world.apply(change)
                waiting.world.apply_all([change], [], seen=True)
                woken, then = at_once.world.touched, waiting.world.touched
                _claim(woken == then, f"{change} wakes {sorted(woken)} where it is told of, and else {sorted(then)}")

    def test_an_index_that_grew_says_what_a_new_one_says(self) -> None:
        for seed in SEEDS:
            grown = self.trial(*History(self.runs, seed).changes(CHANGES))
            anew = World()
            for change in grown.world.everything():
                anew.apply(change)
            _same(grown.answers(), Trial(self.name, self.plugin, self.settings, anew).answers(), "after a restart")

    def test_it_takes_what_is_recorded(self) -> None:
        trial = self.trial()
        for run in (*odd_runs(), *self.runs):
            trial.advice.recorded(a_record(run))
        trial.kept_up()


def _claim(true: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as assert does, and works without pytest's rewriting
    if not true:
        raise AssertionError(otherwise)


def _same(first: Mapping[str, object], second: Mapping[str, object], when: str) -> None:
    for what in sorted({*first, *second}):
        said, then = first.get(what), second.get(what)
        _claim(said == then, f"{what}: {said!r}, but {then!r} {when}")

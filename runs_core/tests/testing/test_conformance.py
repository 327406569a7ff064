"""The conformance suite refuses each kind of plugin that breaks what it asks for, and passes one that keeps it."""

# ruff: noqa: ANN401 - plugins that lie answer what no type allows

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from runs_core.testing.builders import a_run
from runs_core.testing.conformance import PluginConformance
from runs_core.testing.plugins import a_plugin
from runs_core.values.change import Change, LeaseSeen, RunGone, RunSeen, TimePassed
from runs_core.values.decision import Hold
from runs_core.values.funding import Stage
from runs_core.values.lease import Closed
from runs_core.values.meta import Key
from runs_core.values.run import Run
from runs_core.world.view import View

CLAIMS = sorted(name for name in vars(PluginConformance) if name.startswith("test_"))


def refused(plugin: object) -> set[str]:
    """The claims that this plugin breaks."""
    suite = type("Suite", (PluginConformance,), {"name": "tried", "plugin": plugin, "runs": (a_run("a", gpus=2),)})()
    broken = set()
    for claim in CLAIMS:
        try:
            getattr(suite, claim)()
        except AssertionError:
            broken.add(claim)
    return broken


class Known:
    """The runs there are, rightly counted; `forgets`, `hoards` and `skims` are ways to get it wrong."""

    def __init__(self, *, forgets: bool = False, hoards: bool = False, skims: bool = False) -> None:
        self.keys: set[Key] = set()
        self.leases = 0
        self._forgets, self._hoards, self._skims = forgets, hoards, skims

    def apply_all(self, changes: Sequence[Change]) -> Iterable[Key]:
        """Of several together: all, or the last alone."""
        return [key for change in changes[-1 if self._skims else 0 :] for key in self.apply(change)]

    def apply(self, change: Change) -> Iterable[Key]:
        match change:
            case RunSeen(run):
                self.keys.add(run.key)
            case RunGone(key) if not self._forgets:
                self.keys.discard(key)
            case LeaseSeen() if self._hoards:
                self.leases += 1
            case _:
                pass
        return ()


def of_index(**wrong: bool) -> Any:
    def runs_index() -> Known:
        return Known(**wrong)

    def runs_explained(view: View) -> list[str]:
        index = view.index(Known)
        return [f"{len(index.keys)} runs, {index.leases} leases seen"]

    return a_plugin(runs_index, runs_explained)


def test_a_plugin_that_keeps_every_claim_passes() -> None:
    assert len(CLAIMS) == 11
    assert refused(of_index()) == set()


@pytest.mark.parametrize("wrong", ["forgets", "hoards"])
def test_an_index_that_an_inverse_does_not_restore_is_refused(wrong: str) -> None:
    found = refused(of_index(**{wrong: True}))
    assert "test_a_what_if_leaves_the_index_exactly_as_it_was" in found
    assert "test_an_index_that_grew_says_what_a_new_one_says" in found


def test_an_index_that_takes_up_a_part_of_what_comes_together_is_refused() -> None:
    found = refused(of_index(skims=True))
    assert found == {"test_changes_that_come_together_are_taken_up_as_one_after_the_other"}


def test_an_index_that_tells_of_time_before_the_moment_that_it_names_is_refused() -> None:
    class Restless(Known):
        def apply(self, change: Change) -> Iterable[Key]:
            super().apply(change)
            return tuple(self.keys) if isinstance(change, TimePassed) else ()

        def next_moment(self) -> None:
            return None

    def runs_index() -> Known:
        return Restless()

    assert refused(a_plugin(runs_index)) == {"test_time_before_the_moment_that_an_index_names_wakes_nobody"}


def test_an_answer_that_differs_when_asked_again_is_refused() -> None:
    asked: list[int] = []

    def runs_explained() -> list[str]:
        asked.append(1)
        return [f"asked {len(asked)} times"]

    assert "test_the_same_question_has_the_same_answer_in_any_order" in refused(a_plugin(runs_explained))


@pytest.mark.parametrize("hook", ["runs_cover", "runs_protected", "runs_classify", "runs_victims"])
def test_an_answer_about_payers_and_cuts_that_no_contract_allows_is_refused(hook: str) -> None:
    def runs_stages() -> list[Stage]:
        return [Stage(name="loans", order=1, closure=Closed.PREEMPTED)]

    def answer() -> Any:
        return [7]

    answer.__name__ = hook
    assert "test_it_answers_all_through_a_history" in refused(a_plugin(answer, runs_stages))


def test_an_answer_that_depends_on_who_came_first_is_refused() -> None:
    class First:
        key: Key | None = None

        def apply(self, change: Change) -> Iterable[Key]:
            if isinstance(change, RunSeen) and self.key is None:
                self.key = change.run.key
            return ()

    def runs_index() -> First:
        return First()

    def runs_hold(run: Run, view: View) -> list[Hold]:
        return [Hold("First", "wait")] if view.index(First).key == run.key else []

    assert "test_the_order_in_which_things_were_seen_does_not_matter" in refused(a_plugin(runs_index, runs_hold))


def test_an_answer_that_changes_the_index_is_refused() -> None:
    def runs_index() -> Known:
        return Known()

    def runs_hold(view: View) -> None:
        view.index(Known).leases += 1

    assert "test_questions_change_nothing" in refused(a_plugin(runs_index, runs_hold))


def test_a_plugin_that_an_odd_run_breaks_is_refused() -> None:
    def runs_hold(run: Run) -> None:
        if run.status.admitted_at is None:
            raise ValueError("not admitted")

    found = refused(a_plugin(runs_hold))
    assert "test_it_is_sound_and_answers_for_ordinary_and_odd_runs" in found
    assert "test_it_answers_in_an_empty_world" in found


def test_a_plugin_that_is_not_sound_is_told_why() -> None:
    suite = type("Suite", (PluginConformance,), {"name": "tried", "plugin": a_plugin(api=(9, 9))})()
    with pytest.raises(Exception, match="was written for HOOK_API 9 to 9"):
        suite.test_it_answers_in_an_empty_world()


def test_who_cannot_take_a_record_is_refused() -> None:
    def runs_recorded(record: Any) -> None:
        record.width = 3

    assert refused(a_plugin(runs_recorded)) == {"test_it_takes_what_is_recorded"}

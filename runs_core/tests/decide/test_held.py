"""Held quota, for any plugin that answers who pays: this one is a few lines long.

`main` has 8 and nobody starts unfunded; `held` and `long`, of 4, run for an hour and for two; `wide`, of 8, waits from
the first minute on, and patience is 10 minutes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace

import attrs

from runs_core.hooks.specs import hookimpl
from runs_core.serve.views.queue import line
from runs_core.settings import PatienceSettings, Settings
from runs_core.testing.builders import a_budget, a_node, a_run
from runs_core.testing.harness import Harness
from runs_core.testing.purses import HOUR, Purse, Purses, hours, purses
from runs_core.values.funding import Ask, Offers
from runs_core.values.node import Node
from runs_core.values.run import Phase, Run, Runtime
from runs_core.world.view import View

SETTINGS = Settings(patience=PatienceSettings(default="10m"))


def knowing() -> SimpleNamespace:
    """The plugin, and it knows what it is to be asked as if its envelopes were empty."""
    plugin = purses(Purse(name="main", gpus=8), unfunded=False)
    honest = plugin.runs_cover

    def runs_cover(ask: Ask, view: View, now: datetime) -> Offers:
        found: Offers = honest(view, now)
        if not ask.empty:
            return found
        whole = {purse.name: purse.gpus for purse in view.index(Purses).purses}
        full = [attrs.evolve(one, had=gpus, gpus=gpus) for one in found.offers if (gpus := whole[one.payer.envelope])]
        return attrs.evolve(found, offers=tuple(full))

    plugin.runs_cover = hookimpl(runs_cover)
    return plugin


def waiting(plugin: SimpleNamespace) -> Harness:
    """Until `held` has gone, with `small`, of 4, which came last."""
    stage = Harness(
        a_budget("vision"),
        *(a_node(name, gpus=8) for name in ("n1", "n2")),
        hours(a_run("held", gpus=4), 1),
        hours(a_run("long", gpus=4), 2),
        plugins={"purses": plugin},
        settings=SETTINGS,
        oracles=True,
    )
    stage.advance(minutes=1)
    for name, gpus in (("wide", 8), ("small", 4)):
        run = a_run(name, gpus=gpus)
        came = attrs.evolve(run.status, admitted_at=None, queued_since=None)
        stage.submit(hours(attrs.evolve(run, status=came), 1))
        stage.advance(minutes=1)
    stage.advance(timedelta(hours=1).seconds)
    return stage


def test_a_plugin_that_knows_of_it_needs_no_more() -> None:
    stage = waiting(knowing())
    assert (stage.phase("wide"), stage.phase("small")) == (Phase.QUEUED, Phase.QUEUED)
    stage.advance(hours=1)
    assert (stage.phase("wide"), stage.phase("small")) == (Phase.RUNNING, Phase.QUEUED)


def test_of_one_that_does_not_nothing_is_held_for_who_is_unfunded() -> None:
    stage = waiting(purses(Purse(name="main", gpus=8), unfunded=False))
    assert (stage.phase("wide"), stage.phase("small")) == (Phase.QUEUED, Phase.RUNNING)


def test_the_line_says_so_on_both_sides() -> None:
    stage = waiting(knowing())
    said = {one.run.name: one.message for one in line(stage.world, stage.loop.advice).items}
    assert "8 GPUs of vision/main are held for it" in said["wide"]
    assert "vision/main gives 0 of 4: held for research/wide" in said["small"]
    assert "held for" not in said["wide"].replace("are held for it", "")


def promised_and_behind(plugin: SimpleNamespace, *more: Node) -> Harness:
    """`first`, of 8, is promised what `held` leaves, and so holds all of `main`; `second` wants the very same."""
    stage = Harness(a_budget("vision"), a_node("n1"), *more, plugins={"purses": plugin}, oracles=True)
    stage.submit(saying(a_run("held", gpus=4)))
    stage.settle()
    for name in ("first", "second"):
        stage.advance(seconds=1)
        stage.submit(saying(a_run(name, gpus=8)))
        stage.settle()
    return stage


def saying(run: Run) -> Run:
    return hours(attrs.evolve(run, spec=attrs.evolve(run.spec, runtime=Runtime(expected_duration=HOUR))), 1)


def test_who_is_not_paid_for_behind_one_that_wants_the_same_is_told_so_at_once_and_stands_in_line() -> None:
    for unfunded in (False, True):
        stage = promised_and_behind(purses(Purse(name="main", gpus=12), unfunded=unfunded))
        assert (stage.phase("first"), stage.phase("second")) == (Phase.RESERVED, Phase.QUEUED)
        told = stage.run("second").status
        assert (told.reason, told.admitted_at) == ("OutOfQuota", stage.now)
        assert "vision/main gives 0 of 8: held for research/first" in told.message
        decisions = len(stage.records)
        stage.advance(minutes=5)
        assert len(stage.records) == decisions


def test_who_is_not_paid_for_behind_one_that_wants_the_same_may_start_unpaid_where_that_may_not() -> None:
    """`main` pays only on n1, half of which is free; n2 is idle."""
    here = (("kubernetes.io/hostname", "n1"),)
    nodes = [a_node(name, labels={"kubernetes.io/hostname": name}) for name in ("n1", "n2")]
    for unfunded, phase in ((True, Phase.STARTING), (False, Phase.QUEUED)):
        plugin = purses(Purse(name="main", gpus=12, selector=here), unfunded=unfunded)
        stage = promised_and_behind(plugin, *nodes)
        assert (stage.phase("first"), stage.phase("second")) == (Phase.RESERVED, phase)

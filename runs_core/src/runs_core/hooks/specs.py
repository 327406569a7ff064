"""The hooks: each is a question, and its docstring is the contract. A plugin implements those that it has an answer to.

An implementation names only the arguments that it wants. `settings` is the plugin's own, as the class that its
`runs_settings` returned; None without one. `view` is the world, read-only; keep neither it nor what it returned: ask
again. Only an index may keep the view that it was made with, to ask it while a change is taken up.
"""

# ruff: noqa: D400 - a hook is a question, and ends like one

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import pluggy

from runs_core.decide.advice import Rank
from runs_core.hooks.permission import Permission
from runs_core.values.budget import Budget
from runs_core.values.classes import Class, Split
from runs_core.values.decision import Hold
from runs_core.values.demand import Demand
from runs_core.values.funding import Account, Ask, Offers, Proposal, Stage, Unit
from runs_core.values.lease import Lease
from runs_core.values.need import Need
from runs_core.values.node import Domain
from runs_core.values.record import Record
from runs_core.values.run import Run
from runs_core.values.section import Section
from runs_core.world.view import Index, View

HOOK_API = 1
"""Counts the changes of meaning below. A plugin states the range it was written for: RUNS_HOOK_API = (low, high)."""

PROJECT = "runs"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
F = TypeVar("F", bound=Callable[..., Any])


def concerning(*sections: type) -> Callable[[F], F]:
    """Mark an implementation of `runs_cover`: it is asked only of runs whose spec has one of these sections.

    sections: classes that the plugin's own `runs_sections` declares for Run; a plugin that names others is refused.
    Who has nothing to say of any other run saves a call for most of them.
    TypeError: none are named, as where it stands without parentheses.
    """
    if not sections or not all(isinstance(one, type) for one in sections):
        raise TypeError("concerning wants classes of sections: write @concerning(YourSection)")

    def mark(function: F) -> F:
        function.runs_concerning = sections  # type: ignore[attr-defined]  # read where the plugin is loaded
        return function

    return mark


@hookspec
def runs_settings() -> type:
    """Which settings do you have?

    Asked: once, at start, before the settings are read.
    Returns: a frozen attrs class, every field with a default. Administrators write it as `plugins: {NAME: {…}}`.
    Answers merge: each plugin's stands; two that contradict each other refuse to start.
    A failure: the scheduler does not start until the plugin is mended or switched off.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_sections() -> Sequence[Section]:
    """Which fields do you add to the specs of Run and Budget?

    Asked: once, at start.
    Returns: sections; each names its kind, its place in the spec, and a frozen attrs class with the fields. Read one
    with `section(run.spec.sections, YourClass)`: None where the manifest has none of it. What relates your fields
    among each other stands in the class (`@rules`), what relates them to fields of others in the section's `rules`.
    Answers merge: each plugin's stands; two that contradict each other refuse to start.
    A failure: the scheduler does not start until the plugin is mended or switched off.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_permissions() -> Sequence[Permission]:
    """What must you be allowed to do in the cluster, beyond what core may?

    Asked: once, at start, and by `runs plugins show`.
    Returns: API groups, resources and verbs.
    Answers merge: each plugin's stands; two that contradict each other refuse to start.
    A failure: the scheduler does not start until the plugin is mended or switched off.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_index(view: View, settings: object) -> Index:
    """What do you keep count of?

    Asked: once, at start, with the world as it stands then.
    Returns: an object with `apply(change)`. It is fed with all that is known and then with each change, before the
    world takes it up, and returns the keys of the runs whose hold or class may change by it, and the Payers (envelopes)
    that may now give more than before. In place of a Payer, `Gives(payer, gpus)` says by how many GPUs at most what any
    offer of it `had` is more now, so that nobody is asked for a run that all its envelopes together could not pay for;
    then no offer gives more than it had. `Takes(payer, gpus)` says that an offer of it may give so many GPUs less; who
    says so of all that makes an envelope give less marks its offers as `told`, and whom they pay for is not asked again
    as long as they would still pay. In a what-if it gets the inverse of each change as well, last first, and must
    then be exactly as before. If it has `supposed(begins)`, that is called around each what-if, so that it can leave
    alone what time alone moves; if it has `observed()`, that is called once all that was seen in a turn is taken up,
    and before anything is decided. If it has `hears`, the classes of the changes that it takes up, it is told of no
    others; as a mapping, `hears` may give `RunSeen` the parts of a run that it looks at, such as `spec` or
    `status.phase`, and then it is told of a run that it knows only where one of them is another. If it has
    `apply_all(changes)`, that is called in place of `apply` with what comes together, as what is seen in a turn or
    follows from a decision: in its order, at most 100 in one call, and once the world has taken it up. `apply_all` must
    come to the same as one `apply` after the other. If such an index also has `next_moment()`, it says when time alone
    will next change it, have it tell of anything, or change a hold of yours; None: never. It is after now; when a
    hundred have come, each within two seconds of the one before, those that follow so count as a second apart. Of time
    that passes until then it is told with what comes next, so that your other hooks go by their `now`; and that moment
    need not be among `runs_moments`. `view.index(YourClass)` hands it to your other hooks; one class, one index.
    Answers merge: each plugin's stands; two that contradict each other refuse to start.
    A failure: the scheduler does not start until the plugin is mended or switched off. If `apply`, or another of these
    calls, fails later, the index is broken until the next start, and with it each answer of yours that would need it:
    `runs_hold` holds, the others have no opinion.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_hold(run: Run, view: View, now: datetime, settings: object) -> Sequence[Hold] | None:
    """Which reasons does this run have to wait?

    Asked: whenever a run that has not started could start: when it or what it waits for changed, when your index named
    it, when the `until` of a reason has come. Never of a run that runs.
    Returns: at most 16 reasons; none, or None, lets it pass. `code` is one word, such as OutsideOfficeHours; `message`
    one line of at most 1000 characters that says what would help; `until` (with its zone, after now) when time alone
    may lift it; within a second counts as a second from now. Without `until` it is asked again after `hooks.recheck`.
    Answers merge: all reasons count; one is enough.
    A failure: the run is held with reason PluginFailed, and asked again after `hooks.recheck`.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_demand(run: Run, view: View, settings: object) -> Demand | None:
    """How wide may this run be, beyond what its spec says?

    Asked: of each run that is new or was edited, and again while it is decided on.
    Returns: the GPUs that it needs at least, those that it would take at most, and the step between widths; each a
    multiple of its `topology.groupGPUs`, without groups of its `resources.gpusPerPod`. It starts at the widest step
    that is paid for and finds room, or, where nobody pays for the least, at the widest that finds room; what it holds
    may then lose its payer group by group. It must follow from the run alone: it is not asked again because something
    else changed. None: it is as wide as `resources.gpus` says, all or nothing.
    Answers merge: one plugin answers; several that say how wide a run may be refuse to start.
    A failure: a run that waits is held with reason PluginFailed, and asked again after `hooks.recheck`; one that runs
    goes on, and may lose its payer group by group.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_score(domains: Sequence[Domain], need: Need, view: View, settings: object) -> Sequence[float] | None:
    """Among domains that would serve this need equally well, which would you rather use?

    Asked: while a run is placed, for the domains that tie.
    Returns: one number for each domain, in the order given; lower is better. Finite and within ±1e9. By custom 0 is
    neutral and 1 a strong dislike, so that the sum over plugins means something. None: no opinion.
    Answers merge: summed, element by element.
    A failure: as if the plugin had returned None.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_rank(run: Run, view: View, settings: object) -> Rank | None:
    """Where in the line does this run stand?

    Asked: each time a waiting run changes, if the setting `rank` names your plugin.
    Returns: at most 8 numbers or texts; the line is sorted by them, ascending, then by the run's name. It must follow
    from the run alone: it is not asked again because something else changed. None: by admission time, behind the runs
    that have a rank.
    Answers merge: one plugin answers, the one that the setting `rank` names.
    A failure: the run stands in line by its admission time, behind the runs that have a rank.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_cover(ask: Ask, view: View, now: datetime, settings: object) -> Offers | None:
    """Who would pay for this, and how much of it?

    Asked: whenever a run in line could be paid for: when it or an envelope that its last answer named changed, and
    of a run that holds GPUs without a payer. Runs that ask the same are asked for once. With `@concerning(…)`, only of
    runs whose spec has one of those sections.
    Returns: every envelope that you looked at as an Offer, those that give nothing too, each with the reason why it
    gives no more; at most 10000, each payer once, GPUs as whole numbers, and none gives more than it had. An offer
    displaces nobody. Offers that name the same Cap share it. `unfunded`: whether the run may start without a payer.
    `opens`, of an offer that gives more by time alone (a window opens): when. If nobody pays for the run now you are
    asked again as of that moment, in a what-if in which time has passed until then; if all of it is paid for then, and
    there is room, it is promised a start at that moment.
    Part of what you offer may be held for a run that stands before this one, and core takes that off. So look for
    `ask.held` GPUs more than it wants; and where `ask.empty` is set, answer as if nobody held anything of the own
    envelopes of its owner: that is what a run holds which nobody has paid for longer than patience. A Cap that is the
    asker's own (`askers`) is bounded by nobody else.
    Answers merge: offers are taken by tier, order and payer; a run may start unfunded if nobody forbids it.
    A failure: nothing is offered, and the run may not start without a payer.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_classify(lease: Lease, view: View, now: datetime, settings: object) -> Class | None:
    """What class is this open lease of now?

    Asked: when your index named its run, and when GPUs are to be taken back.
    Returns: its class; None: no opinion.
    Answers merge: one plugin answers; several that classify refuse to start.
    A failure: as if it were owned, so that a failure takes nothing from anybody.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_meter(lease: Lease, view: View, now: datetime, settings: object) -> Split | None:
    """How many GPU-seconds has this lease used so far, by class?

    Asked: when its class changed, and when it closes.
    Returns: whole GPU-seconds since its start; their sum is its GPUs times the whole seconds that it is open.
    Answers merge: one plugin answers; several that meter refuse to start.
    A failure: nothing is written down this time.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_account(budget: Budget, view: View, now: datetime, settings: object) -> Account | None:
    """What is to stand in the status of this Budget?

    Asked: when the Budget, what it pays for or the fleet's flavors changed, at most every `accounts.every`, and every
    minute while it pays.
    Returns: conditions, and your sections of the status.
    Answers merge: each plugin's conditions and sections stand; the first by name counts where two say the same.
    A failure: nothing is said; only the counter tells.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_stages() -> Sequence[Stage]:
    """Which kinds of work can be taken back?

    Asked: once, at start.
    Returns: stages; each with a name of its own, and its place in the order.
    Answers merge: each plugin's stands; two that contradict each other refuse to start.
    A failure: the scheduler does not start until the plugin is mended or switched off.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_victims(stage: str, flavor: str, view: View, now: datetime, settings: object) -> Sequence[Unit] | None:
    """Which units of work of this flavor could be taken back at this stage?

    Asked: when a run that somebody pays for finds no room, with the classes as they are once its claim is made.
    Returns: candidates, at most 1000000; whoever must not be cut is taken out by the scheduler.
    Answers merge: all candidates count, each once.
    A failure: as if the plugin had returned None.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_protected(run: Run, view: View, now: datetime, settings: object) -> Sequence[str] | None:
    """Why must this run not be cut now?

    Asked: of each candidate, when GPUs are to be taken back; after `hooks.recheck` again, if it was spared for it.
    Returns: at most 50 lines of at most 1000 characters; none, or None, leaves it to the draw.
    Answers merge: all reasons count; one is enough.
    A failure: as if it protected the run, so that a failure takes nothing from anybody.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_remedies(run: Run, ask: Ask, short: int, view: View, settings: object) -> Sequence[Proposal] | None:
    """Which changes of your part of its spec might make somebody pay for this run, or let it start where nobody does?

    Asked: of a run that waits and that nobody pays for, by `runs plan` and `runs explain`. ask: as in `runs_cover`.
    short: GPUs that nobody pays for.
    Returns: at most 100 proposals; each with the change in one line of at most 1000 characters, and a value of a class
    of Run that `runs_sections` declared, which takes the place of the run's own. Whether it helps is worked out by the
    scheduler, so name what might.
    Answers merge: each is tried by itself, by plugin name; those that come true are shown.
    A failure: as if the plugin had returned None.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_moments(view: View, now: datetime, settings: object) -> Sequence[datetime] | None:
    """When will time alone change an answer of yours?

    Asked: at the end of each cycle. When the moment comes, every held run is asked again.
    Returns: at most 1000 moments, with their zone, all after now; one within a second counts as a second from now. The
    `until` of a hold need not be repeated here.
    Answers merge: the earliest counts.
    A failure: as if the plugin had returned None.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_recorded(record: Record, settings: object) -> None:
    """What do you make of what was decided and carried out?

    Asked: after the writes of a cycle, once for each decision.
    Returns: nothing.
    Answers merge: nothing is returned.
    A failure: nothing is said; only the counter tells.
    Since: HOOK_API 1.
    """
    raise NotImplementedError


@hookspec
def runs_explained(run: Run, view: View, now: datetime, settings: object) -> Sequence[str] | None:
    """What do you want to tell a person who asks why this run is where it is?

    Asked: by `runs explain`.
    Returns: at most 50 lines of at most 1000 characters, as plain text; they are shown under your plugin's name.
    Answers merge: all lines, by plugin name.
    A failure: nothing is said; only the counter tells.
    Since: HOOK_API 1.
    """
    raise NotImplementedError

"""What each hook promises: how answers merge, and what a failure means. `ask` acts by it, the reference prints it."""

from __future__ import annotations

import inspect
from enum import Enum

import attrs

from runs_core.hooks import specs


class Merge(Enum):
    """How the answers of several plugins become one. None of them depends on the order of the plugins."""

    DECLARED = "each plugin's stands; two that contradict each other refuse to start"
    VETO = "all reasons count; one is enough"
    SUM = "summed, element by element"
    OWNER = "one plugin answers, the one that the setting `rank` names"
    EARLIEST = "the earliest counts"
    UNION = "all lines, by plugin name"
    WIDTH = "one plugin answers; several that say how wide a run may be refuse to start"
    OFFERS = "offers are taken by tier, order and payer; a run may start unfunded if nobody forbids it"
    CLASSIFIER = "one plugin answers; several that classify refuse to start"
    METER = "one plugin answers; several that meter refuse to start"
    FIRST = "each plugin's conditions and sections stand; the first by name counts where two say the same"
    CANDIDATES = "all candidates count, each once"
    PROPOSALS = "each is tried by itself, by plugin name; those that come true are shown"
    TOLD = "nothing is returned"


SOLE = frozenset({Merge.WIDTH, Merge.CLASSIFIER, Merge.METER})
"""Of two plugins that answer, neither could count."""


class Failure(Enum):
    """What it means that a plugin raised, took too long, or answered what it must not. Each one is counted."""

    REFUSES = "the scheduler does not start until the plugin is mended or switched off"
    HOLDS = "the run is held with reason PluginFailed, and asked again after `hooks.recheck`"
    HOLDS_OR_GOES_ON = (
        "a run that waits is held with reason PluginFailed, and asked again after `hooks.recheck`; one that runs goes "
        "on, and may lose its payer group by group"
    )
    NO_OPINION = "as if the plugin had returned None"
    ADMISSION_TIME = "the run stands in line by its admission time, behind the runs that have a rank"
    NO_OFFER = "nothing is offered, and the run may not start without a payer"
    OWNED = "as if it were owned, so that a failure takes nothing from anybody"
    PROTECTED = "as if it protected the run, so that a failure takes nothing from anybody"
    UNMETERED = "nothing is written down this time"
    SILENCE = "nothing is said; only the counter tells"


@attrs.frozen
class Contract:
    """since: the first HOOK_API that has the hook."""

    hook: str
    merge: Merge
    failure: Failure
    since: int = 1

    @property
    def arguments(self) -> tuple[str, ...]:
        """All that an implementation may name, in order."""
        return tuple(inspect.signature(getattr(specs, self.hook)).parameters)

    @property
    def asked(self) -> str:
        """The docstring of the hook: the contract as a plugin's author reads it."""
        return inspect.getdoc(getattr(specs, self.hook)) or ""


CONTRACTS = {
    contract.hook: contract
    for contract in (
        Contract("runs_settings", Merge.DECLARED, Failure.REFUSES),
        Contract("runs_sections", Merge.DECLARED, Failure.REFUSES),
        Contract("runs_permissions", Merge.DECLARED, Failure.REFUSES),
        Contract("runs_index", Merge.DECLARED, Failure.REFUSES),
        Contract("runs_hold", Merge.VETO, Failure.HOLDS),
        Contract("runs_demand", Merge.WIDTH, Failure.HOLDS_OR_GOES_ON),
        Contract("runs_score", Merge.SUM, Failure.NO_OPINION),
        Contract("runs_rank", Merge.OWNER, Failure.ADMISSION_TIME),
        Contract("runs_cover", Merge.OFFERS, Failure.NO_OFFER),
        Contract("runs_classify", Merge.CLASSIFIER, Failure.OWNED),
        Contract("runs_meter", Merge.METER, Failure.UNMETERED),
        Contract("runs_account", Merge.FIRST, Failure.SILENCE),
        Contract("runs_stages", Merge.DECLARED, Failure.REFUSES),
        Contract("runs_victims", Merge.CANDIDATES, Failure.NO_OPINION),
        Contract("runs_protected", Merge.VETO, Failure.PROTECTED),
        Contract("runs_remedies", Merge.PROPOSALS, Failure.NO_OPINION),
        Contract("runs_moments", Merge.EARLIEST, Failure.NO_OPINION),
        Contract("runs_recorded", Merge.TOLD, Failure.SILENCE),
        Contract("runs_explained", Merge.UNION, Failure.SILENCE),
    )
}
"""By hook name, in the order of the reference."""

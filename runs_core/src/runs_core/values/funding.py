"""Who pays: what a run asks to be paid for, what is offered, and which class of claim comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

import attrs

from runs_core.values.classes import Tier
from runs_core.values.demand import Demand
from runs_core.values.lease import Closed, Payer
from runs_core.values.meta import Key, Pairs
from runs_core.values.placement import Placement
from runs_core.values.run import Condition


@attrs.frozen(kw_only=True)
class Ask:
    """What a run wants paid for, without its name: runs that ask the same are offered the same.

    gpus: of the whole gang; unit: of each of its pods, which has one payer. demand: of a gang that may be narrower than
    that; None: all or nothing. selector: labels that its nodes must have.
    min_runtime: so long nothing is taken back from it once it has started, and so long who pays for it must last.
    sections: the plugins' part of the run's spec.
    held: GPUs of what is offered that may be kept for others: so many more than it wants are to be looked for.
    empty: whether it is asked as if nobody held anything of its owner's own envelopes.
    """

    owner: str | None
    flavor: str
    gpus: int
    unit: int = 1
    demand: Demand | None = None
    selector: Pairs = ()
    min_runtime: timedelta = timedelta()
    sections: Mapping[type, Any] = attrs.field(default=MappingProxyType({}), hash=False)  # compared all the same
    held: int = 0
    empty: bool = False


class Cap(NamedTuple):
    """A bound that several offers share. left: GPUs. why: what the trace says of it; its name, unless given.

    askers: whether it is the asker's own bound, of which nobody else takes or holds anything.
    """

    name: str
    left: int
    why: str = ""
    askers: bool = False


@attrs.frozen(kw_only=True)
class Offer:
    """One envelope that was looked at. had: its GPUs that no claim before this one takes; gpus: what it may give.

    order: among offers of a tier, before the payer's name. why: why it gives less than it has, or has nothing.
    selector: it pays only for nodes with these labels. caps: what else bounds it, together with other offers.
    told: an index tells whenever it is to give less than this (`Takes`); else that may be so at any time.
    opens: when it gives more by time alone, as where a window opens; None: it does not, or nobody can tell.
    idle: GPUs of it that nobody holds, of which `Takes` tells as well: an own claim of more may displace somebody;
    None: any may.
    """

    tier: Tier
    payer: Payer
    had: int
    gpus: int
    order: int = 0
    why: str = ""
    selector: Pairs = ()
    caps: tuple[Cap, ...] = ()
    told: bool = False
    opens: datetime | None = None
    idle: int | None = None


@attrs.frozen(kw_only=True)
class Offers:
    """A plugin's answer: every envelope that it looked at. unfunded: whether the run may also start without a payer."""

    offers: tuple[Offer, ...] = ()
    unfunded: bool = True


class Gives(NamedTuple):
    """An envelope that may give more than before. gpus: `had` of no offer of it is more than by so many greater."""

    payer: Payer
    gpus: int


class Takes(NamedTuple):
    """An envelope that may give less than before. gpus: `gpus` of no offer of it that is told is less by more."""

    payer: Payer
    gpus: int


Told = Key | Payer | Gives | Takes
"""What an index tells of: a run whose hold or class may change, or an envelope that may give more, or less."""


@attrs.frozen(kw_only=True)
class Stage:
    """One kind of work that may be taken back.

    order: lower goes first. closure: how the leases of what is cut close. drawn: by lot; else the least protected class
    first, then the highest group. at_once: for whatever is paid for, as soon as it finds no room; else only for what is
    paid for by right (its own quota, or a loan), once its promised time has come, and courtesy claims go first.
    """

    name: str
    order: int
    closure: Closed
    drawn: bool = True
    at_once: bool = False


LOTTERY = Stage(name="lottery", order=4, closure=Closed.PREEMPTED)
"""Core's own, after those of all plugins: whoever holds GPUs, whether somebody pays for them or not."""


class Unit(NamedTuple):
    """What really stops: a whole run, or (group set) one group of a run that can do without it."""

    run: Key
    group: int | None = None


@attrs.frozen(kw_only=True)
class Proposal:
    """A change of a waiting run that may make somebody pay for it, or let it start where nobody does.

    change: in words. section: takes the place of the one of its class in the run's spec. words: of the `runs` command
    that makes the change, in the run's namespace; none: no command makes it.
    """

    change: str
    section: object
    words: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Account:
    """What a plugin has to say in a Budget's status. sections: by the class that it declared for the status."""

    conditions: tuple[Condition, ...] = ()
    sections: Mapping[type, Any] = MappingProxyType({})


class Share(NamedTuple):
    """One payer's part of a gang. selector: its places."""

    payer: Payer
    tier: Tier
    gpus: int
    selector: Pairs = ()


class Look(NamedTuple):
    """One line of the cover trace."""

    tier: Tier
    payer: Payer
    had: int
    gave: int
    why: str


@attrs.frozen(kw_only=True)
class Cover:
    """Who would pay for a gang. left: GPUs of its least width that nobody pays for; 0: it is fundable.

    shares: of the widest gang that somebody pays for, in the order of its ranks. opens: when time alone lets somebody
    give more, the first moment first; said only where it is not fundable.
    """

    shares: tuple[Share, ...] = ()
    looks: tuple[Look, ...] = ()
    left: int = 0
    unfunded: bool = True
    opens: tuple[datetime, ...] = ()

    @property
    def fundable(self) -> bool:
        return not self.left

    @property
    def gpus(self) -> int:
        """GPUs that somebody pays for."""
        return sum(share.gpus for share in self.shares)

    def of(self, gpus: int) -> Cover:
        """Who pays for its first ranks, where no more of them find room: what follows is not taken."""
        if self.gpus <= gpus:
            return self
        shares: list[Share] = []
        for share in self.shares:
            if gpus <= 0:
                break
            shares.append(share._replace(gpus=min(share.gpus, gpus)))
            gpus -= share.gpus
        return attrs.evolve(self, shares=tuple(shares))


@attrs.frozen(kw_only=True)
class Pledge:
    """Places and quota that are bound to a run which cannot take them yet: who is there has been told to go.

    since: when it was decided (UTC). resolution: the record of the taking-back.
    """

    run: Key
    uid: str
    owner: str | None
    shares: tuple[Share, ...]
    placement: Placement
    since: datetime
    resolution: str

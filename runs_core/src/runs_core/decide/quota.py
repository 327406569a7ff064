"""Why nobody pays for a gang, beside why it has no room."""

from __future__ import annotations

from itertools import islice

import attrs

from runs_core.decide.match import CORE, OUT_OF_QUOTA
from runs_core.values.changed import changer
from runs_core.values.decision import NoPlace, Reason
from runs_core.values.funding import Cover, Look
from runs_core.values.need import Need
from runs_core.values.quantity import counted

_with_cover = changer(NoPlace, "cover")
MOST_LOOKS = 4
"""Envelopes named in a message; `explain` shows all of them."""


def beside_quota(why: NoPlace, need: Need, said: Cover) -> NoPlace:
    """All reasons: quota goes before room, and behind what the fleet could never take.

    Who is paid for only in some places is told where: room elsewhere is of no use to it.
    """
    if said.fundable:
        return _with_cover(_only_where(why, said), said)
    reason = no_quota(need, said)
    room = why.reasons if why.never or said.unfunded else ()
    return attrs.evolve(why, reasons=(*room, reason) if why.never else (reason, *room), cover=said)


def _only_where(why: NoPlace, said: Cover) -> NoPlace:
    where = {
        f"{one.payer.budget}/{one.payer.envelope} pays only where {', '.join(map('='.join, one.selector))}": None
        for one in said.shares
        if one.selector
    }
    if not where:
        return why
    first, *others = why.reasons
    told = first._replace(message="; ".join((first.message, *islice(where, MOST_LOOKS))))
    return attrs.evolve(why, reasons=(told, *others))


def no_quota(need: Need, said: Cover) -> Reason:
    """Who was asked, and why they do not pay for all of it."""
    then = "waits for GPUs that nobody else is paid for" if said.unfunded else "waits for quota"
    if not said.looks:
        return Reason(CORE, OUT_OF_QUOTA, f"no envelope pays for {counted(need.gpus, 'GPU')}; {then}")
    told = "; ".join(_told(look) for look in said.looks[:MOST_LOOKS])
    more = len(said.looks) - MOST_LOOKS
    others = f"; and {more} more" if more > 0 else ""
    return Reason(CORE, OUT_OF_QUOTA, f"nobody pays for {said.left} of {need.gpus} GPUs ({told}{others}); {then}")


def _told(look: Look) -> str:
    why = f": {look.why}" if look.why else ""
    return f"{look.payer.budget}/{look.payer.envelope} gives {look.gave} of {look.had}{why}"


__all__ = ["OUT_OF_QUOTA", "beside_quota", "no_quota"]

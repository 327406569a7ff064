"""Which envelopes of a Budget are filled together: those that an aggregate cap couples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runs_budgets.envelopes import Purse, Shared
from runs_budgets.fill import BOUNDLESS, Fill
from runs_budgets.sections import AggregateCap, Quota


def lay_out(quota: Quota, purses: Mapping[str, Purse]) -> None:
    """Give each envelope its caps, its fill, and its places among the fill's bounds. Nothing is filled yet."""
    caps = [
        (cap, [purses[name] for name in cap.envelopes if _holds(cap, purses.get(name))])
        for cap in sorted(quota.aggregate_caps, key=lambda cap: cap.name)
    ]
    for fellows in _coupled(list(purses.values()), [members for _, members in caps]):
        shared = [Shared(cap, members) for cap, members in caps if members and members[0] in fellows]
        limits = [limit for purse in fellows for limit in purse.limits()] + [cap.gpus for cap in shared]
        fill = Fill(limits)
        for place, purse in enumerate(fellows):
            mine = [(at, cap) for at, cap in enumerate(shared, 2 * len(fellows)) if purse in cap.purses]
            purse.fill, purse.fellows = fill, tuple(fellows)
            purse.caps = tuple(cap for _, cap in mine)
            purse.own_dims = (2 * place, *(at for at, _ in mine))
            bounded = limits[2 * place + 1] < BOUNDLESS
            purse.loan_dims = (2 * place, *((2 * place + 1,) if bounded else ()), *(at for at, _ in mine))


def _holds(cap: AggregateCap, purse: Purse | None) -> bool:
    return purse is not None and purse.spec is not None and purse.spec.flavor == cap.flavor


def _coupled(purses: Sequence[Purse], groups: Sequence[Sequence[Purse]]) -> list[list[Purse]]:
    """Parts in which no group is divided."""
    part = {purse: [purse] for purse in purses}
    for group in groups:
        for purse in group[1:]:
            one, other = part[group[0]], part[purse]
            if one is not other:
                one += other
                part.update((moved, one) for moved in other)
    return list({id(one): sorted(one, key=lambda purse: purse.payer.envelope) for one in part.values()}.values())

"""Who would pay: each envelope that a run's owner may ask, nearest first, with what it had and why it gives less."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice

import attrs

from runs_budgets.claims import BORROWED, OWNED, SHARED
from runs_budgets.clock import MICRO, NEVER, micros, moment_of
from runs_budgets.envelopes import Purse
from runs_budgets.funding import Funding
from runs_budgets.sections import Envelope, Sharing, Terms
from runs_core import Ask, Cap, Offer, Offers, Pairs, Payer, Proposal, Run, Tier, section

GIVEN = Terms()
REMEMBERED = 20_000
"""Offers that need not be built anew."""
MOST_OFFERS = 10_000
"""More than a person could read; nearer ones come first."""


@attrs.frozen(kw_only=True)
class Asked:
    """A question, and when it is asked."""

    ask: Ask
    now: datetime

    @property
    def quantum(self) -> int:
        """So long an envelope's hours must last for all that it would then fund, in microseconds."""
        return max(1, self.ask.min_runtime // MICRO)


def cover(funding: Funding, asked: Asked) -> Offers:
    """Who would pay for this."""
    looked = islice(family_offers(funding, asked), MOST_OFFERS)
    return Offers(offers=tuple(looked), unfunded=unfunded_allowed(asked.ask))


def unfunded_allowed(ask: Ask) -> bool:
    """Whether the run may start on idle GPUs that nobody pays for."""
    return (section(ask.sections, Terms) or GIVEN).allow_unfunded


def proposals(run: Run) -> Sequence[Proposal]:
    """That it starts without a payer, where its spec forbids that."""
    terms = section(run.spec.sections, Terms) or GIVEN
    if terms.allow_unfunded:
        return ()
    return (Proposal(change="set funding.allowUnfunded", section=attrs.evolve(terms, allow_unfunded=True)),)


def family_offers(funding: Funding, asked: Asked) -> Iterator[Offer]:
    """The owner's own envelopes, its parents', siblings' and cousins', each by budget and name.

    A tier farther than needed, beside what may be kept for others, is not looked at. An envelope gives whole pods: a
    pod has one payer.
    """
    ask = asked.ask
    if ask.owner is None:
        return
    needed = ask.gpus + ask.held
    rests: dict[str, int] = {}
    for tier, purses in funding.quotas.near(ask.owner, ask.flavor):
        for purse in purses:
            offer = available(purse, tier, asked)
            if not offer.selector:  # else it may turn out that the run lies elsewhere
                needed -= _draw(offer, needed, rests, ask.unit)
            yield offer
        if needed <= 0:
            return


def drawn(offers: Iterable[Offer], needed: int) -> int:
    """What they would give together, wherever the run lies, of so many GPUs."""
    rests: dict[str, int] = {}
    return sum(_draw(offer, needed, rests, 1) for offer in offers)


def _draw(offer: Offer, needed: int, rests: dict[str, int], unit: int) -> int:
    """What would be taken of it: no more than is needed, nor than its caps have left, in whole pods."""
    takes = min(offer.gpus, needed)
    if offer.caps:
        takes = min(takes, *(rests.setdefault(cap.name, cap.left) for cap in offer.caps))
    takes -= takes % unit
    for cap in offer.caps:
        rests[cap.name] -= takes
    return takes


def available(purse: Purse, tier: Tier, asked: Asked, *, order: int = 0, limits: tuple[Cap, ...] = ()) -> Offer:
    """What one envelope may give to a new claim of that tier: only own claims displace anybody, and only family.

    order: among loans. limits: the asker's own.
    """
    spec = purse.spec
    assert spec is not None
    if _is_plain(purse, tier):
        return _plain(purse, spec, tier, asked.ask)
    empty = asked.ask.empty and tier is Tier.OWN
    before = 0 if empty else purse.contractual if tier is Tier.OWN else purse.taken
    had = max(0, spec.gpus - before)
    gives, why, caps = had, "", tuple(_caps(purse, tier, empty=empty)) if purse.caps else ()
    refusal = _refusal(purse, tier, asked)
    if refusal:
        gives, why = 0, refusal
    else:
        bounded = caps or purse.counted or tier is Tier.STRANGER
        for less, reason in _bounds(purse, tier, asked, caps, before) if bounded else ():
            if less < gives:
                gives, why = max(0, less), reason
        if not why and had < min(asked.ask.gpus, spec.gpus):
            payees = purse.payees[OWNED] + purse.payees[BORROWED] + (0 if tier is Tier.OWN else purse.payees[SHARED])
            why = _ranks_below(payees)
    return Offer(
        tier=tier,
        payer=purse.payer,
        had=had,
        gpus=gives,
        order=order,
        why=why,
        selector=spec.selector,
        caps=(*caps, *limits) if limits else caps,
        told=purse.steady,
        opens=None if purse.open or not refusal else _opens(purse, asked),
        idle=max(0, spec.gpus - purse.taken),
    )


def _is_plain(purse: Purse, tier: Tier) -> bool:
    """Whether it gives what it has, to whoever asks, wherever that lies, and now as at any time."""
    spec = purse.spec
    return (
        spec is not None
        and purse.open
        and purse.steady
        and not (purse.spent or purse.caps or spec.selector)
        and (tier is Tier.OWN or (tier is not Tier.STRANGER and spec.sharing is Sharing.FAMILY))
    )


def _plain(purse: Purse, spec: Envelope, tier: Tier, ask: Ask) -> Offer:
    owned, shared, borrowed, _ = purse.funded
    idle, own = max(0, spec.gpus - owned - shared - borrowed), tier is Tier.OWN
    had = (spec.gpus if ask.empty else max(0, spec.gpus - owned - borrowed)) if own else idle
    if had < ask.gpus and had < spec.gpus:
        payees = purse.payees[OWNED] + purse.payees[BORROWED] + (0 if own else purse.payees[SHARED])
        return _offer(purse.payer, tier, had, idle, _ranks_below(payees))
    return _offer(purse.payer, tier, had, idle, "")


@lru_cache(REMEMBERED)  # most envelopes are asked far more often than anything of them changes
def _offer(payer: Payer, tier: Tier, had: int, idle: int, why: str) -> Offer:
    return Offer(tier=tier, payer=payer, had=had, gpus=had, why=why, told=True, idle=idle)


@lru_cache(REMEMBERED)
def _ranks_below(payees: int) -> str:
    return f"ranks below {payees} {'claim' if payees == 1 else 'claims'}"


def _opens(purse: Purse, asked: Asked) -> datetime | None:
    """The beginning of its window; None: that is past."""
    start, _ = purse.edges()
    return moment_of(start) if micros(asked.now) < start else None


def _refusal(purse: Purse, tier: Tier, asked: Asked) -> str:
    spec = purse.spec
    assert spec is not None
    if _contradicts(spec.selector, asked.ask.selector):
        return "elsewhere"
    if not purse.open:
        start, end = purse.edges()
        now = micros(asked.now)
        return f"closed until {_when(start)}" if now < start else f"closed since {_when(end)}"
    if purse.spent:
        return "hours used up"
    if tier is Tier.STRANGER:
        owner = asked.ask.owner or "nobody"
        if spec.lending is None or not spec.lending.reaches(owner):
            return f"not lent to {owner}"
        return "hours to lend used up" if purse.lent_out else ""
    return "not shared" if tier is not Tier.OWN and spec.sharing is Sharing.NONE else ""


def _bounds(purse: Purse, tier: Tier, asked: Asked, caps: tuple[Cap, ...], before: int) -> Iterator[tuple[int, str]]:
    """before: GPUs funded that do not yield to it; its hours are to last for these too."""
    for cap in caps:
        yield cap.left, cap.why
    spec = purse.spec
    assert spec is not None
    whole, lent = purse.hours()
    if whole < NEVER:
        pays_for = (whole - purse.used(micros(asked.now))) // asked.quantum
        if pays_for < spec.gpus:
            yield pays_for - before, "hours left would pay less than its minRuntime"
    if tier is not Tier.STRANGER or spec.lending is None:
        return
    if spec.lending.max_gpus is not None:
        yield spec.lending.max_gpus - purse.funded[BORROWED], f"lends at most {spec.lending.max_gpus} GPUs"
    if lent < NEVER:
        pays_for = (lent - purse.used_lent(micros(asked.now))) // asked.quantum
        yield pays_for - purse.funded[BORROWED], "hours left to lend would pay less than its minRuntime"


def _caps(purse: Purse, tier: Tier, *, empty: bool) -> Iterator[Cap]:
    for cap in purse.caps:
        left = max(0, cap.gpus - (0 if empty else cap.contractual if tier is Tier.OWN else cap.taken))
        yield Cap(f"{purse.payer.budget}/{cap.name}", left, f"cap {cap.name}")


def _contradicts(ours: Pairs, theirs: Pairs) -> bool:
    if not ours or not theirs:
        return False
    wanted = dict(theirs)
    return any(wanted.get(key, value) != value for key, value in ours)


def _when(moment: int) -> str:
    return f"{moment_of(moment):%Y-%m-%dT%H:%M:%SZ}"

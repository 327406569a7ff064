"""A taking-back as an object: what was asked, who was taken, and everything that it follows from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime

import attrs

from runs_core.decide.draw import Stream, Suffices, Taking, seed_text
from runs_core.decide.fit import short_by
from runs_core.schema.evidence import packed, spec_digest
from runs_core.values.meta import Meta
from runs_core.values.nonces import Chain, Nonces
from runs_core.values.resolution import (
    Asker,
    Beneficiary,
    Bound,
    Candidate,
    Cut,
    Evidence,
    Paid,
    Place,
    Pool,
    Resolution,
    ResolutionSpec,
    ScopeNode,
    Seed,
    Trigger,
    Wanted,
    resolution_name,
)

Grouped = Callable[[Sequence[Candidate]], Iterable[Pool]]
NO_DIGEST = "0" * 64
NO_ATTEMPT = 0
"""Of a resolution that nobody starts by."""


@attrs.frozen(kw_only=True)
class Question:
    """What a taking-back is decided from, candidates aside. head: of the ledger. chain: as it stands now.

    One of beneficiary and request is there.
    """

    trigger: Trigger
    beneficiary: Beneficiary | None = None
    request: Asker | None = None
    need: Wanted
    nodes: tuple[ScopeNode, ...]
    at: datetime
    head: int
    nonces: Nonces
    chain: Chain

    @property
    def number(self) -> int:
        return self.chain.number + 1

    @property
    def seed(self) -> str:
        uid, attempt = drawn_for(self.beneficiary, self.request)
        return seed_text(uid, attempt, self.number, self.head, self.nonces.nonce(self.number))


def drawn_for(beneficiary: Beneficiary | None, request: Asker | None) -> tuple[str, int]:
    """The uid and the attempt that are part of the seed. ValueError: nobody asked."""
    if beneficiary is not None:
        return beneficiary.uid, beneficiary.attempt
    if request is None:
        raise ValueError("got neither a beneficiary nor a request")
    return request.uid, NO_ATTEMPT


@attrs.frozen(kw_only=True)
class Taken:
    """Who has to go. cuts: in the order taken, each with its stage."""

    pools: tuple[Pool, ...]
    taking: Taking
    cuts: tuple[tuple[Candidate, str], ...]


def work_out(stream: Stream, missing: int, stages: Iterable[Grouped | Pool], suffices: Suffices) -> Taken | None:
    """Stage by stage, each only for what is still missing; None: not even all of them suffice.

    stream: what draws are made from.
    stages: a pool, or what gives a stage's pools once it is known what was taken before; what was taken is out.
    """
    taking = Taking(missing, stream, suffices)
    used: list[Pool] = []
    for stage in stages:
        for pool in (stage,) if isinstance(stage, Pool) else stage(tuple(taking.taken)):
            left = _in_order(pool, {unit.place for unit in taking.taken})
            if not left.candidates:
                continue
            used.append(left)
            if taking.from_(used[-1]):
                taking.give_back()
                return Taken(pools=tuple(used), taking=taking, cuts=cuts_of(used, taking))
    return None


def cuts_of(pools: Sequence[Pool], taking: Taking) -> tuple[tuple[Candidate, str], ...]:
    """What was taken and not given back, with its stage."""
    stage = {drawn.unit.place: pools[drawn.pool].stage for drawn in taking.draws}
    return tuple((unit, stage[unit.place]) for unit in taking.cuts)


def _in_order(pool: Pool, taken: Collection[Place]) -> Pool:
    """A drum has no order: its candidates are kept sorted, so that nothing shows how they came."""
    left = [unit for unit in pool.candidates if unit.place not in taken]
    if pool.drawn:
        left.sort(key=lambda unit: (unit.lot, unit.place))
    return attrs.evolve(pool, candidates=tuple(left))


def resolution_of(
    question: Question, taken: Taken, *, bound: tuple[Bound, ...], payers: tuple[Paid, ...] = ()
) -> Resolution:
    """The object to be kept before anybody is told to go."""
    evidence = Evidence(
        nodes=tuple(sorted(question.nodes, key=lambda node: node.name)),
        pools=taken.pools,
        draws=tuple(taken.taking.draws),
        given_back=tuple(unit.ref for unit in taken.taking.given_back),
    )
    cuts = tuple(as_cut(unit, stage) for unit, stage in taken.cuts)
    number, nonces = question.number, question.nonces
    spec = ResolutionSpec(
        trigger=question.trigger,
        number=number,
        at=question.at,
        beneficiary=question.beneficiary,
        request=question.request,
        need=question.need,
        scope=tuple(sorted({node.domain for node in question.nodes})),
        deficit_gpus=short_by(question.need, question.nodes),
        seed=Seed(
            ledger_head=f"{question.head:064x}",
            nonce=nonces.nonce(number),
            commitment=question.chain.commitment or nonces.commitment(number),
        ),
        next_commitment=nonces.commitment(number + 1),
        cuts=cuts,
        cut_gpus=sum(cut.gpus for cut in cuts),
        bound=bound,
        payers=payers,
        evidence=packed(evidence),
        digest=NO_DIGEST,
    )
    return Resolution(meta=Meta(name=resolution_name(number)), spec=attrs.evolve(spec, digest=spec_digest(spec)))


def as_cut(unit: Candidate, stage: str) -> Cut:
    """A unit as the object names it."""
    return Cut(
        namespace=unit.namespace,
        name=unit.name,
        uid=unit.uid,
        group=unit.group,
        gpus=unit.gpus_held,
        stage=stage,
    )

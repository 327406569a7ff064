"""A Resolution worked out again from itself: what it says that does not follow from what it says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from runs_core.decide.draw import Stream, seed_text
from runs_core.decide.fit import Fit, short_by
from runs_core.decide.resolve import as_cut, drawn_for, work_out
from runs_core.errors import InvalidInput
from runs_core.schema.evidence import spec_digest, unpacked
from runs_core.values.classes import COURTESY
from runs_core.values.nonces import commitment_of
from runs_core.values.resolution import (
    Candidate,
    Drawn,
    Evidence,
    Place,
    Resolution,
    ResolutionSpec,
    UnitRef,
    resolution_name,
)

MOST_TOLD = 20


def verify(resolution: Resolution, text: str, standing: str | None) -> list[str]:
    """What does not agree, a sentence each, each beginning with the field; none: all of it follows.

    text: of the evidence, put together where it lies in parts. standing: the commitment that stood before it, in the
    resolution before or in the installation's record; None: nobody knows it any more, and the nonce is held against the
    resolution's own word.
    """
    found = list(_of_itself(resolution, standing))
    try:
        evidence = unpacked(text, resolution.spec.evidence.digest)
    except InvalidInput as error:
        return [*found, *(f"{problem.where}: {problem.what}" for problem in error.problems)]
    try:
        found += _facts(resolution.spec, evidence)
        found += _rights(evidence)
        found += _again(resolution.spec, evidence)
        found += _bound(resolution.spec, evidence)
    except (ArithmeticError, ValueError) as error:  # what nobody would ask for cannot be worked out
        found.append(f"spec: cannot be worked out: {error}")
    return found[:MOST_TOLD]


def _of_itself(resolution: Resolution, standing: str | None) -> Iterator[str]:
    spec = resolution.spec
    if resolution.name != resolution_name(spec.number):
        yield f"metadata.name: got {resolution.name}, want {resolution_name(spec.number)}"
    if spec.digest != (digest := spec_digest(spec)):
        yield f"spec.digest: got {spec.digest}, want {digest}: something of the spec was changed"
    if (bound := commitment_of(spec.seed.nonce)) != spec.seed.commitment:
        yield f"spec.seed.nonce: its SHA-256 is {bound}, want the commitment {spec.seed.commitment}"
    if standing is not None and standing != spec.seed.commitment:
        yield f"spec.seed.commitment: got {spec.seed.commitment}, want {standing}, which stood before"


def _facts(spec: ResolutionSpec, evidence: Evidence) -> Iterator[str]:
    """Sums, and what the evidence says twice."""
    for what, got, want in (
        ("spec.scope", spec.scope, tuple(sorted({node.domain for node in evidence.nodes}))),
        ("spec.deficitGPUs", spec.deficit_gpus, short_by(spec.need, evidence.nodes)),
        ("spec.cutGPUs", spec.cut_gpus, sum(cut.gpus for cut in spec.cuts)),
        ("spec.payers", sum(payer.gpus for payer in spec.payers), spec.need.gpus if spec.payers else 0),
    ):
        if got != want:
            yield f"{what}: got {got}, want {want}"
    yield from _places(evidence)


def _places(evidence: Evidence) -> Iterator[str]:
    """Of each node, each place is free or held; of each candidate, all places in the scope are held."""
    nodes = {node.name: set(node.held) for node in evidence.nodes}
    for node in evidence.nodes:
        if sorted((*node.free, *node.held)) != list(range(len(node.free) + len(node.held))):
            yield f"evidence: the places of {node.name} are not each there once"
    for unit in (unit for pool in evidence.pools for unit in pool.candidates):
        inside = [(slots.node, at) for slots in unit.slots if slots.node in nodes for at in slots.ordinals]
        if len(inside) != unit.gpus:
            yield f"evidence: {_name(unit)} has {len(inside)} GPUs in the scope, and counts as {unit.gpus}"
        if missing := [place for place in inside if place[1] not in nodes[place[0]]]:
            yield f"evidence: {_name(unit)} is said to hold {missing}, which is not held"


def _rights(evidence: Evidence) -> Iterator[str]:
    """Inside a stage, nobody is cut who is paid for by right while somebody is left who is not."""
    contractual: set[str] = set()
    for pool in evidence.pools:
        classes = [unit.cls for unit in pool.candidates if unit.cls is not None]
        courtesy = [cls for cls in classes if cls in COURTESY]
        if courtesy and (pool.stage in contractual or len(courtesy) < len(classes)):
            yield f"evidence: {pool.stage} takes what is paid for by right before, or beside, a courtesy"
        if len(courtesy) < len(classes):
            contractual.add(pool.stage)


def _again(spec: ResolutionSpec, evidence: Evidence) -> Iterator[str]:
    """Draw anew, and compare."""
    seed = spec.seed
    uid, attempt = drawn_for(spec.beneficiary, spec.request)
    text = seed_text(uid, attempt, spec.number, int(seed.ledger_head, 16), seed.nonce)
    fit = Fit(spec.need, evidence.nodes)
    taken = work_out(Stream(text), short_by(spec.need, evidence.nodes), evidence.pools, fit.suffices)
    if taken is None:
        yield "evidence: the run does not fit, whoever is cut"
        return
    if taken.pools != evidence.pools:
        yield f"evidence: {len(evidence.pools)} pools, want the {len(taken.pools)} that are needed, sorted"
    yield from _unlike("draw", [_drawn(one) for one in evidence.draws], [_drawn(one) for one in taken.taking.draws])
    given = [_name(unit) for unit in taken.taking.given_back]
    yield from _unlike("give-back", [_name(unit) for unit in evidence.given_back], given)
    want = [as_cut(unit, stage) for unit, stage in taken.cuts]
    yield from _unlike("spec.cuts", [str(cut) for cut in spec.cuts], [str(cut) for cut in want])
    yield from _spared(spec, evidence, fit)


def _unlike(what: str, got: Sequence[str], want: Sequence[str]) -> Iterator[str]:
    """The first place at which two lists differ."""
    for at, (one, other) in enumerate(zip_longest(got, want, fillvalue="nothing")):
        if one != other:
            yield f"{what} {at}: got {one}, want {other}"
            return


def _spared(spec: ResolutionSpec, evidence: Evidence, fit: Fit) -> Iterator[str]:
    """Whether the cuts that stand there serve, and none of them could be left out."""
    known: dict[Place, Candidate] = {unit.place: unit for pool in evidence.pools for unit in pool.candidates}
    places = [UnitRef(namespace=cut.namespace, name=cut.name, group=cut.group).place for cut in spec.cuts]
    cuts = [known[place] for place in places if place in known]
    if not fit.suffices(cuts):
        yield "spec.cuts: the run does not fit once they are gone"
    surplus = sum(unit.gpus for unit in cuts) - spec.deficit_gpus
    for at, unit in enumerate(cuts):
        if unit.gpus <= surplus and fit.suffices([*cuts[:at], *cuts[at + 1 :]]):
            yield f"spec.cuts: {_name(unit)} could have stayed"


def _bound(spec: ResolutionSpec, evidence: Evidence) -> Iterator[str]:
    """The places of the beneficiary: free now or after the cuts, as wide as it is, each group in one domain."""
    if spec.beneficiary is None:
        if spec.bound or spec.payers:
            yield "spec.bound: got places or payers, want none: nobody gets what is taken"
        return
    nodes = {node.name: node for node in evidence.nodes}
    gone = {(cut.namespace, cut.name, cut.group) for cut in spec.cuts}
    open_ = {(node.name, at) for node in evidence.nodes for at in node.free}
    for unit in (unit for pool in evidence.pools for unit in pool.candidates):
        if (unit.namespace, unit.name, unit.group) in gone:
            open_.update((slots.node, at) for slots in unit.slots for at in slots.ordinals)
    places = [(one.node, at) for one in spec.bound for at in one.ordinals]
    if len(set(places)) != spec.need.gpus or len(places) != spec.need.gpus:
        yield f"spec.bound: {len(set(places))} places, want {spec.need.gpus}"
    for node, at in sorted(set(places) - open_):
        yield f"spec.bound: place {at} of {node} is not free, nor comes free"
    groups: dict[int, int] = {}
    for one in spec.bound:
        groups[one.group] = groups.get(one.group, 0) + len(one.ordinals)
        where = nodes.get(one.node)
        if where is None or where.domain != one.domain:
            yield f"spec.bound: group {one.group} has places on {one.node}, which is not in {one.domain}"
        if len(one.ordinals) % spec.need.gpus_per_pod:
            yield f"spec.bound: group {one.group} has no whole pods on {one.node}"
    for group, gpus in sorted(groups.items()):
        if spec.need.group_gpus is not None and gpus > spec.need.group_gpus:
            yield f"spec.bound: group {group} has {gpus} GPUs, want {spec.need.group_gpus} at most"
    if len({(one.group, one.domain) for one in spec.bound}) > len(groups):
        yield "spec.bound: a group lies in several domains, want one"
    if spec.need.single_domain and len({one.domain for one in spec.bound}) > 1:
        yield "spec.bound: it lies in several domains, want one"


def _name(unit: Candidate | UnitRef) -> str:
    return f"{unit.namespace}/{unit.name}" + ("" if unit.group is None else f" group {unit.group}")


def _drawn(one: Drawn) -> str:
    return f"{_name(one.unit)} of {one.owner} from pool {one.pool}, {one.used} blocks used"

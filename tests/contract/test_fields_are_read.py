"""A field that nothing reads does not exist: each of the API, of the settings and of the plugins' has a reader."""

from __future__ import annotations

import ast
import typing
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from runs_borrowing import plugin as borrowing
from runs_budgets import plugin as budgets
from runs_core.hooks.registry import of
from runs_core.schema.names import KINDS
from runs_core.settings import Settings
from runs_core.values.fields import fact_of

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (ROOT / "runs_core" / "src", ROOT / "runs_cli" / "src")
PLUGINS = {"budgets": budgets, "borrowing": borrowing}
PLUGIN_SOURCES = tuple(ROOT / "runs_plugins" / name / "src" for name in PLUGINS)
DECLARE = ("runs_core.values.", "runs_core.schema.", "runs_core.testing.")
"""Modules that declare, copy or make up fields: what happens there is no reading."""
PLUGINS_DECLARE = (*DECLARE, "runs_budgets.sections", "runs_budgets.oracle", "runs_borrowing.sections")

READERS = {
    "RunSpec.owner": "runs_core.world.known: run.spec.owner",
    "RunSpec.resources": "runs_core.world.needs: spec.resources",
    "RunSpec.after": "runs_core.decide.hold: run.spec.after",
    "RunSpec.suspend": "runs_core.decide.hold: run.spec.suspend",
    "RunSpec.template": "runs_core.world.needs: spec.template",
    "Resources.flavor": "runs_core.world.needs: spec.resources.flavor",
    "Resources.gpus": "runs_core.world.needs: spec.resources.gpus",
    "Resources.gpus_per_pod": "runs_core.world.needs: spec.resources.gpus_per_pod",
    "Topology.selector": "runs_core.world.needs: spec.topology.selector",
    "Runtime.expected_duration": "runs_core.world.needs: run.spec.runtime.expected_duration",
    "AfterFailure.policy": "runs_core.decide.hold: policy.policy",
    "AfterFailure.grace": "runs_core.decide.hold: policy.grace",
    "PodFailure.policy": "runs_core.decide.lifecycle: spec.on_pod_failure.policy",
    "PodFailure.backoff": "runs_core.decide.lifecycle: policy.backoff",
    "RunStatus.phase": "runs_core.decide.lifecycle: run.status.phase",
    "RunStatus.reason": "runs_core.decide.told: status.reason",
    "RunStatus.message": "runs_core.serve.views.explain: run.status.message",
    "RunStatus.conditions": "runs_core.decide.standing: old.conditions",
    "RunStatus.observed_generation": "runs_core.decide.told: status.observed_generation",
    "RunStatus.queued_since": "runs_core.serve.views.queue: run.status.queued_since",
    "RunStatus.attempt": "runs_core.decide.start: run.status.attempt",
    "RunStatus.pending_gpus": "runs_core.serve.views.explain: run.status.pending_gpus",
    "RunStatus.width": "runs_core.world.invariants: run.status.width",
    "Condition.type": "runs_core.decide.standing: condition.type",
    "Condition.status": "runs_core.decide.standing: old.status",
    "Condition.reason": "runs_core.decide.standing: old.reason",
    "Condition.message": "runs_core.decide.budget: old.message",
    "Ending.reason": "runs_core.decide.release: ending.reason",
    "Ending.detail": "runs_core.decide.release: ending.detail",
    "Ending.then": "runs_core.decide.release: ending.then",
    "Ending.since": "runs_core.decide.release: ending.since",
    "BudgetSpec.owner": "runs_core.world.known: b.spec.owner",
    "BudgetSpec.namespaces": "runs_core.world.known: budget.spec.namespaces",
    "Namespaces.names": "runs_core.world.known: wanted.names",
    "BudgetStatus.conditions": "runs_core.decide.budget: budget.status.conditions",
    "RunRef.name": "runs_core.cluster.kube.write_leases: spec.run_ref.name",
    "RunRef.uid": "runs_core.world.ledger: spec.run_ref.uid",
    "LeaseSpec.owner": "runs_cli.actions.leases: lease.spec.owner",
    "LeaseSpec.group": "runs_core.decide.pods: lease.spec.group",
    "LeaseSpec.role": "runs_core.decide.pods: lease.spec.role",
    "LeaseSpec.slots": "runs_core.decide.pods: lease.spec.slots",
    "LeaseSpec.ranks": "runs_core.decide.pods: lease.spec.ranks",
    "LeaseSpec.attempt": "runs_core.decide.lifecycle: lease.spec.attempt",
    "LeaseSpec.part": "runs_core.values.lease: spec.part",
    "LeaseSpec.payer": "runs_core.serve.views.plan: lease.spec.payer",
    "LeaseSpec.loan": "kubectl get: .spec.loan",
    "LeaseSpec.start": "runs_core.world.ledger: spec.start",
    "LeaseSpec.reason": "kubectl get: .spec.reason",
    "NodeSlots.node": "runs_core.decide.pods: slots.node",
    "NodeSlots.ordinals": "runs_core.decide.pods: slots.ordinals",
    "Payer.budget": "runs_core.serve.views.plan: payer.budget",
    "Payer.envelope": "runs_core.serve.views.plan: payer.envelope",
    "LeaseStatus.end": "runs_core.world.ledger: lease.status.end",
    "RunStatus.funding": "runs_core.decide.paying: run.status.funding",
    "Runtime.min_runtime": "runs_core.world.needs: spec.runtime.min_runtime",
    "ReclaimSettings.min_runtime": "runs_core.world.needs: settings.min_runtime",
    "Settings.reclaim": "runs_core.world.known: self.settings.reclaim",
    "RunStatus.preemptions": "runs_core.decide.reclaim: victim.status.preemptions",
    "Settings.reservations": "runs_core.decide.promise: world.settings.reservations",
    "Settings.patience": "runs_core.decide.patience: world.settings.patience",
    "PatienceSettings.default": "runs_core.settings: self.default",
    "PatienceSettings.owners": "runs_core.settings: self.owners",
    "Settings.fleet": "runs_core.world.known: self.settings.fleet",
    "Split.owned": "runs_core.decide.paying: split.owned",
    "Split.shared": "runs_core.decide.paying: split.shared",
    "Split.borrowed": "runs_core.decide.paying: split.borrowed",
    "Split.unfunded": "runs_core.decide.paying: split.unfunded",
    "RunStatus.payers": "runs_cli.actions.get: status.payers",
    "Paying.budget": "runs_cli.actions.get: one.budget",
    "Paying.envelope": "runs_cli.actions.get: one.envelope",
    "Paying.gpus": "runs_cli.actions.get: one.gpus",
    "Topology.group_gpus": "runs_core.world.needs: spec.topology.group_gpus",
    "RunStatus.reservation": "runs_core.decide.standing: old.reservation",
    "LeaseSpec.run_ref": "runs_core.world.ledger: spec.run_ref",
    "LeaseStatus.closed": "runs_core.world.about_places: lease.status.closed",
    "ReservationSpec.run_ref": "runs_core.decide.keep: known.spec.run_ref",
    "ReservationSpec.flavor": "runs_core.decide.promise: one.spec.flavor",
    "ReservationSpec.gpus": "runs_core.decide.keep: known.spec.gpus",
    "ReservationSpec.at": "runs_core.decide.slices: known.spec.at",
    "ReservationStatus.phase": "runs_core.world.promises: reservation.status.phase",
    "ReservationStatus.reason": "kubectl get: .status.reason",
    "ReservationStatus.message": "runs_core.decide.keep: reservation.status.message",
    "ReservationStatus.basis": "runs_core.serve.views.queue: promised.status.basis",
    "ReservationStatus.earliest_start": "runs_core.decide.slices: reservation.status.earliest_start",
    "ReservationStatus.latest": "kubectl get: .status.latest",
    "ReservationStatus.deficit_gpus": "kubectl get: .status.deficitGPUs",
    "ReservationStatus.short_of": "kubectl get: .status.shortOf",
    "ReservationStatus.blocked_by": "runs_core.decide.keep: known.status.blocked_by",
    "ReservationStatus.places": "runs_core.world.promises: reservation.status.places",
    "ReservationStatus.places_since": "runs_core.decide.slices: known.status.places_since",
    "ReservationStatus.promises": "runs_core.serve.report: reservation.status.promises",
    "ReservationStatus.remedies": "runs_core.serve.views.queue: promised.status.remedies",
    "Remedy.change": "runs_cli.actions.queue: one.change",
    "Remedy.starts_at": "runs_cli.actions.queue: one.starts_at",
    "ReservationStatus.end": "runs_core.cluster.local.cluster: one.status.end",
    "Promise.at": "runs_cli.actions.plan: promise.at",
    "Promise.basis": "runs_core.serve.report: one.basis",
    "Promise.earliest_start": "runs_core.decide.keep: one.earliest_start",
    "ReservationSettings.max": "runs_core.decide.promise: settings.reservations.max",
    "ReservationSettings.history": "runs_core.world.ends: settings.reservations.history",
    "ResolutionSpec.deficit_gpus": "kubectl get: .spec.deficitGPUs",
    "ResolutionSpec.trigger": "kubectl get: .spec.trigger",
    "ResolutionSpec.number": "runs_core.decide.verify: spec.number",
    "ResolutionSpec.at": "runs_core.world.bound: spec.at",
    "ResolutionSpec.beneficiary": "runs_core.decide.verify: spec.beneficiary",
    "ResolutionSpec.request": "runs_core.decide.verify: spec.request",
    "ResolutionSpec.need": "runs_core.decide.verify: spec.need",
    "ResolutionSpec.scope": "runs_core.decide.verify: spec.scope",
    "ResolutionSpec.seed": "runs_core.decide.verify: spec.seed",
    "ResolutionSpec.evidence": "runs_core.decide.verify: resolution.spec.evidence",
    "ResolutionSpec.cuts": "runs_core.decide.verify: spec.cuts",
    "ResolutionSpec.bound": "runs_core.world.bound: spec.bound",
    "ResolutionSpec.payers": "runs_core.world.bound: spec.payers",
    "ResolutionSpec.digest": "runs_core.decide.verify: spec.digest",
    "Beneficiary.namespace": "kubectl get: .spec.beneficiary.namespace",
    "Beneficiary.name": "kubectl get: .spec.beneficiary.name",
    "Beneficiary.uid": "runs_core.decide.resolve: beneficiary.uid",
    "Beneficiary.attempt": "runs_core.decide.resolve: beneficiary.attempt",
    "Asker.uid": "runs_core.decide.resolve: request.uid",
    "Beneficiary.owner": "runs_core.world.bound: to.owner",
    "Wanted.flavor": "runs_cli.actions.resolve: spec.need.flavor",
    "Wanted.gpus": "runs_core.decide.verify: spec.need.gpus",
    "Wanted.gpus_per_pod": "runs_core.world.bound: spec.need.gpus_per_pod",
    "Wanted.group_gpus": "runs_core.decide.fit: need.group_gpus",
    "Wanted.single_domain": "runs_core.decide.fit: self._need.single_domain",
    "Left.cpu_milli": "runs_core.decide.fit: amounts.cpu_milli",
    "Left.memory_bytes": "runs_core.decide.fit: amounts.memory_bytes",
    "Left.ephemeral_bytes": "runs_core.decide.fit: amounts.ephemeral_bytes",
    "Left.pods": "runs_core.decide.fit: amounts.pods",
    "Seed.nonce": "runs_core.decide.verify: spec.seed.nonce",
    "Seed.commitment": "runs_core.decide.verify: spec.seed.commitment",
    "Cut.namespace": "runs_core.decide.verify: cut.namespace",
    "Cut.name": "runs_core.decide.verify: cut.name",
    "Cut.uid": "runs_cli.actions.resolve: cut.uid",
    "Cut.group": "runs_core.decide.verify: cut.group",
    "Cut.gpus": "runs_core.decide.verify: cut.gpus",
    "Cut.stage": "runs_cli.actions.resolve: cut.stage",
    "Bound.group": "runs_core.world.bound: one.group",
    "Bound.domain": "runs_core.world.bound: one.domain",
    "Bound.node": "runs_core.world.bound: one.node",
    "Bound.ordinals": "runs_core.world.bound: one.ordinals",
    "Paid.budget": "runs_core.world.bound: one.budget",
    "Paid.envelope": "runs_core.world.bound: one.envelope",
    "Paid.tier": "runs_core.world.bound: one.tier",
    "Paid.gpus": "runs_core.world.bound: one.gpus",
    "Paid.selector": "runs_core.world.bound: one.selector",
    "Packed.digest": "runs_core.decide.verify: resolution.spec.evidence.digest",
    "Packed.data": "runs_core.cluster.kube.evidence: evidence.data",
    "Packed.parts": "runs_core.cluster.kube.evidence: evidence.parts",
    "Packed.namespace": "runs_core.cluster.kube.evidence: evidence.namespace",
    "ResolutionStatus.phase": "runs_core.world.bound: resolution.status.phase",
    "ResolutionStatus.reason": "runs_cli.actions.resolve: one.status.reason",
    "ResolutionStatus.message": "runs_cli.actions.resolve: one.status.message",
    "ResolutionStatus.end": "runs_cli.actions.resolve: one.status.end",
    "Settings.election": "runs_cli.serving: reload.settings.election",
    "AuditSettings.grace": "runs_core.serve.audit: self._settings.grace",
    "Settings.audit": "runs_core.serve.process: settings.audit",
    "Settings.starts": "runs_core.decide.lifecycle: settings.starts",
    "Settings.hooks": "runs_core.decide.hold: settings.hooks",
    "Settings.local": "runs_core.cluster.local.cluster: settings.local",
    "Settings.rank": "runs_core.hooks.ask: settings.rank",
    "FleetSettings.flavor_labels": "runs_core.schema.nodes: fleet.flavor_labels",
    "FleetSettings.region_label": "runs_core.schema.nodes: fleet.region_label",
    "FleetSettings.cluster_label": "runs_core.schema.nodes: fleet.cluster_label",
    "FleetSettings.domain_label": "runs_core.schema.nodes: fleet.domain_label",
    "FleetSettings.resource": "runs_core.settings: self.resource",
    "FleetSettings.resources": "runs_core.settings: self.resources",
    "FleetSettings.tolerated": "runs_core.world.needs: fleet.tolerated",
    "StartSettings.backoff": "runs_core.decide.lifecycle: settings.starts.backoff",
    "RetentionSettings.runs": "runs_core.decide.cycle: settings.retention.runs",
    "RetentionSettings.leases": "runs_core.cluster.local.cluster: retention.leases",
}
"""Fields whose name others have as well: the module that reads this one, and how it says it; or its column."""
PLUGIN_READERS = {
    "Quota.parents": "runs_budgets.quotas: new[1].parents",
    "Quota.envelopes": "runs_budgets.quotas: quota.envelopes",
    "Envelope.name": "runs_budgets.quotas: envelope.name",
    "Envelope.flavor": "runs_budgets.quotas: spec.flavor",
    "Envelope.selector": "runs_budgets.offers: spec.selector",
    "Envelope.gpus": "runs_budgets.envelopes: purse.spec.gpus",
    "Envelope.gpu_hours": "runs_budgets.envelopes: spec.gpu_hours",
    "Window.start": "runs_budgets.envelopes: window.start",
    "Window.end": "runs_budgets.envelopes: window.end",
    "Lending.to": "runs_budgets.sections: self.to",
    "AggregateCap.name": "runs_budgets.layout: cap.name",
    "AggregateCap.flavor": "runs_budgets.layout: cap.flavor",
    "AggregateCap.envelopes": "runs_budgets.layout: cap.envelopes",
    "AggregateCap.gpus": "runs_budgets.envelopes: cap.gpus",
    "Metered.envelopes": "runs_budgets.quotas: account.envelopes",
    "Metered.metered_until": "runs_budgets.funding: account.metered_until",
    "Used.name": "runs_budgets.quotas: used.name",
    "Used.gpus": "runs_budgets.views: used.gpus",
    "Used.headroom": "runs_budgets.views: used.headroom",
    "Used.gpu_seconds": "runs_budgets.envelopes: used.gpu_seconds",
    "Used.lent": "runs_budgets.envelopes: used.lent",
    "Lent.owner": "runs_budgets.envelopes: pair.owner",
    "Lent.gpus": "runs_budgets.views: pair.gpus",
    "Lent.gpu_seconds": "runs_budgets.envelopes: pair.gpu_seconds",
}
"""Likewise, of the fields of plugins' sections and settings."""
COLUMNS = {path for kind in KINDS.values() for _, _, path in kind.columns}


@attrs.frozen
class Sources:
    """trees: by module."""

    trees: Mapping[str, ast.Module]

    def loads(self) -> dict[str, list[tuple[str, str]]]:
        """(module, expression) by attribute."""
        found: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for module, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    found[node.attr].append((module, ast.unparse(node)))
        return found

    def holders(self) -> dict[str, set[str]]:
        """Classes by the names of their fields and methods."""
        found: dict[str, set[str]] = defaultdict(set)
        for module, tree in self.trees.items():
            for node in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
                for name in filter(None, map(named, node.body)):
                    found[name].add(f"{module}.{node.name}")
        return found


def named(part: ast.stmt) -> str | None:
    if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
        return part.target.id
    return part.name if isinstance(part, ast.FunctionDef) else None


def sources(*more: Path) -> Sources:
    """Of core and the commands, and more."""
    trees = {}
    for root in (*SOURCES, *more):
        for path in sorted(root.rglob("*.py")):
            module = ".".join(path.relative_to(root).with_suffix("").parts)
            trees[module] = ast.parse(path.read_text())
    return Sources(trees)


def classes(cls: type, seen: list[type]) -> list[type]:
    """The class and those of its fields."""
    if cls in seen:
        return seen
    seen.append(cls)
    for name, hint in typing.get_type_hints(cls).items():
        field = getattr(attrs.fields(cls), name, None)
        for part in parts(hint) if field is not None and fact_of(field) is not None else ():
            if attrs.has(part) and any(fact_of(one) for one in attrs.fields(part)):
                classes(part, seen)
    return seen


def parts(hint: object) -> Iterator[type]:
    if isinstance(hint, type):
        yield hint
    for inner in typing.get_args(hint):
        yield from parts(inner)


def fields() -> list[tuple[str, str]]:
    """(class, field) of everything that a manifest or the settings can say."""
    seen: list[type] = []
    for kind in KINDS.values():
        classes(kind.spec, seen)
        classes(kind.status, seen)
    classes(Settings, seen)
    return named_fields(seen)


def named_fields(seen: Sequence[type]) -> list[tuple[str, str]]:
    return [(cls.__name__, field.name) for cls in seen for field in attrs.fields(cls) if fact_of(field) is not None]


def plugin_fields() -> list[tuple[str, str]]:
    """Likewise, of what plugins add to both; values of core's own classes are core's."""
    registry = of(**PLUGINS)
    seen: list[type] = []
    for cls in (*(section.cls for section in registry.sections), *registry.settings_classes.values()):
        classes(cls, seen)
    return named_fields([cls for cls in seen if not cls.__module__.startswith("runs_core.")])


def unread(
    found: Sources,
    readers: Mapping[str, str] = READERS,
    declare: tuple[str, ...] = DECLARE,
    wanted: Callable[[], Sequence[tuple[str, str]]] = fields,
) -> list[str]:
    loads, holders = found.loads(), found.holders()
    missing = []
    for cls, field in wanted():
        listed = readers.get(f"{cls}.{field}")
        if listed is not None:
            module, expression = listed.split(": ")
            if module == "kubectl get" and expression in COLUMNS:
                continue
            if not any(where == module and f".{said}".endswith(f".{expression}") for where, said in loads[field]):
                missing.append(f"{cls}.{field}: {module} has no {expression}")
        elif len(holders[field]) > 1:
            missing.append(f"{cls}.{field}: name its reader in READERS, for {sorted(holders[field])} have one too")
        elif not [where for where, _ in loads[field] if not where.startswith(declare)]:
            missing.append(f"{cls}.{field}: nothing reads it")
    return missing


def test_every_field_has_a_reader() -> None:
    assert unread(sources()) == []


def test_readers_are_named_only_for_fields_that_there_are() -> None:
    assert sorted(set(READERS) - {f"{cls}.{field}" for cls, field in fields()}) == []


def test_the_walk_finds_the_fields() -> None:
    found = fields()
    assert len(found) > 80
    assert {("Resources", "gpus"), ("Ending", "then"), ("StartSettings", "tries"), ("Payer", "envelope")} <= set(found)


def test_a_field_whose_reader_is_taken_away_is_noticed() -> None:
    found = sources()
    without = {module: tree for module, tree in found.trees.items() if module != "runs_core.world.needs"}
    noticed = unread(Sources(without))
    assert "Topology.selector: runs_core.world.needs has no spec.topology.selector" in noticed
    kept = {module: tree for module, tree in found.trees.items() if module.startswith(DECLARE)}
    assert "RunSpec.canceled: nothing reads it" in unread(Sources(kept))


def unread_of_plugins(found: Sources) -> list[str]:
    return unread(found, PLUGIN_READERS, PLUGINS_DECLARE, plugin_fields)


def test_every_field_of_a_plugin_has_a_reader() -> None:
    assert unread_of_plugins(sources(*PLUGIN_SOURCES)) == []


def test_readers_of_plugins_are_named_only_for_fields_that_there_are() -> None:
    assert sorted(set(PLUGIN_READERS) - {f"{cls}.{field}" for cls, field in plugin_fields()}) == []


def test_the_walk_finds_the_fields_of_plugins() -> None:
    found = plugin_fields()
    assert {
        ("Quota", "parents"),
        ("Lending", "max_gpu_hours"),
        ("Used", "lent"),
        ("Terms", "allow_unfunded"),
        ("Borrowing", "sponsors"),
        ("BudgetSettings", "expires_soon"),
    } <= set(found)
    assert ("Split", "owned") not in found


def test_a_plugins_field_whose_reader_is_taken_away_is_noticed() -> None:
    found = sources(*PLUGIN_SOURCES)
    without = {module: tree for module, tree in found.trees.items() if module != "runs_budgets.offers"}
    noticed = unread_of_plugins(Sources(without))
    assert "Terms.allow_unfunded: nothing reads it" in noticed
    assert "Envelope.selector: runs_budgets.offers has no spec.selector" in noticed
    kept = {module: tree for module, tree in found.trees.items() if module.startswith(PLUGINS_DECLARE)}
    assert "BudgetSettings.expires_soon: nothing reads it" in unread_of_plugins(Sources(kept))

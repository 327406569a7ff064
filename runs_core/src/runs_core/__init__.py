"""runs: a scheduler for GPU fleets. Its public names stand here; each is loaded when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runs_core.cluster.port import Cluster as Cluster
    from runs_core.cluster.trace.input import Arrival as Arrival
    from runs_core.cluster.trace.input import TraceInput as TraceInput
    from runs_core.decide.advice import Rank as Rank
    from runs_core.errors import PluginError as PluginError
    from runs_core.errors import RunsError as RunsError
    from runs_core.hooks.permission import Permission as Permission
    from runs_core.hooks.specs import HOOK_API as HOOK_API
    from runs_core.hooks.specs import concerning as concerning
    from runs_core.hooks.specs import hookimpl as hookimpl
    from runs_core.schema.names import API_VERSION as API_VERSION
    from runs_core.serve.loop import Loop as Loop
    from runs_core.serve.simulate import Simulation as Simulation
    from runs_core.serve.simulate import simulate as simulate
    from runs_core.settings import Settings as Settings
    from runs_core.values.budget import Budget as Budget
    from runs_core.values.budget import BudgetSpec as BudgetSpec
    from runs_core.values.budget import BudgetStatus as BudgetStatus
    from runs_core.values.budget import Namespace as Namespace
    from runs_core.values.change import BudgetGone as BudgetGone
    from runs_core.values.change import BudgetSeen as BudgetSeen
    from runs_core.values.change import Change as Change
    from runs_core.values.change import HeadSeen as HeadSeen
    from runs_core.values.change import LeaseGone as LeaseGone
    from runs_core.values.change import LeaseSeen as LeaseSeen
    from runs_core.values.change import NamespaceGone as NamespaceGone
    from runs_core.values.change import NamespaceSeen as NamespaceSeen
    from runs_core.values.change import NodeGone as NodeGone
    from runs_core.values.change import NodeSeen as NodeSeen
    from runs_core.values.change import PledgeGone as PledgeGone
    from runs_core.values.change import PledgeSeen as PledgeSeen
    from runs_core.values.change import PodGone as PodGone
    from runs_core.values.change import PodSeen as PodSeen
    from runs_core.values.change import ReservationGone as ReservationGone
    from runs_core.values.change import ReservationSeen as ReservationSeen
    from runs_core.values.change import ResolutionGone as ResolutionGone
    from runs_core.values.change import ResolutionSeen as ResolutionSeen
    from runs_core.values.change import RunGone as RunGone
    from runs_core.values.change import RunSeen as RunSeen
    from runs_core.values.change import RunUnread as RunUnread
    from runs_core.values.change import TimePassed as TimePassed
    from runs_core.values.classes import Class as Class
    from runs_core.values.classes import Split as Split
    from runs_core.values.classes import Tier as Tier
    from runs_core.values.decision import Ends as Ends
    from runs_core.values.decision import Held as Held
    from runs_core.values.decision import Hold as Hold
    from runs_core.values.decision import Moves as Moves
    from runs_core.values.decision import Outcome as Outcome
    from runs_core.values.decision import Reason as Reason
    from runs_core.values.decision import Released as Released
    from runs_core.values.decision import Removed as Removed
    from runs_core.values.decision import Starts as Starts
    from runs_core.values.decision import Waits as Waits
    from runs_core.values.demand import Demand as Demand
    from runs_core.values.fields import Fact as Fact
    from runs_core.values.fields import Rule as Rule
    from runs_core.values.fields import fact_of as fact_of
    from runs_core.values.fields import field as field
    from runs_core.values.fields import rules as rules
    from runs_core.values.funding import Account as Account
    from runs_core.values.funding import Ask as Ask
    from runs_core.values.funding import Cap as Cap
    from runs_core.values.funding import Cover as Cover
    from runs_core.values.funding import Gives as Gives
    from runs_core.values.funding import Look as Look
    from runs_core.values.funding import Offer as Offer
    from runs_core.values.funding import Offers as Offers
    from runs_core.values.funding import Pledge as Pledge
    from runs_core.values.funding import Proposal as Proposal
    from runs_core.values.funding import Share as Share
    from runs_core.values.funding import Stage as Stage
    from runs_core.values.funding import Takes as Takes
    from runs_core.values.funding import Unit as Unit
    from runs_core.values.lease import Closed as Closed
    from runs_core.values.lease import Lease as Lease
    from runs_core.values.lease import LeaseSpec as LeaseSpec
    from runs_core.values.lease import NodeSlots as NodeSlots
    from runs_core.values.lease import Opened as Opened
    from runs_core.values.lease import Payer as Payer
    from runs_core.values.lease import Role as Role
    from runs_core.values.lease import RunRef as RunRef
    from runs_core.values.meta import Key as Key
    from runs_core.values.meta import Meta as Meta
    from runs_core.values.meta import Pairs as Pairs
    from runs_core.values.need import Need as Need
    from runs_core.values.need import NodeFilter as NodeFilter
    from runs_core.values.node import Domain as Domain
    from runs_core.values.node import MalformedNode as MalformedNode
    from runs_core.values.node import Node as Node
    from runs_core.values.node import Taint as Taint
    from runs_core.values.pod import Pod as Pod
    from runs_core.values.pod import PodPhase as PodPhase
    from runs_core.values.record import Record as Record
    from runs_core.values.reservation import Reservation as Reservation
    from runs_core.values.resolution import Resolution as Resolution
    from runs_core.values.run import Condition as Condition
    from runs_core.values.run import Phase as Phase
    from runs_core.values.run import Resources as Resources
    from runs_core.values.run import Run as Run
    from runs_core.values.run import RunSpec as RunSpec
    from runs_core.values.run import RunStatus as RunStatus
    from runs_core.values.run import Topology as Topology
    from runs_core.values.section import Section as Section
    from runs_core.values.section import section as section
    from runs_core.world.view import Index as Index
    from runs_core.world.view import View as View

_HOME = {
    "cluster.port": "Cluster",
    "cluster.trace.input": "Arrival TraceInput",
    "decide.advice": "Rank",
    "errors": "PluginError RunsError",
    "hooks.permission": "Permission",
    "hooks.specs": "HOOK_API concerning hookimpl",
    "schema.names": "API_VERSION",
    "serve.loop": "Loop",
    "serve.simulate": "Simulation simulate",
    "settings": "Settings",
    "values.budget": "Budget BudgetSpec BudgetStatus Namespace",
    "values.change": "BudgetGone BudgetSeen Change HeadSeen LeaseGone LeaseSeen NamespaceGone NamespaceSeen NodeGone "
    "NodeSeen PledgeGone PledgeSeen PodGone PodSeen ReservationGone ReservationSeen ResolutionGone ResolutionSeen "
    "RunGone RunSeen RunUnread TimePassed",
    "values.classes": "Class Split Tier",
    "values.decision": "Ends Held Hold Moves Outcome Reason Released Removed Starts Waits",
    "values.demand": "Demand",
    "values.fields": "Fact Rule fact_of field rules",
    "values.funding": "Account Ask Cap Cover Gives Look Offer Offers Pledge Proposal Share Stage Takes Unit",
    "values.lease": "Closed Lease LeaseSpec NodeSlots Opened Payer Role RunRef",
    "values.meta": "Key Meta Pairs",
    "values.need": "Need NodeFilter",
    "values.node": "Domain MalformedNode Node Taint",
    "values.pod": "Pod PodPhase",
    "values.record": "Record",
    "values.reservation": "Reservation",
    "values.resolution": "Resolution",
    "values.run": "Condition Phase Resources Run RunSpec RunStatus Topology",
    "values.section": "Section section",
    "world.view": "Index View",
}
"""Module → the names in it. Loaded one by one: a command of a plugin needs few of them, and a person waits for it."""

_MODULE = {name: f"runs_core.{module}" for module, names in _HOME.items() for name in names.split()}
__all__ = tuple(sorted(_MODULE))


def __getattr__(name: str) -> object:
    if name not in _MODULE:
        raise AttributeError(f"module 'runs_core' has no attribute {name!r}")
    found: object = getattr(import_module(_MODULE[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE})

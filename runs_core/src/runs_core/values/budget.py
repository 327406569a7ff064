"""The Budget, as far as core reads it: who an owner is, and which namespaces spend for it; and the Namespace."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from runs_core.values.fields import Fact, Rule, field, rules
from runs_core.values.meta import DNS_LABEL, LABEL_KEY, LABEL_VALUE, Meta, Pairs
from runs_core.values.run import Condition


@attrs.frozen(kw_only=True)
class Namespaces:
    """Namespaces by name, or by labels: a namespace is meant when its name is listed or all labels match."""

    names: tuple[str, ...] = field(
        Fact(doc="Namespaces by name.", pattern=DNS_LABEL, max_length=63, max_items=10_000, unique=True),
        default=(),
    )
    match_labels: Pairs = field(
        Fact(
            doc="Namespaces that have all of these labels; none: no namespace.",
            keys=LABEL_KEY,
            pattern=LABEL_VALUE,
            max_length=63,
            max_items=32,
        ),
        default=(),
    )


@rules(
    Rule(
        cel="self.owner == oldSelf.owner",
        message="want no change; make a new Budget",
        field="owner",
        change=lambda old, new: new.owner == old.owner,
    ),
)
@attrs.frozen(kw_only=True)
class BudgetSpec:
    """sections: a plugin's fields, by the class that the plugin declared."""

    owner: str = field(Fact(doc="The owner whose budget this is.", pattern=r".+", max_length=253))
    namespaces: Namespaces = field(Fact(doc="Which namespaces spend for the owner."), factory=Namespaces)
    sections: Mapping[type, Any] = attrs.field(factory=lambda: MappingProxyType({}))


@attrs.frozen(kw_only=True)
class BudgetStatus:
    """Written by the scheduler only. sections: as in the spec."""

    conditions: tuple[Condition, ...] = field(Fact(doc="Ready, and what a plugin adds.", unique_by="type"), default=())
    sections: Mapping[type, Any] = attrs.field(factory=lambda: MappingProxyType({}))


@attrs.frozen(kw_only=True)
class Budget:
    """Cluster-scoped, so that nobody can forge from inside a namespace who pays."""

    meta: Meta
    spec: BudgetSpec
    status: BudgetStatus = BudgetStatus()

    @property
    def name(self) -> str:
        return self.meta.name


@attrs.frozen(kw_only=True)
class Namespace:
    """A namespace with the labels that a Budget may select by."""

    name: str
    labels: Pairs = ()

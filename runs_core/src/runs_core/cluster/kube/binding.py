"""A batch is bound before anything of it is written: the journal then says which leases are opened and closed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from runs_core.cluster.kube.journal import Intent, Journal
from runs_core.cluster.kube.mirror import Mirror
from runs_core.cluster.kube.steps import Step
from runs_core.values import effect as e
from runs_core.values.effect import Effect
from runs_core.values.meta import Key
from runs_core.values.nonces import Chain
from runs_core.world.ledger import entry, fold


class Binding:
    """Used by the thread that decides."""

    def __init__(self, journal: Journal, mirror: Mirror) -> None:
        self._journal = journal
        self._mirror = mirror
        self._intents: dict[str, Intent] = {}

    def bind(self, batch: Sequence[Step], chain: Chain) -> None:
        """Deposed: another scheduler leads now; nothing was written."""
        intents = {run: intent for run, intent in self._intents.items() if self._under_way(run, intent)}
        for step in batch:
            if step.opens or step.closes:
                key = str(step.key)
                intents[key] = intents.get(key, Intent()).joined(step.opens, step.closes)
        before = self._journal.entry
        head = fold(before.head, *(made for step in batch for made in _entries(step.effects)))
        self._journal.write(attrs.evolve(before, intents=intents, head=head, chain=chain))
        self._intents = intents

    def _under_way(self, run: str, intent: Intent) -> bool:
        """Whether a lease of it is still to be written: what is written can be seen, and need not be told."""
        namespace = run.split("/", 1)[0]
        return any(self._mirror.assumes(("GPULease", Key(namespace, name))) for name in intent.names)


def _entries(effects: Sequence[Effect]) -> Iterator[int]:
    for effect in effects:
        if isinstance(effect, (e.OpenLease, e.CloseLease)):
            yield entry(effect.lease, closing=isinstance(effect, e.CloseLease))

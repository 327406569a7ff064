"""A batch is bound before anything of it is written: the journal then says which leases are opened and closed.

And which evidence is made, for a resolution that may not come to be kept.

The journal is one object and takes only so much. What is more waits here until enough of the rest is written, in order;
should this process end meanwhile, it was never decided.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

import attrs

from runs_core.cluster.kube.entry import Intent
from runs_core.cluster.kube.evidence import parts_of
from runs_core.cluster.kube.gates import Gate
from runs_core.cluster.kube.journal import Journal
from runs_core.cluster.kube.mirror import Mirror
from runs_core.cluster.kube.outgoing import Outgoing
from runs_core.cluster.kube.steps import Step
from runs_core.values import effect as e
from runs_core.values.effect import Effect
from runs_core.values.meta import Key
from runs_core.values.nonces import Chain
from runs_core.values.resolution import Resolution, resolution_name
from runs_core.world.ledger import entry, fold

MOST_BYTES = 1 << 20
"""Of what is in flight, before it is packed, which makes it a few times shorter: an object's data may have as many."""


class Binding:
    """Used by the thread that decides. What it raises is the journal's; then nothing more was bound.

    home: the scheduler's own namespace, where long evidence is kept. owns: all that the journal holds was bound here.
    """

    def __init__(self, journal: Journal, mirror: Mirror, outgoing: Outgoing, home: str) -> None:
        self._home = home
        self._journal = journal
        self._mirror = mirror
        self._outgoing = outgoing
        self._intents: dict[str, Intent] = {}
        self._deferred: deque[tuple[Step, Gate]] = deque()
        self.owns = False

    def begin(self, batch: Sequence[Step], chain: Chain) -> None:
        """Bind it and begin to write, or as much of it as the journal takes now."""
        bound = 0 if self._deferred else self._bind(batch, chain)
        for step in batch[:bound]:
            self._outgoing.begin(step)
        for step in batch[bound:]:
            gate = Gate()
            self._deferred.append((step, gate))
            self._outgoing.begin(step, gate)

    def go_on(self, chain: Chain) -> None:
        """With what was deferred, once half of what is in flight has been written."""
        if not self.ready:
            return
        waiting = [(step, gate) for step, gate in self._deferred if gate.told is None]  # the others are in vain by now
        bound = self._bind([step for step, _ in waiting], chain) if waiting else 0
        self._deferred = deque(waiting[bound:])
        for _, gate in waiting[:bound]:
            gate.tell(came=True)

    @property
    def ready(self) -> bool:
        """Whether something waits to be bound that now can be."""
        return bool(self._deferred) and _length(self._in_flight()) <= MOST_BYTES // 2

    def give_up(self) -> bool:
        """What was deferred is never written; whether that is nothing."""
        left, self._deferred = self._deferred, deque()
        for _, gate in left:
            gate.tell(came=False)
        return not left

    def _bind(self, batch: Sequence[Step], chain: Chain) -> int:
        """How many of the first steps are bound now."""
        intents = self._in_flight()
        room = MOST_BYTES - _length(intents)
        bound = 0
        for step in batch:
            if step.opens or step.closes:
                made = Intent().joined(step.opens, step.closes)
                room -= len(made.text)
                if room < 0 and intents:
                    break
                key = str(step.key)
                known = intents.get(key)
                intents[key] = made if known is None else known.joined(step.opens, step.closes)
            bound += 1
        before = self._journal.entry
        head = fold(before.head, *(made for step in batch[:bound] for made in _entries(step.effects)))
        evidence = self._evidence([one for step in batch[:bound] for one in step.resolutions], chain)
        self._journal.write(attrs.evolve(before, intents=intents, head=head, chain=chain, evidence=evidence))
        self._intents, self.owns = intents, True
        return bound

    def _evidence(self, kept: Sequence[Resolution], chain: Chain) -> dict[str, tuple[str, ...]]:
        """Known until the resolution of that number has gone, which may be another than that which it was made for."""
        used = {resolution_name(chain.number + 1), *(one.name for one in kept)}
        found = {
            name: parts
            for name, parts in self._journal.entry.evidence.items()
            if name in used or self._mirror.get(("Resolution", Key("", name))) is not None
        }
        for one in kept:
            if made := parts_of(one, self._home):
                found[one.name] = tuple(sorted({*found.get(one.name, ()), *made}))
        return found

    def _in_flight(self) -> dict[str, Intent]:
        return {run: intent for run, intent in self._intents.items() if self._under_way(run, intent)}

    def _under_way(self, run: str, intent: Intent) -> bool:
        """Whether a lease of it is still to be written: what is written can be seen, and need not be told."""
        namespace = run.split("/", 1)[0]
        return any(self._mirror.assumes(("GPULease", Key(namespace, name))) for name in intent.names)


def _length(intents: Mapping[str, Intent]) -> int:
    return sum(len(intent.text) for intent in intents.values())


def _entries(effects: Sequence[Effect]) -> Iterator[int]:
    for effect in effects:
        if isinstance(effect, (e.OpenLease, e.CloseLease)):
            yield entry(effect.lease, closing=isinstance(effect, e.CloseLease))

"""Keeps the indexes in step with what changes of nodes, and of what holds places on them."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from runs_core.values.funding import Pledge
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.node import MalformedNode, Node
from runs_core.values.pod import Pod
from runs_core.values.storage import Storage
from runs_core.world.about_runs import AboutRuns
from runs_core.world.ledger import entry, fold
from runs_core.world.promises import Promised


class AboutPlaces(AboutRuns):
    """Leases, pods, pledges and promises take places; nodes and volumes make some."""

    def _put_node(self, name: str, node: Node | MalformedNode | None) -> None:
        old = self.node(name)
        same = isinstance(old, Node) and isinstance(node, Node) and old.flavor == node.flavor
        flavors = None if same else self.flavors()
        self.fleet.replace_node(name, node)
        if not self._supposed:
            self.touched_nodes.add(name)
        if isinstance(node, Node) and node.request is not None:
            self.requests[name] = node.request
        else:
            self.requests.pop(name, None)
        lost = node is None or (isinstance(node, Node) and node.lost)
        if isinstance(old, Node) and (node is None or (isinstance(node, Node) and node.uid != old.uid)):
            self._strand(old)
            lost = True
        if self._pledges:
            self._touch_bound({name})
        self.promises.stirred = True
        if lost or (isinstance(old, Node) and old.lost):
            self.touch(*sorted({lease.run for lease in self.ledger.by_node.get(name, {}).values()}))
        if flavors is not None and flavors != self.flavors():
            self._flavors_changed()
        if self.funded and not same:
            for key in sorted({lease.run for lease in self.ledger.by_node.get(name, {}).values()}):
                self._loosen(key)

    def _flavors_changed(self) -> None:
        """A run that names none may mean another now, and Budgets say which of theirs nobody has."""
        self.line.forget()
        if not self._supposed:
            self.touched_budgets.update(self._budgets)

    def _strand(self, node: Node) -> None:
        """It is gone, or another has its name: what is leased on it was leased on this one."""
        self._stranded = {one: uid for one, uid in self._stranded.items() if one[0] in self.ledger.open}
        for key in self.ledger.by_node.get(node.name, ()):
            self._stranded.setdefault((key, node.name), node.uid)

    def _put_pod(self, key: Key, old: Pod | None, pod: Pod | None) -> None:
        self.gangs.replace(key, old, pod)
        if weighs := old is None or pod is None or not _weighs_the_same(old, pod):
            if old is not None and not old.phase.ended:
                self.fleet.load(old, there=False)
            if pod is not None and not pod.phase.ended:
                self.fleet.load(pod, there=True)
        before = old.rank.run if old is not None and old.rank is not None else None
        after = pod.rank.run if pod is not None and pod.rank is not None else None
        if before is not None:
            self._touch(before)
        if after is not None and after is not before:
            self._touch(after)
        elif weighs and before is None:
            self.promises.stirred = True  # of pods of ours the leases tell
        if old is not None and old.claim is not None:
            self._claimed(old.claim.run)
        if pod is not None and pod.claim is not None:
            self._claimed(pod.claim.run)

    def _claimed(self, key: Key) -> None:
        """What it needs may be another: somebody else's pods for this run, or volumes that it uses, came or went."""
        run = self._runs.get(key)
        if run is not None:
            self._stand(key, None, run)
        self.touch(key)

    def _put_lease(self, old: Lease | None, lease: Lease | None) -> None:
        if self.funded:
            self._unpay(old, lease)
        if old is not None and lease is not None and not lease.status.closed and old.spec is lease.spec:
            self.ledger.remove(old)
            self.ledger.add(lease)  # only its meter is another
            return
        if old is not None:
            self.ledger.remove(old)
            self.fleet.hold(old, opened=False)
            for slots in old.spec.slots if self.fleet.shared else ():
                if slots.node in self.fleet.shared:
                    self.fleet.retake(slots.node, self.ledger.by_node.get(slots.node, {}).values())
        if lease is not None and not lease.status.closed:
            self.ledger.add(lease)
            self.fleet.hold(lease, opened=True)
        if lease is not None and (old is None or lease.status.closed):
            self.ledger.head = fold(self.ledger.head, entry(lease, closing=lease.status.closed))
        for known in (old, lease) if old is None or lease is None or old.run != lease.run else (lease,):
            if known is not None:
                self._touch(known.run)
                if self.funded:
                    self._loosen(known.run)
        if old is not None and self._pledges:
            self._touch_bound({slots.node for slots in old.spec.slots})
        if self.line.entries:
            self.promises.stirred = True
        if lease is not None and lease.status.closed and not self._supposed:
            self.lengths.closed(lease)

    def _touch_bound(self, nodes: AbstractSet[str]) -> None:
        """Somebody may be waiting for places of theirs."""
        for key, pledge in self._pledges.items():
            if any(pod.node in nodes for group in pledge.placement.groups for pod in group.pods):
                self._touch(key)

    def _promise(self, change: Promised) -> None:
        key, nodes = self.promises.put(change)
        for name in nodes:
            self.fleet.keep(name, self.promises.mask(name))
        if key not in self.promises.by_run:
            self.promises.stirred = True
        if self.funded and not self._supposed:
            self._stir_hold(key)
            if (stands := self.line.entries.get(key)) is not None:
                self.held.stir(stands.queue.ask)
        self.touch(key)

    def _put_pledge(self, key: Key, pledge: Pledge | None) -> None:
        old = self._pledges.pop(key, None)
        if old is not None:
            self.fleet.bind(old.placement, bound=False)
        if pledge is not None:
            self._pledges[key] = pledge
            self.fleet.bind(pledge.placement, bound=True)
        if not self._supposed:
            for known in (old, pledge):
                self.touched_budgets.update(share.payer.budget for share in (known.shares if known is not None else ()))
        if (run := self._runs.get(key)) is not None:
            self._stand(key, None, run)
        self.touch(key)

    def _put_storage(self, name: tuple[str, Key], thing: Storage | None) -> None:
        """Whoever uses it and waits may need another place now."""
        for claim in self.volumes.replace(name, thing):
            theirs = [run for run in self.gangs.claims if run.namespace == claim.namespace]
            for key in sorted({*self.volumes.users.get(claim, ()), *theirs}):
                self._claimed(key)


def _weighs_the_same(old: Pod, new: Pod) -> bool:
    """Whether the pod takes of its node what it took before."""
    return (
        not old.phase.ended
        and not new.phase.ended
        and old.node == new.node
        and (old.rank is None) is (new.rank is None)
        and old.gpus == new.gpus
        and (old.requests is new.requests or old.requests == new.requests)
    )

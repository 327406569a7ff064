"""Keeps the indexes in step with what changes of runs, and of who may pay for them."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import datetime

import attrs

from runs_core.values.budget import Budget, Namespace
from runs_core.values.classes import NOTHING
from runs_core.values.lease import Lease
from runs_core.values.meta import Key
from runs_core.values.run import Phase, Run
from runs_core.world.known import Known
from runs_core.world.needs import min_runtime_of
from runs_core.world.slack import Slack


class AboutRuns(Known):
    """A run that changes stands somewhere else in line; so do those whose owners' Budgets change."""

    def _put_run(self, key: Key, old: Run | None, run: Run | None) -> None:
        if run is not None:
            self._runs[key] = run
        else:
            del self._runs[key]
        if not self._supposed and (run is None or run.status.phase is Phase.RUNNING):
            self._due.pop(key, None)
        if old is None or run is None or old.spec is not run.spec or run.spec.after:
            self.promises.stirred = True
            self.ends.heard(old, run)
            self.touch(*self.upstream.replace(key, old, run, self._runs))
            before, after = _claims(old), _claims(run)
            if before != after:
                self.volumes.use(key, before, after)
        self._stand(key, old, run)
        if self.ends.active:
            self.ends.replace(key, run)
        if key in self.unpaid.entries:
            self._unpaid_moved.add(key)
        if self.funded:
            self._slacken(key, old, run)
            if self.quanta.active:
                self.quanta.replace(key, run)
        moved = old is None or run is None or old.status.phase is not run.status.phase
        if moved and (dependents := self.upstream.by_run.get(key)) is not None:
            self.touch(*dependents)
        self._touch(key)

    def _loosen(self, key: Key) -> None:
        if (run := self._runs.get(key)) is not None:
            self._slacken(key, run, run)

    def _slacken(self, key: Key, old: Run | None, run: Run | None) -> None:
        """Anew whenever the run, its leases or their nodes change: they come in any order."""
        slack, held = None, run.status.funding if run is not None else NOTHING
        if not (held.unfunded or held.shared) and key not in self.slack.all():
            return
        if run is not None and run.status.started_at is not None and (held.unfunded or held.shared):
            flavor = self.held_flavor(run)
            spared = run.status.started_at + min_runtime_of(run.spec, self.settings.reclaim)
            slack = Slack(flavor, held.unfunded, held.shared, spared)
        if old is not None and run is not None and old.status.payers != run.status.payers:
            self.slack.stir(key)
        if self.slack.put(key, slack, self.now) and slack is not None and not self._supposed:
            self.line.slack.add(slack.flavor)

    def _stand(self, key: Key, old: Run | None, run: Run | None) -> None:
        """Keep the line, and the runs that have not started, in step."""
        if old is not None and run is not None and old.status.phase.begun and run.status.phase.begun:
            return
        phase = None if run is None or run.status.ending is not None else run.status.phase
        if phase is not None and not phase.begun:
            self._unstarted.setdefault(key.namespace, set()).add(key)
        elif (unstarted := self._unstarted.get(key.namespace)) is not None:
            unstarted.discard(key)
            if not unstarted:
                del self._unstarted[key.namespace]
        waits = run is not None and phase is not None and phase.waits and key not in self._pledges
        if run is None or not waits or run.meta.deleting or run.spec.suspend or run.spec.canceled:
            self.line.replace(key, None, None)
            if self.held.by_run:
                self._stir_hold(key)
            return
        if old is not None and old.spec is run.spec and (entry_ := self.line.entries.get(key)) is not None:
            need, ask = entry_.shape.need, entry_.queue.ask
        else:
            need, ask = self.need(run), self.ask(run) if self.funded else None
        stood = key in self.line.entries
        first = self.line.replace(key, self._order(key, run), need, ask)
        if ask is None or ask.owner is None:
            return
        held = self.held
        if held.by_run:
            self._stir_hold(key)
            if first is not None and first.cover is not None and not self._supposed:
                self.line.hear(key)  # what is held from those behind may be its own
        if not stood:
            held.expect(
                ask.owner, (run.status.queued_since or self.now) + self.settings.patience.holds_after(ask.owner)
            )

    def _stir_hold(self, key: Key) -> None:
        """What it holds may be somebody's now."""
        hold = self.held.by_run.get(key)
        if hold is not None and not self._supposed and not self._holds(hold):
            self.held.stirred.add(hold.owner)

    def stand_unpaid(self) -> None:
        """Bring the line for cover in step with who now holds what without a payer."""
        if not self._unpaid_moved:
            return
        for key in sorted(self._unpaid_moved):
            run = self._runs.get(key)
            without = [lease for lease in self.ledger.leases_of(key) if lease.spec.payer is None]
            if run is None or not without or run.status.ending is not None or not run.status.phase.begun:
                self.unpaid.replace(key, None, None)
                continue
            ask = attrs.evolve(self.ask(run), gpus=sum(lease.gpus for lease in without), demand=None)
            self.unpaid.replace(key, self._order(key, run), self.need(run), ask)
            if key in self._aside:
                self.unpaid.hear(key)
        self._aside -= self._unpaid_moved
        self._unpaid_moved.clear()

    def step_aside(self, key: Key, until: datetime | None) -> None:
        """Something holds a run that waits for cover: those behind it pass until it is touched again."""
        self.unpaid.replace(key, None, None)
        self._aside.add(key)
        if until is not None:
            self.wake_at(until, key)

    def step_back(self, key: Key) -> None:
        """What held it may have gone: it stands in line for cover again."""
        if key in self._aside:
            self._unpaid_moved.add(key)

    def _unpay(self, old: Lease | None, lease: Lease | None) -> None:
        """Who holds GPUs that nobody pays for stands in line for cover, where its run does for GPUs while it waits."""
        for known, sign in ((old, -1), (lease, 1)):
            if known is None:
                continue
            self.slack.stir(known.run)
            if known.status.closed:
                continue
            payer = known.spec.payer
            if payer is None:
                self._unpaid_moved.add(known.run)
            else:
                self._paying[payer.budget] = self._paying.get(payer.budget, 0) + sign
                if not self._supposed:
                    self.touched_budgets.add(payer.budget)

    def _put_namespace(self, name: str, namespace: Namespace | None) -> None:
        before = self.owners(name)
        self._namespaces.pop(name, None)
        if namespace is not None:
            self._namespaces[name] = namespace
        self._owners_changed()
        self._touch_budgets({*before, *self.owners(name)})

    def _put_budget(self, name: str, budget: Budget | None) -> None:
        old = self._budgets.pop(name, None)
        if budget is not None:
            self._budgets[name] = budget
        if not self._supposed:
            self.touched_budgets.add(name)
        if old is None or budget is None or old.spec != budget.spec:
            self._owners_changed()
            if self.funded:
                self.promises.stirred = True
                self.line.unhear()
                self.unpaid.unhear()
            if not self._supposed:  # what one says of owners and parents may be news for every other
                self.touched_budgets.update(self._budgets)

    def _touch_budgets(self, owners: AbstractSet[str]) -> None:
        """The namespaces that spend for these owners may be others now: their budgets say how many."""
        if owners and not self._supposed:
            self.touched_budgets.update(name for name, b in self._budgets.items() if b.spec.owner in owners)

    def _owners_changed(self) -> None:
        before, self._owners = self._owners, {}
        self._unpaid_moved.update(self.unpaid.entries, self._aside)
        for namespace in sorted(self._unstarted):
            if before.get(namespace) != self.owners(namespace):
                self.touch(*self._unstarted[namespace])
                for key in sorted(self._unstarted[namespace]) if self.funded else ():
                    self._stand(key, None, self._runs[key])


def _claims(run: Run | None) -> tuple[str, ...]:
    return run.spec.template.claims if run is not None and run.spec.template is not None else ()

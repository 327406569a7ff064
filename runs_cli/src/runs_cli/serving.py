"""What the scheduler process on a live cluster is put together from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs

from runs_cli.options import Asked
from runs_cli.session.live import connected
from runs_core.cluster.kube.api import Api
from runs_core.cluster.kube.cluster import KubeCluster, wall_clock
from runs_core.cluster.kube.election import Election, LeaseLock
from runs_core.cluster.kube.rights import JOURNAL
from runs_core.hooks.ask import PluginAdvice
from runs_core.hooks.registry import Registry
from runs_core.serve import log
from runs_core.serve.health import Health
from runs_core.serve.loop import Loop
from runs_core.serve.manifests.installation import NAMESPACE
from runs_core.serve.process import LiveCluster, Parts
from runs_core.serve.reload import Reload
from runs_core.serve.signals import Stopping
from runs_core.serve.webhook.review import Admission
from runs_core.serve.webhook.service import Webhooks, certificates
from runs_core.values.meta import Key
from runs_core.values.record import Record


@attrs.define
class Served:
    """parts: of the process. cluster: the one that it has in view, which is another after each time it was deposed."""

    api: Api
    namespace: str
    plugins: Registry
    parts: Parts
    cluster: KubeCluster | None = None

    def flavors(self) -> Sequence[str]:
        """Of the fleet as it was last seen."""
        return self.cluster.flavors if self.cluster is not None else ()


def parts(asked: Asked, plugins: Registry, reload: Reload, *, identity: str, stop: Stopping, health: Health) -> Served:
    """Nothing has been asked of the cluster yet. Unavailable: the kubeconfig cannot be used."""
    place, api = connected(asked)
    inside = place.name is None
    namespace = asked.namespace or (place.namespace if inside else NAMESPACE)
    times = reload.settings.election

    def cluster() -> LiveCluster:
        served.cluster = KubeCluster(api, reload.settings, namespace=namespace, told=_untold, sections=plugins.sections)
        return served.cluster

    def loop(cluster: LiveCluster) -> Loop:
        advice = PluginAdvice(plugins, reload.settings)
        made = Loop(cluster, reload.settings, advice, told=advice.recorded)
        made.tell(lambda record: log.decided(made.cycles, record))
        advice.attach(made.world, made.world)
        return made

    lock = LeaseLock(api, namespace, seconds=times.renew_deadline.total_seconds() / 2)
    made = Parts(
        cluster=cluster,
        loop=loop,
        election=Election(lock, identity, times),
        stop=stop,
        health=health,
        reload=reload,
        journal=Key(namespace, JOURNAL),
    )
    served = Served(api=api, namespace=namespace, plugins=plugins, parts=made)
    return served


@contextmanager
def webhooks(served: Served, where: tuple[str, int] | None, folder: str | None, hosts: Sequence[str]) -> Iterator[None]:
    """Answered inside, if anywhere."""
    if where is None:
        yield
        return
    admission = Admission(flavors=served.flavors, sections=served.plugins.sections)
    shown = certificates(served.api, folder, served.namespace, hosts, wall_clock)
    made = Webhooks(where, admission.answer, shown, wall_clock, log.warn)
    served.parts.health.needs(made.problems)
    made.start()
    log.info("answers webhooks", address=f"{where[0] or '*'}:{made.port}")
    try:
        yield
    finally:
        made.stop()


def _untold(_: Sequence[Record]) -> None:
    """The records of a live cluster are the log, the events and what plugins keep of them."""

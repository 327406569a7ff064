"""One command's look at the cluster. Nothing outside this package knows which cluster there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runs_cli.options import Asked
from runs_cli.session.port import FLEET, Session

if TYPE_CHECKING:
    from runs_cli.session.local import Local
    from runs_core.serve.doctor.finding import Diagnosis
    from runs_core.serve.manifests.installation import Installation

DECLARED = ("Namespace", "Budget", "Node", "StorageClass", "PersistentVolume", "PersistentVolumeClaim")
"""Kinds that `cluster apply` takes."""


@contextmanager
def opened(asked: Asked, kinds: Sequence[str] = FLEET, names: Sequence[str] = ()) -> Iterator[Session]:
    """The cluster that was asked for. kinds: what the command looks at; names: runs that it is about, if it says.

    Only the one of the two kinds of cluster that is used is imported.
    """
    if asked.local is not None:
        from runs_cli.session import local  # noqa: PLC0415

        with local.opened(asked) as session:
            yield session
    else:
        from runs_cli.session import live  # noqa: PLC0415

        with live.opened(asked, kinds, names) as looking:
            yield looking


@contextmanager
def embedded(asked: Asked) -> Iterator[Local]:
    """The embedded cluster. Stop: none is named."""
    from runs_cli.session import local  # noqa: PLC0415 - the live cluster does not need it

    with local.opened(asked) as session:
        yield session


def names(asked: Asked, kind: str) -> list[tuple[str, str]]:
    """(namespace, name) of every object of a kind that completion may offer."""
    if asked.local is not None:
        from runs_cli.session import local  # noqa: PLC0415

        return local.names(asked, kind)
    from runs_cli.session import live  # noqa: PLC0415

    return live.names(asked, kind)


def diagnosed(asked: Asked, installation: Installation) -> Diagnosis:
    """What is wrong with the live cluster."""
    from runs_cli.session import live  # noqa: PLC0415

    return live.diagnosed(asked, installation)

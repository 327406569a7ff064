"""Manifests on their way in: read, made complete from what the cluster knows, and held against what is there."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import attrs

from runs_cli.session import DECLARED
from runs_cli.session.port import Session, key_in
from runs_core.errors import InvalidInput, Problem
from runs_core.schema.changes import changes_refused
from runs_core.schema.convert import Object, run_from_object
from runs_core.schema.defaults import flavor_of
from runs_core.schema.manifest import Document, read_manifests
from runs_core.schema.text import bounded
from runs_core.values.meta import Key
from runs_core.values.run import Run

STDIN = "-"
PLANNED = "planned"
"""The uid of a run that nobody has submitted."""


def read_runs(session: Session, filename: str) -> list[Document]:
    """The Runs of a file, complete with namespace and flavor. InvalidInput: any of it is not a run that could be."""
    return runs_from(session, text_of(filename), _source(filename))


def runs_from(session: Session, text: str, source: str) -> list[Document]:
    """As `read_runs`."""
    found = [_completed(session, one) for one in read_manifests(text, source, session.plugins.sections, ("Run",))]
    first: dict[Key, Document] = {}
    for one in found:
        before = first.setdefault(key := key_in(one.body), one)
        if before is not one:
            what = f"got {key} a second time, after {before.where}; leave one of them out"
            raise InvalidInput([Problem(f"{one.where} metadata.name", what)])
    return found


def read_fleet(session: Session, filename: str) -> list[Object]:
    """The Nodes, Namespaces, Budgets and volumes of a file. InvalidInput: anything else is in it."""
    found = read_manifests(text_of(filename), _source(filename), session.plugins.sections, DECLARED)
    for one in found:
        if one.kind == "PersistentVolumeClaim":
            one.body["metadata"].setdefault("namespace", session.asked.home)
    return [one.body for one in found]


def as_submitted(session: Session, document: Document) -> Run:
    """The run as it would stand if this were submitted now, without writing. InvalidInput: it would be refused."""
    run = run_from_object(document.body, session.plugins.sections)
    known = session.find_run(run.key)
    if known is None:
        return attrs.evolve(run, meta=attrs.evolve(run.meta, uid=PLANNED, created=session.now))
    changed = attrs.evolve(known, spec=run.spec)
    refused = changes_refused(known, changed)
    if refused:
        raise InvalidInput([Problem(f"{document.where} {one.where}", one.what) for one in refused])
    return changed


def _completed(session: Session, document: Document) -> Document:
    """With the command's namespace and, where there is only one, the flavor. InvalidInput: neither can be told."""
    body: Object = copy.deepcopy(document.body)
    namespace = body["metadata"].setdefault("namespace", session.asked.home)
    if session.asked.namespace not in (None, namespace):
        what = f"got {namespace}, and --namespace says {session.asked.namespace}; leave one of them out"
        raise InvalidInput([Problem(f"{document.where} metadata.namespace", what)])
    lack = session.no_namespace(namespace)
    if lack is not None:
        raise InvalidInput([Problem(f"{document.where} metadata.namespace", f"got {namespace}, {lack}")])
    if not body["spec"]["resources"].get("flavor"):
        _fill_flavor(session, document.where, body)
    return attrs.evolve(document, body=body)


def _fill_flavor(session: Session, where: str, body: Object) -> None:
    known = session.find_run(key_in(body))
    has = known.spec.resources.flavor if known is not None else None
    try:
        flavor = flavor_of(has, () if has else session.flavors())
    except InvalidInput as error:
        raise InvalidInput([Problem(f"{where} {one.where}", one.what) for one in error.problems]) from error
    if flavor is not None:
        body["spec"]["resources"]["flavor"] = flavor


def _source(filename: str) -> str:
    return "stdin" if filename == STDIN else filename


def text_of(filename: str) -> str:
    """Of a file, or of stdin. InvalidInput: it cannot be read, is no text, or has no end."""
    try:
        if filename == STDIN:
            return bounded(sys.stdin, _source(filename))
        with Path(filename).open(encoding="utf-8") as file:
            return bounded(file, filename)
    except OSError as error:
        raise InvalidInput([Problem(filename, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise InvalidInput([Problem(_source(filename), "is no UTF-8 text")]) from error

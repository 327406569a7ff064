"""`runs submit`: create or update runs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta

import attrs
import click

from runs_cli import waiting
from runs_cli.answer import Fields, answer, listed
from runs_cli.failures import Code
from runs_cli.intake import as_submitted, read_runs, runs_from
from runs_cli.options import Asked, asked
from runs_cli.session import opened
from runs_cli.session.port import NOTHING, Session, key_in
from runs_cli.words import duration
from runs_core.schema.convert import Object
from runs_core.schema.manifest import Document
from runs_core.values.meta import SIMULATED, Key


@attrs.frozen(kw_only=True)
class Flags:
    """A run as flags say it."""

    gpus: int | None
    flavor: str | None
    group: int | None
    gpus_per_pod: int | None
    image: str | None
    after: tuple[str, ...]
    owner: str | None
    expected_duration: str | None
    simulated_duration: str | None

    @property
    def any(self) -> bool:
        return any(attrs.astuple(self, recurse=False))


def submit(
    *,
    name: str | None,
    words: tuple[str, ...],
    filename: str | None,
    dry_run: str | None,
    wait: str | None,
    timeout: str,
    **flags: object,
) -> int:
    limit = duration(timeout, "--timeout")
    given = Flags(**flags)  # type: ignore[arg-type]  # click's values, by the names of the options above
    _check_usage(name, words, filename, given)
    if given.simulated_duration is not None:
        duration(given.simulated_duration, "--simulated-duration")
    with opened(asked(), NOTHING) as session:
        if filename is not None:
            documents = read_runs(session, filename)
        else:
            documents = runs_from(session, json.dumps(manifest(str(name), words, given)), "command line")
        match dry_run:
            case "client":
                _answer(session.asked, [one.body for one in documents], ["valid, and not sent"] * len(documents))
                return Code.DONE
            case "server":
                return _try(session, documents)
            case _:
                return _send(session, documents, wait=wait, timeout=limit)


def _try(session: Session, documents: list[Document]) -> int:
    """The cluster's own word on each, and nothing is kept."""
    for document in documents:
        as_submitted(session, document)
    done = [session.submit(document.body, dry_run=True) for document in documents]
    _answer(session.asked, [body for body, _ in done], [f"would be {word}, and is not" for _, word in done])
    return Code.DONE


def _send(session: Session, documents: list[Document], *, wait: str | None, timeout: timedelta) -> int:
    """All or none: nothing is sent before each has been found to be acceptable."""
    keys = [as_submitted(session, document).key for document in documents]
    done = [session.submit(document.body) for document in documents]
    session.settle()
    code = waiting.wait(session, keys, wait, timeout) if wait else Code.DONE
    lines = [_line(session, key, word) for key, (_, word) in zip(keys, done, strict=True)]
    _answer(session.asked, [session.stored("Run", key) for key in keys], lines)
    return code


def _line(session: Session, key: Key, word: str) -> str:
    """What was done, and where that leaves the run; a scheduler of its own has hardly looked at a new one yet."""
    run = session.find_run(key)
    if run is None:
        return f"{word}: gone"
    standing = ", ".join(filter(None, (str(run.status.phase), run.status.message or run.status.reason)))
    if run.status.observed_generation == 0 and not session.at_once:
        return f"{word}: sent to the scheduler"
    return f"{word}: {standing}"


def _answer(said: Asked, bodies: list[Object], lines: list[str]) -> None:
    keys = [str(key_in(body)) for body in bodies]
    answer(
        said,
        plain=lambda: listed(bodies, one=True),
        names=lambda: keys,
        blocks=lambda: [Fields(pairs=list(zip(keys, lines, strict=True)))],
    )


def _check_usage(name: str | None, words: tuple[str, ...], filename: str | None, given: Flags) -> None:
    context = click.get_current_context()
    if filename is not None and (name is not None or given.any):
        raise click.UsageError("-f takes everything from the file: leave NAME and the flags of a run out", context)
    if filename is None and (name is None or given.gpus is None):
        raise click.UsageError("name the run and its --gpus, or a file with -f", context)
    if words and given.image is None:
        raise click.UsageError("a command needs a container: name its --image", context)
    if given.image is not None and (not given.image or re.search(r"\s", given.image)):
        raise click.UsageError(f"--image: got {given.image!r}, want one such as ghcr.io/me/train:1", context)


def manifest(name: str, words: tuple[str, ...], given: Flags) -> dict[str, object]:
    """The manifest that these flags stand for; its namespace is the command's."""
    resources = {"gpus": given.gpus, "flavor": given.flavor, "gpusPerPod": given.gpus_per_pod}
    spec: dict[str, object] = {"resources": _said(resources)}
    if given.group is not None:
        spec["topology"] = {"groupGPUs": given.group}
    if given.expected_duration is not None:
        spec["runtime"] = {"expectedDuration": given.expected_duration}
    if given.image is not None:
        container = {"name": "main", "image": given.image, **({"command": list(words)} if words else {})}
        spec["template"] = {"spec": {"containers": [container]}}
    spec |= _said({"after": list(given.after) or None, "owner": given.owner})
    metadata: dict[str, object] = {"name": name}
    if given.simulated_duration is not None:
        metadata["annotations"] = {f"{SIMULATED}duration": given.simulated_duration}
    return {"apiVersion": "runs.dev/v1alpha1", "kind": "Run", "metadata": metadata, "spec": spec}


def _said(options: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in options.items() if value is not None}

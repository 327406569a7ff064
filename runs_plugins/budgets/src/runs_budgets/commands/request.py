"""`runs budgets request`: a manifest for another quota, after what it would do."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import click

from runs_budgets.commands.wish import Effect, Reclassed, Relative, effect
from runs_budgets.sections import Sharing
from runs_cli.answer import Block, Column, Fields, Notes, Table, answer, as_yaml
from runs_cli.command import command
from runs_cli.completion import BUDGET
from runs_cli.failures import Stop, nearest
from runs_cli.options import asked
from runs_cli.session import opened
from runs_cli.session.port import PAID, Session
from runs_core import API_VERSION, Split

Object = dict[str, Any]
_SPRINT = "runs budgets request vision --envelope sprint --flavor A100-80GB --gpus 32 --file request.yaml"
_FIRST = (
    "runs budgets request audio --owner org:audio --parent org:lab --for-namespace audio "
    "--envelope h100 --flavor H100-80GB --gpus 32"
)
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@attrs.frozen(kw_only=True)
class Change:
    """One field of the envelope; None: it was not there."""

    field: str
    before: object
    after: object


@attrs.frozen(kw_only=True)
class Request:
    """changes: of the envelope, field by field. effect: of the whole. file: where the manifest was written."""

    envelope: str
    changes: tuple[Change, ...]
    effect: Effect
    manifest: Object
    file: str | None


@command(
    "request",
    examples=(
        (
            "What would 160 GPUs instead of 96 do to the family?",
            "runs budgets request vision --envelope h100 --gpus 160",
        ),
        (
            "Two weeks of another flavor, as a file for the administrator:",
            f"{_SPRINT} --opens 2026-02-01T00:00:00Z --closes 2026-02-15T00:00:00Z",
        ),
        ("The first quota of an owner that has no Budget:", _FIRST),
    ),
)
@click.argument("name", metavar="NAME", type=BUDGET)
@click.option("--envelope", metavar="NAME", required=True, help="The envelope to change, or to add.")
@click.option("--flavor", metavar="FLAVOR", help="The flavor of an envelope that is added.")
@click.option("--gpus", type=int, metavar="N", help="GPUs that it pays for at once.")
@click.option("--gpu-hours", type=int, metavar="N", help="GPU-hours that it pays for over its window, at most.")
@click.option("--opens", metavar="TIME", help="Pays from then on, such as 2026-02-01T00:00:00Z.")
@click.option("--closes", metavar="TIME", help="Pays until then.")
@click.option("--sharing", type=click.Choice([one.value for one in Sharing]), help="Who may use what it has left.")
@click.option("--owner", metavar="OWNER", help="Of a Budget that is not there yet: whose it is.")
@click.option("--parent", "parents", metavar="OWNER", multiple=True, help="Of a new Budget: whose family it joins.")
@click.option(
    "--for-namespace", "spaces", metavar="NAMESPACE", multiple=True, help="Of a new Budget: whose runs it pays for."
)
@click.option("--file", "file", metavar="FILE", help="Write the manifest there; shown, unless given.")
def request_command(
    name: str,
    *,
    envelope: str,
    flavor: str | None,
    file: str | None,
    owner: str | None,
    parents: tuple[str, ...],
    spaces: tuple[str, ...],
    **said: object,
) -> None:
    """A Budget's manifest with one envelope as you want it, and what that would do now. Nothing in the cluster changes.

    With --owner it is a new Budget's.

    OWN is what a new run of that owner could be given by its own envelopes of the flavor, FAMILY by its family's beside
    them. The scheduler's own engine says so, of the world as it is and of one in which the Budget is as asked.
    """
    with opened(asked(), PAID) as session:
        if owner is not None:
            manifest = _new_body(session, name, owner, parents, spaces)
        elif parents or spaces:
            raise Stop("--parent and --for-namespace are of a new Budget: say --owner as well")
        else:
            manifest = _plain_body(session.stored("Budget", session.budget_named(name).meta.key))
        changes = tuple(_change(manifest, envelope, flavor, said))
        wanted, known = session.budget_read(manifest), session.world.budget(name)
        wanted = wanted if known is None else attrs.evolve(known, spec=wanted.spec)
        flavor = _envelope(manifest["spec"], envelope)["flavor"]
        found = Request(
            envelope=envelope,
            changes=changes,
            effect=effect(session, wanted, flavor),
            manifest=manifest,
            file=file,
        )
        if file is not None:
            _write(Path(file), found)
        answer(
            session.asked,
            plain=lambda: _item(found),
            names=lambda: [f"{name}/{envelope}"],
            blocks=lambda: _blocks(session, found),
        )


# -- the manifest -----------------------------------------------------------------------------------------------------


def _plain_body(body: Object) -> Object:
    """What an administrator applies: name, labels, spec."""
    meta, kept = body["metadata"], {}
    if labels := meta.get("labels"):
        kept["labels"] = labels
    if notes := {key: text for key, text in (meta.get("annotations") or {}).items() if key != LAST_APPLIED}:
        kept["annotations"] = notes
    return {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "metadata": {"name": meta["name"], **kept},
        "spec": copy.deepcopy(body["spec"]),
    }


def _new_body(session: Session, name: str, owner: str, parents: Sequence[str], spaces: Sequence[str]) -> Object:
    """Of a Budget without envelopes so far. Stop: there is one of that name, or of that owner."""
    for known in session.world.budgets():
        if known.name == name:
            raise Stop(f"Budget {name} is there already, of {known.spec.owner}; leave --owner out to change it")
        if known.spec.owner == owner:
            raise Stop(f"{owner} has a Budget already: runs budgets request {known.name} changes it")
    spec: Object = {"owner": owner, "namespaces": {"names": list(spaces)}}
    if parents:
        spec["parents"] = list(parents)
    body: Object = {"apiVersion": API_VERSION, "kind": "Budget", "metadata": {"name": name}, "spec": spec}
    return body


def _envelope(spec: Object, name: str) -> Object:
    found: Object = next((one for one in spec.get("envelopes") or () if one["name"] == name), {})
    return found


def _change(manifest: Object, name: str, flavor: str | None, said: Mapping[str, object]) -> Iterator[Change]:
    """Change it in place. Stop: there is nothing to change, or no such envelope."""
    spec, budget = manifest["spec"], manifest["metadata"]["name"]
    target = _envelope(spec, name)
    if not target:
        if flavor is None or said["gpus"] is None:
            near = nearest(name, [one["name"] for one in spec.get("envelopes") or ()])
            raise Stop(f"Budget {budget} has no envelope {name}{near}; to ask for a new one, say --flavor and --gpus")
        target = {"name": name, "flavor": flavor}
        spec["envelopes"] = [*(spec.get("envelopes") or ()), target]
        yield Change(field="flavor", before=None, after=flavor)
    elif flavor not in (None, target["flavor"]):
        raise Stop(f"envelope {name} of Budget {budget} pays for {target['flavor']}; name a new one for {flavor}")
    changed = False
    for option, value in said.items():
        if value is None:
            continue
        for change in _set(target, option, value):
            changed = True
            yield change
    if not changed:
        raise Stop(f"envelope {name} of Budget {budget} is so already; say what is to change, such as --gpus N")


_FIELDS = {"gpus": "gpus", "gpu_hours": "gpuHours", "sharing": "sharing", "opens": "start", "closes": "end"}


def _set(target: Object, option: str, value: object) -> Iterator[Change]:
    field, inside = _FIELDS[option], target
    if option in ("opens", "closes"):
        inside = target.setdefault("window", {})
    before = inside.get(field, Sharing.FAMILY.value if option == "sharing" else None)
    if before == value:
        return
    inside[field] = value
    yield Change(field=field if inside is target else f"window.{field}", before=before, after=value)


def _write(path: Path, request: Request) -> None:
    """Stop: it is there already, or cannot be made."""
    told = "".join(f"# {line}\n" for line in _told(request))
    try:
        with path.open("x", encoding="utf-8") as target:
            target.write(f"{told}{as_yaml(request.manifest)}\n")
    except FileExistsError:
        raise Stop(f"{path} exists already; name another --file, or remove it") from None
    except OSError as error:
        raise Stop(f"{path} cannot be written: {error.strerror}; name another --file") from error


# -- for people and for machines --------------------------------------------------------------------------------------


def _told(request: Request) -> list[str]:
    return [
        f"{request.envelope}: {one.field} {'none' if one.before is None else one.before} -> {one.after}"
        for one in request.changes
    ]


def _item(request: Request) -> dict[str, object]:
    """As `-o json` has it."""
    found = request.effect
    return {
        "budget": request.manifest["metadata"]["name"],
        "envelope": request.envelope,
        "changes": [attrs.asdict(change) for change in request.changes],
        "headroom": [attrs.asdict(one) for one in found.family],
        "more": found.more,
        "runs": [
            {"run": str(one.run), "before": attrs.asdict(one.before), "after": attrs.asdict(one.after)}
            for one in found.runs
        ],
        "manifest": request.manifest,
        "file": request.file,
    }


def _blocks(session: Session, request: Request) -> list[Block]:
    name, spec, found = request.manifest["metadata"]["name"], request.manifest["spec"], request.effect
    flavor = _envelope(spec, request.envelope)["flavor"]
    blocks: list[Block] = [
        Fields(pairs=[("Budget", name), ("Owner", spec["owner"]), ("Flavor", flavor)]),
        Notes(title="Change", lines=_told(request)),
        _family(found.family),
    ]
    if found.more:
        blocks.append(Notes(title=f"{found.more} more relatives were not looked at.", lines=()))
    blocks.append(_runs(found.runs))
    if request.file is None:
        return [*blocks, Notes(title="Manifest", lines=as_yaml(request.manifest).splitlines())]
    local = session.asked.local
    apply = f"{'kubectl' if local is None else f'runs --local {local} cluster'} apply -f {request.file}"
    return [*blocks, Notes(title=f"The manifest is in {request.file}. An administrator applies it with", lines=[apply])]


def _family(family: Sequence[Relative]) -> Table:
    columns = [Column("OWNER"), Column("IS"), Column("OWN", right=True), Column("FAMILY", right=True)]
    rows = [[one.owner, one.relation, _step(one, "own"), _step(one, "family")] for one in family]
    return Table(columns=columns, rows=rows, title="GPUs that a new run could be given")


def _step(one: Relative, part: str) -> str:
    before, after = (getattr(room, part) for room in (one.before, one.after))
    return str(before) if before == after else f"{before} -> {after}"


def _runs(runs: Sequence[Reclassed]) -> Table:
    columns = [Column("RUN"), Column("NOW"), Column("THEN")]
    rows = [[str(one.run), _split(one.before), _split(one.after)] for one in runs]
    return Table(
        columns=columns, rows=rows, title="Runs that would count otherwise", empty="No run's class would change."
    )


def _split(split: Split) -> str:
    return ", ".join(f"{count} {cls}" for cls, count in attrs.asdict(split).items() if count) or "none"

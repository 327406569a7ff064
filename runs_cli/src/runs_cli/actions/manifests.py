"""`runs manifests`: Kubernetes objects as YAML."""

from __future__ import annotations

import click

from runs_cli.answer import as_json, as_yaml
from runs_cli.enabled import sections
from runs_cli.options import Output, asked
from runs_core.schema.crd import crds as declared


def crds() -> None:
    said = asked()
    found = declared(sections(said))
    match said.output:
        case Output.NAME:
            click.echo("\n".join(f"customresourcedefinition/{crd['metadata']['name']}" for crd in found))
        case Output.JSON:
            click.echo(as_json({"apiVersion": "v1", "kind": "List", "items": list(found)}))
        case _:
            click.echo("\n---\n".join(as_yaml(crd) for crd in found))

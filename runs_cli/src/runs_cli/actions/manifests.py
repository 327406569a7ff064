"""`runs manifests`: Kubernetes objects as YAML."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

import attrs
import click

from runs_cli.answer import as_json, as_yaml
from runs_cli.enabled import known_plugins, loaded_settings, sections
from runs_cli.options import Output, asked
from runs_core.errors import InvalidInput, Problem
from runs_core.hooks.registry import Registry
from runs_core.schema.convert import Object
from runs_core.schema.crd import crds as declared
from runs_core.schema.say import spelling
from runs_core.schema.text import bounded
from runs_core.serve.manifests.installation import NAMESPACE, Installation
from runs_core.serve.manifests.policies import OLDEST, PolicyMode, Version, known_to
from runs_core.serve.manifests.policies import policies as judged
from runs_core.serve.manifests.rbac import rbac as allowed
from runs_core.serve.manifests.webhooks import ByService, ByUrl, FailurePolicy
from runs_core.serve.manifests.webhooks import webhooks as asking
from runs_core.values.meta import DNS_LABEL


@attrs.frozen(kw_only=True)
class Reach:
    """How the API server finds the scheduler, as the options say it."""

    webhook_url: str | None
    webhook_service: str | None
    ca_file: str | None
    failure_policy: str


def crds() -> None:
    _print(declared(sections(asked())))


def rbac(*, namespace: str | None, service_account: str) -> None:
    _print(allowed(_installation(namespace, service_account), _plugins().permissions))


def policies(*, namespace: str | None, service_account: str, policy_mode: str, kubernetes: str) -> None:
    _print(known_to(_server(kubernetes), _policies(_installation(namespace, service_account), policy_mode, _plugins())))


def webhooks(*, namespace: str | None, service_account: str, **reach: str) -> None:
    found = _webhooks(_installation(namespace, service_account), Reach(**reach))
    if not found:
        raise click.UsageError("name --webhook-url or --webhook-service", click.get_current_context())
    _print(found)


def everything(*, namespace: str | None, service_account: str, policy_mode: str, kubernetes: str, **reach: str) -> None:
    server, installation, plugins = _server(kubernetes), _installation(namespace, service_account), _plugins()
    found = [
        *declared(plugins.sections),
        *allowed(installation, plugins.permissions),
        *_policies(installation, policy_mode, plugins),
        *_webhooks(installation, Reach(**reach)),
    ]
    _print(known_to(server, found))


def _plugins() -> Registry:
    return known_plugins(asked()).sound()


def _installation(namespace: str | None, service_account: str) -> Installation:
    return Installation(namespace=namespace or asked().namespace or NAMESPACE, account=service_account)


def _server(version: str) -> Version:
    found = re.fullmatch(r"v?(\d{1,4})\.(\d{1,4})(?:[.+-].*)?", version, re.ASCII)
    server = (int(found[1]), int(found[2])) if found else None
    if server is None or server < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise InvalidInput([Problem("--kubernetes", f"got {version!r}, want a version such as {oldest}, the oldest")])
    return server


def _policies(installation: Installation, mode: str, plugins: Registry) -> list[Object]:
    return judged(installation, loaded_settings(asked(), plugins).fleet, PolicyMode(mode))


def _webhooks(installation: Installation, said: Reach) -> list[Object]:
    """Empty where nobody said how the scheduler is reached."""
    if said.webhook_url and said.webhook_service:
        raise click.UsageError("--webhook-url or --webhook-service: name one of them", click.get_current_context())
    if said.webhook_url:
        reach: ByUrl | ByService = ByUrl(base=_https(said.webhook_url))
    elif said.webhook_service:
        reach = ByService(namespace=installation.namespace, name=_service(said.webhook_service))
    else:
        return []
    authority = None if said.ca_file is None else _certificates(said.ca_file)
    return asking(installation, reach, authority=authority, failure=FailurePolicy(said.failure_policy))


def _service(name: str) -> str:
    if re.fullmatch(DNS_LABEL, name) is None:
        raise InvalidInput([Problem("--webhook-service", f"got {name!r}, want {spelling(DNS_LABEL)}")])
    return name


def _https(url: str) -> str:
    """As the API server demands it: it would refuse the whole configuration."""
    try:
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme == "https" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        good = good and not (parts.query or parts.fragment or parts.username)
    except ValueError:
        good = False
    if not good:
        raise InvalidInput([Problem("--webhook-url", f"got {url!r}, want https://HOST:PORT")])
    return url


def _certificates(path: str) -> str:
    try:
        with Path(path).open(encoding="ascii") as file:
            text = bounded(file, f"--ca-file {path}")
    except OSError as error:
        raise InvalidInput([Problem("--ca-file", f"{path} cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError:
        text = ""
    if "-----BEGIN CERTIFICATE-----" not in text or "PRIVATE KEY" in text:
        raise InvalidInput([Problem("--ca-file", f"{path}: want certificates as PEM, and no key")])
    return text


def _print(objects: Sequence[Object]) -> None:
    match asked().output:
        case Output.NAME:
            click.echo("\n".join(f"{one['kind'].lower()}/{one['metadata']['name']}" for one in objects))
        case Output.JSON:
            click.echo(as_json({"apiVersion": "v1", "kind": "List", "items": list(objects)}))
        case _:
            click.echo("\n---\n".join(as_yaml(one) for one in objects))

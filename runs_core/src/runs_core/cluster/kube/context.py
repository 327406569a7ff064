"""Which cluster a kubeconfig means, and as what namespace, by kubectl's rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import yaml
from kubernetes import config
from kubernetes.config.config_exception import ConfigException

from runs_core.errors import Unavailable

INSIDE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
DEFAULT = "default"


@attrs.frozen(kw_only=True)
class Context:
    """name: None inside a cluster, without a kubeconfig. namespace: of names that say none."""

    name: str | None
    namespace: str


def current(kubeconfig: str | None = None, wanted: str | None = None) -> Context:
    """The named context, or the current one. Unavailable says what of the kubeconfig cannot be used."""
    try:
        known, active = config.list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call]  # the client has no types
    except (ConfigException, OSError, ValueError, yaml.YAMLError, AttributeError, TypeError, KeyError) as error:
        if kubeconfig is None and wanted is None and INSIDE.is_file():
            return Context(name=None, namespace=INSIDE.read_text(encoding="utf-8").strip() or DEFAULT)
        raise Unavailable(_why(error, kubeconfig)) from error
    if wanted is not None:
        active = next((one for one in known if one["name"] == wanted), None)
        if active is None:
            names = ", ".join(sorted(one["name"] for one in known))
            raise Unavailable(f"the kubeconfig has no context {wanted}; it has {names}")
    return _read(active)


def _read(found: dict[str, Any]) -> Context:
    inner = found.get("context") or {}
    return Context(name=found["name"], namespace=inner.get("namespace") or DEFAULT)


def _why(error: Exception, kubeconfig: str | None) -> str:
    place = kubeconfig or "the kubeconfig"
    if isinstance(error, yaml.YAMLError | UnicodeDecodeError):
        return f"{place} is no YAML; mend it, or name another with --kubeconfig"
    if isinstance(error, OSError):
        return f"{error.filename or place} cannot be read: {error.strerror}; name another with --kubeconfig"
    text = str(error)
    if "No configuration found" in text:
        if kubeconfig is not None:
            return f"{kubeconfig} is not there, or is empty; name another with --kubeconfig"
        return (
            "there is no kubeconfig: name one with --kubeconfig or KUBECONFIG, or an embedded cluster with --local FILE"
        )
    if "current-context" in text:
        return f"{place} has no current context: `kubectl config use-context NAME` sets one, --context names one"
    what = text.removeprefix("Invalid kube-config file. ").rstrip(".")
    return f"{place} cannot be used ({what}); mend it with `kubectl config`"

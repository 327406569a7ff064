"""Where the scheduler is, and as whom it acts."""

from __future__ import annotations

import re

import attrs

from runs_core.errors import InvalidInput, Problem
from runs_core.schema.convert import Object
from runs_core.schema.say import got, spelling
from runs_core.values.meta import DNS_LABEL, DNS_NAME

NAMESPACE = "runs-system"
NAME = "runs"
_LONGEST_LABEL, _LONGEST_NAME = 63, 253


@attrs.frozen(kw_only=True)
class Installation:
    """namespace: of the scheduler itself. account: its ServiceAccount there, which the roles are named after, too.

    InvalidInput: Kubernetes takes no such name.
    """

    namespace: str = NAMESPACE
    account: str = NAME

    def __attrs_post_init__(self) -> None:
        for where, name, pattern, most in (
            ("namespace", self.namespace, DNS_LABEL, _LONGEST_LABEL),
            ("service account", self.account, DNS_NAME, _LONGEST_NAME),
        ):
            if re.fullmatch(pattern, name) is None or len(name) > most:
                raise InvalidInput(
                    [Problem(where, f"got {got(name)}, want {spelling(pattern)}, {most} characters at most")]
                )

    @property
    def user(self) -> str:
        """Who the API server says that the scheduler is."""
        return f"system:serviceaccount:{self.namespace}:{self.account}"

    @property
    def labels(self) -> dict[str, str]:
        """What all of its objects have, to be found and removed by."""
        return {"app.kubernetes.io/name": "runs", "app.kubernetes.io/part-of": "runs"}

    def object(self, api_version: str, kind: str, name: str, *, home: bool = False) -> Object:
        """The beginning of one of its objects. home: it belongs into the namespace."""
        place = {"namespace": self.namespace} if home else {}
        return {
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {"name": name, "labels": self.labels, **place},
        }

"""Words of admission policies: what is matched, and by whom it is asked."""

from __future__ import annotations

import json
from collections.abc import Sequence

from runs_core.schema.convert import Object
from runs_core.serve.manifests.installation import Installation


def rule(group: str, version: str, resources: Sequence[str], operations: Sequence[str]) -> Object:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": list(operations),
        "resources": sorted(resources),
    }


def another(installation: Installation) -> Object:
    """Comes first: where it is the scheduler nothing else is looked at."""
    return {"name": "not-the-scheduler", "expression": f"!({ours(installation)})"}


def ours(installation: Installation) -> str:
    return f"request.userInfo.username == {text(installation.user)}"


def text(said: str) -> str:
    """As a literal of CEL, which has JSON's escapes."""
    return json.dumps(said, ensure_ascii=False)


def listed(texts: Sequence[str]) -> str:
    return f"[{', '.join(text(one) for one in texts)}]"

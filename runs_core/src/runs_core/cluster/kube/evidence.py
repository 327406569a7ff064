"""Evidence that is too long for its Resolution, in numbered ConfigMaps of the scheduler's namespace."""

from __future__ import annotations

from runs_core.cluster.kube import paths
from runs_core.cluster.kube.api import Api, Object
from runs_core.schema.convert import canonical, to_object
from runs_core.schema.names import API_VERSION
from runs_core.values.meta import Key
from runs_core.values.resolution import MOST_INLINE, Packed, Resolution

TEXT = "evidence"
PART_CHARACTERS = MOST_INLINE


def divided(resolution: Resolution, home: str) -> tuple[Object, list[Object]]:
    """The object to be made, and the ConfigMaps of the home namespace that hold what does not fit into it."""
    body = to_object(resolution)
    body.pop("status", None)
    if len(canonical(body["spec"])) <= MOST_INLINE:
        return body, []
    data = body["spec"]["evidence"].pop("data")
    texts = [data[at : at + PART_CHARACTERS] for at in range(0, len(data), PART_CHARACTERS)]
    body["spec"]["evidence"] |= {"parts": len(texts), "namespace": home}
    return body, [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": home}, "data": {TEXT: text}}
        for name, text in zip(names(resolution.name, resolution.spec.evidence, len(texts)), texts, strict=True)
    ]


def names(resolution: str, evidence: Packed, parts: int) -> list[str]:
    """Of the ConfigMaps, in order."""
    return [f"{resolution}-{evidence.digest[:8]}-{part}" for part in range(parts)]


def parts_of(resolution: Resolution, home: str) -> tuple[str, ...]:
    """The names of the ConfigMaps that are to be made for it; none where it takes all of its evidence itself."""
    return tuple(part["metadata"]["name"] for part in divided(resolution, home)[1])


def owned(part: Object, resolution: Object) -> tuple[str, Object]:
    """Path and body that make the resolution, as stored, the owner of a part: it goes when that one goes."""
    name, home = part["metadata"]["name"], part["metadata"]["namespace"]
    owner = {
        "apiVersion": API_VERSION,
        "kind": "Resolution",
        "name": resolution["metadata"]["name"],
        "uid": resolution["metadata"]["uid"],
    }
    metadata = {"name": name, "namespace": home, "ownerReferences": [owner]}
    return paths.one("ConfigMap", Key(home, name)), {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def joined(api: Api, resolution: Resolution) -> str:
    """The text of its evidence. Refused: a part cannot be had."""
    evidence = resolution.spec.evidence
    found = [evidence.data]
    for name in names(resolution.name, evidence, evidence.parts):
        _, part = api.call("GET", paths.one("ConfigMap", Key(evidence.namespace, name)))
        found.append((part.get("data") or {}).get(TEXT, ""))
    return "".join(found)

"""A Resolution's evidence as text and back, and the digests that tie the object together."""

from __future__ import annotations

import base64
import zlib
from hashlib import sha256
from json import JSONDecodeError, loads

from runs_core.errors import InvalidInput, Problem
from runs_core.schema.convert import UNREADABLE, canonical, converter
from runs_core.values.resolution import Evidence, Packed, ResolutionSpec

_APART = ("data", "namespace", "parts")
"""Where the text lies is no part of what it says."""


def packed(evidence: Evidence) -> Packed:
    """The same evidence, the same text."""
    json = canonical(converter().unstructure(evidence, Evidence))
    text = base64.b64encode(zlib.compress(json.encode())).decode()
    return Packed(digest=_digest(text), data=text)


def unpacked(text: str, digest: str) -> Evidence:
    """InvalidInput: it is not that text, or says nothing."""
    if _digest(text) != digest:
        raise InvalidInput([Problem("spec.evidence", f"got text with the SHA-256 {_digest(text)}, want {digest}")])
    try:
        body = loads(zlib.decompress(base64.b64decode(text, validate=True)))
        return converter().structure(body, Evidence)
    except (*UNREADABLE, zlib.error, JSONDecodeError) as error:
        raise InvalidInput([Problem("spec.evidence", f"cannot be read: {error}")]) from error


def spec_digest(spec: ResolutionSpec) -> str:
    """What `spec.digest` has to be."""
    body = converter().unstructure(spec, ResolutionSpec)
    body.pop("digest", None)
    body["evidence"] = {name: value for name, value in body["evidence"].items() if name not in _APART}
    return _digest(canonical(body))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
